"""A server with every part open, on a real SQLite file, and a client that speaks HTTP to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession

from syncd.api.listener import listening
from syncd.app import App, open_app
from syncd.settings import Settings
from syncd.wiring import Server, open_server

OpenApi = Callable[..., Awaitable["Api"]]


class Api:
    """A client of one server, with the requests of the protocol as methods."""

    def __init__(self, server: Server, url: str, http: ClientSession) -> None:
        self.server = server
        self.url = url
        self.http = http

    async def push(self, *changes: object, replica: str = "r1", **more: object) -> dict[str, Any]:
        response = await self.http.post(
            "/sync/v1/push", json={"replica": replica, "schema": 1, "changes": changes, **more}
        )
        assert response.status == 200, await response.text()
        reply: dict[str, Any] = await response.json()
        return reply

    async def pull(self, scopes: dict[str, str | None], **more: object) -> dict[str, Any]:
        response = await self.http.post("/sync/v1/pull", json={"scopes": scopes, **more})
        assert response.status == 200, await response.text()
        reply: dict[str, Any] = await response.json()
        return reply


def create(n: int, id: str, scope: str = "main", **fields: object) -> dict[str, object]:
    """A change that makes a note."""
    return {"n": n, "scope": scope, "type": "note", "id": id, "op": "create", "fields": fields}


async def problem_of(response: ClientResponse, status: int, code: str) -> dict[str, Any]:
    """The problem document in `response`, checked to be one that a person can act on."""
    assert response.status == status, await response.text()
    assert response.content_type == "application/problem+json"
    problem: dict[str, Any] = await response.json(content_type=None)
    assert problem["code"] == code
    assert problem["type"] == f"urn:syncd:problem:{code}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert problem["hint"]
    return problem


@pytest.fixture
async def open_api(tmp_path: Path) -> AsyncIterator[OpenApi]:
    """Opens servers behind the listener that `syncd serve` uses too; `settings` as keywords."""
    async with AsyncExitStack() as undo:

        async def open_one(app: App | None = None, **settings: Any) -> Api:
            settings.setdefault("database", tmp_path / "club.db")
            server = await undo.enter_async_context(open_server(Settings(**settings), app or open_app()))
            url = await undo.enter_async_context(
                listening(server.web, host="127.0.0.1", port=0, idle_timeout_s=10, shutdown_timeout_s=1)
            )
            return Api(server, url, await undo.enter_async_context(ClientSession(url)))

        yield open_one


@pytest.fixture
async def api(open_api: OpenApi) -> Api:
    """A server without a token, with no app."""
    return await open_api()
