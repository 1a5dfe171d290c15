"""Limits of sockets and streams: how many, how fast, how much; told before the close, which has a code of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, WSServerHandshakeError

from syncd.api.listener import listening
from syncd.app import open_app
from syncd.settings import Settings
from syncd.wiring import Server, open_server
from tests.api.conftest import problem_of
from tests.support.people import People
from tests.support.until import until


class Limited:
    """A server, and a client of it."""

    def __init__(self, server: Server, http: ClientSession) -> None:
        self.server = server
        self.http = http

    async def socket(self, who: str = "", **hello: object) -> ClientWebSocketResponse:
        """A socket that was welcomed."""
        socket = await self.http.ws_connect("/sync/v1/live", headers=header(who))
        await socket.send_json({"type": "hello", **hello})
        assert (await socket.receive_json(timeout=5))["type"] == "welcome"
        return socket

    def open_now(self) -> tuple[int, int]:
        """Of how many users and addresses sockets are open."""
        return len(self.server.rates.user_sockets), len(self.server.rates.address_sockets)


Open = Callable[..., Awaitable[Limited]]


def header(who: str) -> dict[str, str]:
    """What somebody's requests carry."""
    return {"Authorization": f"Bearer {who}"} if who else {}


@pytest.fixture
async def open_limited(tmp_path: Path) -> AsyncIterator[Open]:
    async with AsyncExitStack() as undo:

        async def open_one(**settings: Any) -> Limited:
            server = await undo.enter_async_context(
                open_server(Settings(database=tmp_path / "club.db", **settings), open_app(), accounts=People())
            )
            url = await undo.enter_async_context(
                listening(server.web, host="127.0.0.1", port=0, idle_timeout_s=10, shutdown_timeout_s=1)
            )
            return Limited(server, await undo.enter_async_context(ClientSession(url)))

        yield open_one


async def refused_with(socket: ClientWebSocketResponse, code: str) -> None:
    """The next error is this one, and it is the last frame."""
    async with asyncio.timeout(10):
        while (frame := await socket.receive_json())["type"] != "error":
            pass
        assert (frame["code"], bool(frame["message"]), bool(frame["hint"])) == (code, True, True)
        while (await socket.receive()).type not in (WSMsgType.CLOSE, WSMsgType.CLOSED):
            pass
    assert socket.close_code == 4429


async def test_a_user_may_have_so_many_sockets_and_streams_and_each_that_closes_makes_room(open_limited: Open) -> None:
    limited = await open_limited(max_user_sockets=2)
    first = await limited.socket("asha")
    stream = await limited.http.get("/sync/v1/stream?scope=main", headers=header("asha"))
    assert stream.status == 200
    with pytest.raises(WSServerHandshakeError, match="429"):
        await limited.http.ws_connect("/sync/v1/live", headers=header("asha"))
    async with limited.http.get("/sync/v1/stream?scope=main", headers=header("asha")) as response:
        await problem_of(response, 429, "too_many_sockets")
    ben = await limited.socket("ben")
    await first.close()
    await until(lambda: limited.server.rates.user_sockets._open["asha"] == 1)
    again = await limited.socket("asha")
    for socket in (ben, again):
        await socket.close()
    stream.close()
    await until(lambda: limited.open_now() == (0, 0))


async def test_strangers_are_counted_by_address_until_they_say_who_they_are(open_limited: Open) -> None:
    limited = await open_limited(max_address_sockets=1)
    stranger = await limited.http.ws_connect("/sync/v1/live")
    assert limited.open_now() == (0, 1)
    with pytest.raises(WSServerHandshakeError, match="429"):
        await limited.http.ws_connect("/sync/v1/live")
    assert limited.open_now() == (0, 1)
    known = await limited.socket("asha")
    assert limited.open_now() == (1, 1)
    await asyncio.gather(stranger.close(), known.close())
    await until(lambda: limited.open_now() == (0, 0))


async def test_a_hello_that_tells_who_asks_moves_the_socket_to_its_user(open_limited: Open) -> None:
    limited = await open_limited(max_user_sockets=1)
    first = await limited.socket(token="asha")
    assert limited.open_now() == (1, 0)
    second = await limited.http.ws_connect("/sync/v1/live")
    assert limited.open_now() == (1, 1)
    await second.send_json({"type": "hello", "token": "asha"})
    await refused_with(second, "too_many_sockets")
    await first.close()
    await until(lambda: limited.open_now() == (0, 0))


async def test_frames_faster_than_the_limit_are_told_so_once_and_the_socket_closes(open_limited: Open) -> None:
    limited = await open_limited(rate_limits="frames=20/hour")
    socket = await limited.socket("asha")
    for _ in range(19):
        await socket.send_json({"type": "ping"})
        assert (await socket.receive_json())["type"] == "pong"
    for _ in range(50):
        await socket.send_json({"type": "ping"})
    await refused_with(socket, "rate_limited")


@pytest.mark.parametrize("kind", [WSMsgType.PING, WSMsgType.PONG])
async def test_control_frames_count_too(open_limited: Open, kind: WSMsgType) -> None:
    limited = await open_limited(rate_limits="frames=20/hour")
    socket = await limited.socket("asha")
    for _ in range(30):
        await (socket.ping() if kind is WSMsgType.PING else socket.pong())
    await refused_with(socket, "rate_limited")


async def test_one_sockets_frames_are_not_anothers(open_limited: Open) -> None:
    limited = await open_limited(rate_limits="frames=5/hour")
    for _ in range(3):
        socket = await limited.socket("asha")
        await socket.send_json({"type": "ping"})
        assert (await socket.receive_json())["type"] == "pong"


async def test_another_hello_makes_no_room(open_limited: Open) -> None:
    limited = await open_limited(rate_limits="frames=5/hour")
    socket = await limited.socket("asha")
    for _ in range(10):
        await socket.send_json({"type": "hello"})
    await refused_with(socket, "rate_limited")


async def test_the_bytes_of_a_users_day_count_frames_too(open_limited: Open) -> None:
    limited = await open_limited(rate_limits="bytes=4000/day")
    socket = await limited.socket("asha")
    for _ in range(5):
        await socket.send_json({"type": "unsubscribe", "scopes": ["x" * 190] * 5})
    await refused_with(socket, "rate_limited")


async def test_how_often_a_user_opens_one_counts_as_well_if_the_hello_tells_who_it_is(open_limited: Open) -> None:
    limited = await open_limited(rate_limits="live.user=2/hour")
    for _ in range(2):
        socket = await limited.socket(token="asha")
        # Another hello opens none.
        await socket.send_json({"type": "hello", "token": "asha"})
        assert (await socket.receive_json(timeout=5))["type"] == "welcome"
    third = await limited.http.ws_connect("/sync/v1/live")
    await third.send_json({"type": "hello", "token": "asha"})
    await refused_with(third, "rate_limited")
    await limited.socket(token="ben")


async def test_so_does_a_stream_if_the_url_tells_it(open_limited: Open) -> None:
    limited = await open_limited(rate_limits="live.user=2/hour")
    for _ in range(2):
        async with limited.http.get("/sync/v1/stream?scope=main&token=asha") as response:
            assert response.status == 200
    async with limited.http.get("/sync/v1/stream?scope=main&token=asha") as response:
        await problem_of(response, 429, "rate_limited")
    async with limited.http.get("/sync/v1/stream?scope=main", headers=header("ben")) as response:
        assert response.status == 200


async def test_who_has_said_it_in_a_header_is_not_counted_twice(open_limited: Open) -> None:
    limited = await open_limited(rate_limits="live.user=2/hour")
    for _ in range(2):
        await limited.socket("asha", token="asha")
    with pytest.raises(WSServerHandshakeError, match="429"):
        await limited.http.ws_connect("/sync/v1/live", headers=header("asha"))


async def test_whoever_runs_the_server_may_send_as_fast_as_he_likes(tmp_path: Path) -> None:
    async with (
        open_server(Settings(database=tmp_path / "club.db", rate_limits="frames=5/hour"), open_app()) as server,
        listening(server.web, host="127.0.0.1", port=0, idle_timeout_s=10, shutdown_timeout_s=1) as url,
        ClientSession(url) as http,
        http.ws_connect("/sync/v1/live") as socket,
    ):
        await socket.send_json({"type": "hello"})
        for _ in range(50):
            await socket.send_json({"type": "ping"})
        answers = [(await socket.receive_json())["type"] for _ in range(51)]
        assert answers == ["welcome"] + ["pong"] * 50


async def test_a_ping_of_the_websocket_protocol_is_answered_with_what_it_said(open_limited: Open) -> None:
    limited = await open_limited()
    async with limited.http.ws_connect("/sync/v1/live", autoping=False) as socket:
        await socket.ping(b"are you there?")
        answer = await socket.receive(timeout=5)
        assert (answer.type, answer.data) == (WSMsgType.PONG, b"are you there?")
