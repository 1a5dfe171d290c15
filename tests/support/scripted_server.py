"""A server that answers what the test says, for answers that the real one would not give. Real HTTP.

server.answers["push"].append(problem(503, "store_unavailable", retry_after=1))   the next push gets this
server.answer["push"] = function of the request's body                            every other push gets this
server.hangs.add("push")                                                          pushes are never answered
server.requests                                                                   (what, body), in order
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from client_sdk.pulse import Pulse

__all__ = ["Answer", "ScriptedServer", "applied", "nothing_new", "problem", "scripted_server"]

Answer = Callable[[Any], web.Response]

LIMITS = {"max_changes": 1000, "max_body_bytes": 1_048_576, "max_scopes": 200}


def reply(**body: Any) -> web.Response:
    """200, with what every reply carries."""
    return web.json_response({"server_time_ms": time.time_ns() // 1_000_000, "limits": LIMITS, **body})


def applied(request: Any) -> web.Response:
    """Every change is applied, and takes its number as its version."""
    outcomes = [{"n": each["n"], "outcome": "applied", "version": each["n"]} for each in request["changes"]]
    settled = max((each["n"] for each in request["changes"]), default=0)
    return reply(replica=request["replica"], settled=settled, outcomes=outcomes)


def nothing_new(request: Any) -> web.Response:
    """Every scope is caught up."""
    page = {"resources": [], "cursor": "c0", "settled": 0, "more": False}
    return reply(scopes=dict.fromkeys(request["scopes"], page))


def problem(status: int, code: str, detail: str = "no", retry_after: int | None = None) -> Answer:
    """A problem document."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    body = {"type": f"urn:syncd:problem:{code}", "status": status, "code": code, "detail": detail}
    return lambda request: web.Response(
        status=status, body=json.dumps(body).encode(), content_type="application/problem+json", headers=headers
    )


class ScriptedServer:
    """See the module."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[tuple[str, Any]] = []
        self.tokens: list[str | None] = []
        self.answers: dict[str, deque[Answer]] = defaultdict(deque)
        self.answer: dict[str, Answer] = {"push": applied, "pull": nothing_new}
        self.live: Answer | None = None
        self.hangs: set[str] = set()
        self.pulse = Pulse()
        self.sockets: list[web.WebSocketResponse] = []

    def seen(self, what: str) -> list[Any]:
        """The bodies of all requests of that kind."""
        return [body for name, body in self.requests if name == what]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        what = request.path.rsplit("/", 1)[-1]
        if what == "live":
            return await self._live(request)
        body = await request.json()
        self.requests.append((what, body))
        self.tokens.append(request.headers.get("Authorization"))
        if what in self.hangs:
            await asyncio.Event().wait()
        answers = self.answers[what]
        answer = answers.popleft() if answers else self.answer[what]
        response = answer(body)
        self.pulse.beat()
        return response

    async def _live(self, request: web.Request) -> web.StreamResponse:
        if self.live is not None:
            return self.live(None)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        await socket.receive()
        await socket.send_json({"type": "welcome", "server_time_ms": 0, "limits": LIMITS, "protocol": 1})
        async for message in socket:
            body = message.json()
            self.requests.append((body["type"], body))
            if body["type"] == "subscribe":
                standing = {scope: {"cursor": cursor} for scope, cursor in body["scopes"].items() if cursor}
                pulls = {scope: {"pull": True} for scope in body["scopes"] if scope not in standing}
                await socket.send_json({"type": "subscribed", "scopes": {**standing, **pulls}})
            self.pulse.beat()
        return socket


@asynccontextmanager
async def scripted_server() -> AsyncIterator[ScriptedServer]:
    """A scripted server that listens for the length of the block."""
    scripted = ScriptedServer()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", scripted.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    scripted.url = f"http://127.0.0.1:{port}"
    try:
        yield scripted
    finally:
        await runner.cleanup()
