"""A running server under attack, and what every answer of it must be: a reason that a person can act on.

Knows nothing of the cases; the tests in `tests/traces/` bring them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse, TCPConnector, WSMsgType

from syncd.api.live_session import MAX_BAD_FRAMES
from tests.support.server import ServerProcess, running_server

__all__ = ["PULL", "PUSH", "Talk", "Target", "check_outcome", "create", "under_attack"]

JSON = {"Content-Type": "application/json"}
PUSH, PULL = "/sync/v1/push", "/sync/v1/pull"
GoodChange = Callable[[int, str], Mapping[str, object]]


def create(n: int, id: object, scope: object, **more: object) -> dict[str, object]:
    return {"n": n, "scope": scope, "type": "note", "id": id, "op": "create", **more}


def assert_reason(answer: Mapping[str, Any], key: str) -> None:
    assert answer["code"], answer
    assert len(answer[key].split()) >= 3, answer


def check_outcome(outcome: Mapping[str, Any]) -> None:
    assert outcome["outcome"] in ("applied", "merged", "overruled", "rejected", "retry_later"), outcome
    if outcome["outcome"] != "applied":
        assert_reason(outcome, "message")


class Target:
    """The server under attack."""

    def __init__(self, process: ServerProcess, http: ClientSession, good: GoodChange) -> None:
        self.process = process
        self._good = good
        self.http = http
        self.replicas = 0

    def new_replica(self) -> str:
        self.replicas += 1
        return f"r{self.replicas}"

    async def send(self, path: str, body: bytes, headers: Mapping[str, str] = JSON) -> tuple[int, dict[str, Any]]:
        """The status and the answer; a refusal is checked to be one that a person can act on."""
        async with self.http.post(path, data=BytesIO(body), headers=headers) as response:
            answer: dict[str, Any] = await response.json(content_type=None)
            if response.status != 200:
                assert response.content_type == "application/problem+json", answer
                assert answer["status"] == response.status
                assert 400 <= response.status < 500, answer
                assert_reason(answer, "detail")
                assert answer["hint"]
            return response.status, answer

    async def push(self, replica: str, changes: Iterable[object]) -> list[dict[str, Any]]:
        """Push well-formed JSON; the outcomes, each checked to say why if it is not what was meant."""
        body = json.dumps({"replica": replica, "changes": list(changes)}).encode()
        status, answer = await self.send(PUSH, body)
        assert status == 200, answer
        for outcome in answer["outcomes"]:
            check_outcome(outcome)
        outcomes: list[dict[str, Any]] = answer["outcomes"]
        return outcomes

    async def fields_of(self, scope: str) -> dict[str, dict[str, Any]]:
        """Everything in a scope, by id."""
        fields: dict[str, dict[str, Any]] = {}
        cursor, more = None, True
        while more:
            status, answer = await self.send(PULL, json.dumps({"scopes": {scope: cursor}}).encode())
            assert status == 200, answer
            page = answer["scopes"][scope]
            fields |= {state["id"]: state["fields"] for state in page["resources"]}
            cursor, more = page["cursor"], page["more"]
        return fields

    async def assert_in_good_health(self) -> None:
        """A good push is applied by the process that was started."""
        outcomes = await self.push(self.new_replica(), [self._good(1, f"health-{self.replicas}")])
        assert outcomes[0]["outcome"] == "applied"
        assert self.process.running


class Talk:
    """A conversation over live sockets; connects anew after text that is not UTF-8, and before too many bad frames."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._socket: ClientWebSocketResponse | None = None
        self._bad = 0

    async def __aenter__(self) -> Talk:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._socket is not None:
            await self._socket.send_json({"type": "ping"})
            while (await self._receive(self._socket))["type"] != "pong":
                pass
            await self._socket.close()

    async def ask(self, data: bytes, kind: WSMsgType = WSMsgType.TEXT) -> dict[str, Any]:
        """Send a frame and return the answer; an error is checked to be one that a person can act on."""
        socket = await self._connected()
        await socket.send_frame(data, kind)
        answer = await self._receive(socket)
        if answer["type"] == "error":
            assert_reason(answer, "message")
            assert answer["hint"]
            self._bad += 1
        if answer.get("code") == "invalid_utf8":
            closing = await socket.receive(timeout=10)
            assert (closing.type, closing.data) == (WSMsgType.CLOSE, 1007)
            self._socket = None
        return answer

    async def _connected(self) -> ClientWebSocketResponse:
        if self._socket is None or self._bad >= MAX_BAD_FRAMES - 1:
            if self._socket is not None:
                await self._socket.close()
            self._bad = 0
            self._socket = await self._target.http.ws_connect("/sync/v1/live")
            await self._socket.send_json({"type": "hello"})
            assert (await self._receive(self._socket))["type"] == "welcome"
        return self._socket

    async def _receive(self, socket: ClientWebSocketResponse) -> dict[str, Any]:
        message = await asyncio.wait_for(socket.receive(), 10)
        assert message.type is WSMsgType.TEXT, message
        frame: dict[str, Any] = json.loads(message.data)
        return frame


def good_note(n: int, id: str) -> Mapping[str, object]:
    return create(n, id, "health")


@asynccontextmanager
async def under_attack(
    database: Path, app: str | None = None, good: GoodChange = good_note, **options: Any
) -> AsyncIterator[Target]:
    """A server; at the end it must be the same process, in good health, and its log without a traceback.

    `good`: makes a change that is always applied. `options`: of the `ServerProcess`.
    """
    async with running_server(database, app=app, **options) as process:
        pid = process.pid
        # Each by a connection of its own: one that stands idle may be closed in the moment in which it is used again.
        async with ClientSession(process.url, connector=TCPConnector(force_close=True)) as http:
            target = Target(process, http, good)
            yield target
            await target.assert_in_good_health()
        assert (process.running, process.pid) == (True, pid)
        assert await process.stop() == 0
        log = process.log_text()
        for sign in ("Traceback", "unexpected_failure", "group_failed", "hook_failed"):
            assert sign not in log, log[:4000]
