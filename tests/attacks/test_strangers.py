"""Strangers at a server that is on the internet: other sites' pages, guessed tokens, and too many requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientResponse, ClientSession, WSServerHandshakeError

from tests.support.raw_http import request_bytes, send_raw
from tests.support.server import ServerProcess, running_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKEN = "a-long-shared-secret-of-the-club"
CLUB, BOARD, EVIL = "https://club.example", "https://board.example", "https://evil.example"
SETTINGS = {
    # As other programs call them.
    "CORS_ORIGINS": CLUB,
    "WEBSOCKET_ORIGINS": BOARD,
    "SYNCD_LOG_LEVEL": "debug",
    "SYNCD_LOG_REQUESTS": "info",
}
KNOWN = {"Authorization": f"Bearer {TOKEN}"}
OTHERS = [
    EVIL,
    "null",
    "",
    "https://club.example.evil.example",
    "https://evilclub.example",
    "http://club.example",
    "https://club.example:444",
    "https://club.example@evil.example",
    "https://club.example, https://evil.example",
    "https://сlub.example",
    "file://",
    "chrome-extension://aaaa",
    "' OR 1=1 --",
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServerProcess]:
    path = tmp_path_factory.mktemp("strangers") / "club.db"
    async with running_server(path, environment=SETTINGS, token=TOKEN) as server:
        pid = server.pid
        yield server
        assert await pushed(server) == 200
        assert (server.running, server.pid) == (True, pid)
        assert await server.stop() == 0
        log = server.log_text()
        assert [word for word in (TOKEN, "guess-", "Traceback", "unexpected_failure") if word in log] == []
        assert '"event": "request"' in log


async def pushed(server: ServerProcess, **headers: str) -> int:
    """What whoever has the token is answered."""
    async with ClientSession(server.url, headers=KNOWN) as http:
        body = {"replica": "r1", "changes": []}
        async with http.post("/sync/v1/push", json=body, headers=headers) as response:
            return response.status


async def refused(response: ClientResponse, status: int, code: str) -> None:
    assert response.status == status
    problem: dict[str, Any] = await response.json(content_type=None)
    assert (problem["code"], bool(problem["detail"]), bool(problem["hint"])) == (code, True, True)
    assert problem["request_id"] == response.headers["X-Request-ID"]
    assert not [name for name in response.headers if name.startswith("Access-Control-Allow")]


class TestOtherSites:
    """Pages that somebody with the token has open in his browser."""

    @pytest.mark.parametrize("origin", OTHERS)
    async def test_a_page_that_is_not_listed_gets_nothing_even_with_the_token(
        self, server: ServerProcess, origin: str
    ) -> None:
        asked = {**KNOWN, "Origin": origin}
        async with ClientSession(server.url) as http:
            preflight = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            async with http.options("/sync/v1/push", headers=preflight) as response:
                await refused(response, 403, "wrong_origin")
            async with http.post("/sync/v1/push", json={"replica": "r", "changes": []}, headers=asked) as response:
                await refused(response, 403, "wrong_origin")
            async with http.get("/sync/v1/stream?scope=main", headers=asked) as response:
                await refused(response, 403, "wrong_origin")
            async with http.get("/sync/v1/conflicts", headers=asked) as response:
                assert not [name for name in response.headers if name.startswith("Access-Control-Allow")]
            with pytest.raises(WSServerHandshakeError, match="403"):
                await http.ws_connect("/sync/v1/live", headers=asked)
        assert await pushed(server) == 200

    async def test_the_lists_are_also_read_under_the_names_that_other_programs_use(self, server: ServerProcess) -> None:
        assert await pushed(server, Origin=CLUB) == 200
        assert await pushed(server, Origin=BOARD) == 403
        async with ClientSession(server.url) as http:
            for origin in (CLUB, BOARD):
                async with http.ws_connect("/sync/v1/live", headers={"Origin": origin}) as socket:
                    await socket.send_json({"type": "hello", "token": TOKEN})
                    assert (await socket.receive_json(timeout=5))["type"] == "welcome"

    async def test_two_origins_in_one_request_are_not_played_off_against_each_other(
        self, server: ServerProcess
    ) -> None:
        lines = [f"Authorization: Bearer {TOKEN}", f"Origin: {EVIL}", f"Origin: {CLUB}"]
        for headers in (lines, [lines[0], lines[2], lines[1]]):
            answer = await send_raw(server.host_and_port, request_bytes(b"{}", headers=headers))
            assert (answer.status, answer.problem["code"]) in ((403, "wrong_origin"), (400, "malformed_http"))


class TestGuesses:
    """Tokens that somebody tries."""

    async def test_they_are_slowed_down_and_who_has_the_token_is_not(self, server: ServerProcess) -> None:
        async with ClientSession(server.url) as http:

            async def guess(n: int) -> int:
                headers = {"Authorization": f"Bearer guess-{n}"}
                async with http.post("/sync/v1/pull", json={"scopes": {}}, headers=headers) as response:
                    if response.status == 429:
                        await refused(response, 429, "rate_limited")
                        assert int(response.headers["Retry-After"]) > 0
                    return response.status

            statuses = await asyncio.gather(*(guess(n) for n in range(200)))
        assert set(statuses) == {401, 429}
        # A bucket of sixty, and what flowed in meanwhile.
        assert 60 <= statuses.count(401) <= 80
        assert {await pushed(server) for _ in range(100)} == {200}

    async def test_over_sockets_too(self, server: ServerProcess) -> None:
        codes = []
        async with ClientSession(server.url) as http:
            for n in range(80):
                async with http.ws_connect("/sync/v1/live") as socket:
                    await socket.send_json({"type": "hello", "token": f"guess-{n}"})
                    assert (await socket.receive_json(timeout=5))["type"] == "error"
                    await socket.receive(timeout=5)
                    codes.append(socket.close_code)
            assert set(codes[-10:]) == {4429}
            async with http.ws_connect("/sync/v1/live") as socket:
                await socket.send_json({"type": "hello", "token": TOKEN})
                assert (await socket.receive_json(timeout=5))["type"] == "welcome"

    async def test_a_header_cannot_make_one_address_many(self, server: ServerProcess) -> None:
        async with ClientSession(server.url) as http:
            statuses = []
            for n in range(150):
                headers = {
                    "Authorization": "Bearer guess-x",
                    "X-Forwarded-For": f"192.0.2.{n}",
                    "Forwarded": f"for=192.0.2.{n}",
                }
                async with http.get("/sync/v1/conflicts", headers=headers) as response:
                    statuses.append(response.status)
        assert statuses.count(429) > 50

    async def test_a_token_in_a_url_is_in_no_log(self, server: ServerProcess) -> None:
        async with ClientSession(server.url) as http:
            for path in ("/sync/v1/stream", "/sync/v1/push", "/nothing"):
                async with http.get(f"{path}?scope=main&token={TOKEN}") as response:
                    assert response.status in (200, 401, 404, 405, 429)
