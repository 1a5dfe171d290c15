"""The live socket: hello, watch, and every way in which it ends."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import msgpack
import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType

from syncd.api.live import MAX_FRAME_BYTES
from syncd.api.live_session import MAX_BAD_FRAMES
from syncd.engine.connection import Connection
from syncd.engine.limits import Limits
from syncd.engine.reader_class import SEES_ALL, ReaderClass
from tests.api.conftest import Api, OpenApi, create, problem_of

LIVE = "/sync/v1/live"


async def frame_of(socket: ClientWebSocketResponse) -> dict[str, Any]:
    """The next frame from the server."""
    message = await socket.receive(timeout=5)
    assert message.type is WSMsgType.TEXT, message
    frame: dict[str, Any] = json.loads(message.data)
    return frame


async def closed(socket: ClientWebSocketResponse) -> tuple[int, str]:
    """The code and reason with which the server closes, whatever comes before."""
    while True:
        message = await socket.receive(timeout=5)
        if message.type is WSMsgType.CLOSE:
            return message.data, message.extra or ""
        assert message.type is WSMsgType.TEXT, message


async def welcome(api: Api, **hello: object) -> ClientWebSocketResponse:
    """A socket that has said hello."""
    socket = await api.http.ws_connect(LIVE)
    await socket.send_json({"type": "hello", **hello})
    assert (await frame_of(socket))["type"] == "welcome"
    return socket


async def subscribed(api: Api, scopes: dict[str, str | None]) -> tuple[ClientWebSocketResponse, dict[str, Any]]:
    """A socket that watches, and how it stands with each scope."""
    socket = await welcome(api)
    await socket.send_json({"type": "subscribe", "scopes": scopes})
    answer = await frame_of(socket)
    assert answer["type"] == "subscribed"
    return socket, answer["scopes"]


async def cursor_of(api: Api, scope: str = "main") -> str:
    page = (await api.pull({scope: None}))["scopes"][scope]
    assert not page["more"]
    return str(page["cursor"])


async def test_a_hello_is_welcomed_with_time_limits_and_protocol(api: Api) -> None:
    socket = await api.http.ws_connect(LIVE)
    await socket.send_json({"type": "hello", "replica": "r1"})
    frame = await frame_of(socket)
    assert frame.pop("server_time_ms") > 1_700_000_000_000
    assert frame == {"type": "welcome", "limits": Limits().as_dict(), "protocol": 1}


async def test_a_watcher_gets_what_others_push_as_a_delta_that_follows_its_cursor(api: Api) -> None:
    await api.push(create(1, "a"))
    cursor = await cursor_of(api)
    socket, standing = await subscribed(api, {"main": cursor})
    assert standing == {"main": {"cursor": cursor}}
    await api.push(create(2, "b", text="hello"))
    delta = await frame_of(socket)
    assert (delta["type"], delta["scope"], delta["after"]) == ("delta", "main", cursor)
    assert [(entry["id"], entry["fields"], entry["origin"]) for entry in delta["entries"]] == [
        ("b", {"text": "hello"}, ["r1", 2])
    ]
    assert delta["upto"] == await cursor_of(api)


async def test_deltas_follow_each_other_without_a_gap(api: Api) -> None:
    await api.push(create(1, "a"))
    cursor = await cursor_of(api)
    socket, _ = await subscribed(api, {"main": cursor})
    for n in range(2, 12):
        await api.push(create(n, f"note-{n}"))
    seen: list[str] = []
    while len(seen) < 10:
        delta = await frame_of(socket)
        assert delta["after"] == cursor
        cursor = delta["upto"]
        seen += [entry["id"] for entry in delta["entries"]]
    assert seen == [f"note-{n}" for n in range(2, 12)]


async def test_no_delta_overtakes_the_answer_that_says_what_it_follows(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await api.push(create(1, "a"))
    cursor = await cursor_of(api)
    subscribe = api.server.watcher.subscribe

    async def commit_meanwhile(
        connection: Connection, scopes: dict[str, str | None], reader: ReaderClass = SEES_ALL, **asked: bool
    ) -> Any:
        standings = await subscribe(connection, scopes, reader, **asked)
        await api.server.pusher.push("r1", 1, [create(2, "b")])
        for _ in range(100):  # every chance for the sender
            await asyncio.sleep(0)
        return standings

    monkeypatch.setattr(api.server.watcher, "subscribe", commit_meanwhile)
    socket, standing = await subscribed(api, {"main": cursor})
    assert standing == {"main": {"cursor": cursor}}
    assert (await frame_of(socket))["after"] == cursor


async def test_whoever_is_behind_is_told_to_pull(api: Api) -> None:
    await api.push(create(1, "a"))
    old = await cursor_of(api)
    await api.push(create(2, "b"))
    _, standing = await subscribed(api, {"main": old, "never-written": None})
    assert standing["main"] == {"pull": True}


async def test_every_watcher_gets_the_same_delta(api: Api) -> None:
    sockets = [(await subscribed(api, {"main": None}))[0] for _ in range(5)]
    await api.push(create(1, "a"))
    frames = [await frame_of(socket) for socket in sockets]
    assert all(frame == frames[0] for frame in frames)
    assert frames[0]["type"] == "delta"


async def test_after_unsubscribing_nothing_of_the_scope_comes_any_more(api: Api) -> None:
    socket, _ = await subscribed(api, {"main": None, "other": None})
    await socket.send_json({"type": "unsubscribe", "scopes": ["main"]})
    assert await frame_of(socket) == {"type": "unsubscribed", "scopes": ["main"]}
    await api.push(create(1, "a", scope="main"), create(2, "b", scope="other"))
    assert (await frame_of(socket))["scope"] == "other"


async def test_a_ping_is_answered_and_a_pong_is_taken(api: Api) -> None:
    socket = await welcome(api)
    await socket.send_json({"type": "pong"})
    await socket.send_json({"type": "ping"})
    assert await frame_of(socket) == {"type": "pong"}


async def test_a_socket_that_goes_leaves_nothing_behind(api: Api) -> None:
    socket, _ = await subscribed(api, {"main": None})
    assert await socket.close()
    staying, _ = await subscribed(api, {"main": None})
    await api.push(create(1, "a"))
    assert (await frame_of(staying))["type"] == "delta"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "invalid_json"),
        ("nonsense", "invalid_json"),
        ("[" * 100_000, "invalid_json"),
        ("[]", "invalid_message"),
        ('{"type": "dance"}', "invalid_message"),
        ('{"type": "subscribe"}', "invalid_message"),
        ('{"type": "subscribe", "scopes": {"no spaces": null}}', "invalid_scope"),
        ('{"type": "subscribe", "scopes": {"a": null, "a": null}}', "repeated_key"),
        ('{"type": "unsubscribe", "scopes": {}}', "invalid_message"),
        ('{"type": "hello", "colour": "red"}', "invalid_message"),
    ],
)
async def test_a_bad_frame_is_answered_with_the_reason_and_the_socket_stays(api: Api, text: str, code: str) -> None:
    socket = await welcome(api)
    await socket.send_str(text)
    error = await frame_of(socket)
    assert (error["type"], error["code"]) == ("error", code)
    assert error["message"]
    assert error["hint"]
    await socket.send_json({"type": "ping"})
    assert await frame_of(socket) == {"type": "pong"}


@pytest.mark.parametrize("body", [b"", b'{"type": "ping"}', b"\xc1", msgpack.packb({"type": "ping"}) + b"\x01"])
async def test_a_binary_frame_that_is_not_message_pack_is_a_bad_frame(api: Api, body: bytes) -> None:
    socket = await welcome(api)
    await socket.send_bytes(body)
    assert (await frame_of(socket))["code"] == "invalid_msgpack"
    await socket.send_bytes(msgpack.packb({"type": "ping"}))
    assert await frame_of(socket) == {"type": "pong"}


async def test_before_the_hello_nothing_else_is_answered(api: Api) -> None:
    socket = await api.http.ws_connect(LIVE)
    await socket.send_json({"type": "subscribe", "scopes": {"main": None}})
    assert (await frame_of(socket))["code"] == "hello_first"
    await socket.send_json({"type": "hello"})
    assert (await frame_of(socket))["type"] == "welcome"


async def test_too_many_bad_frames_end_the_conversation(api: Api) -> None:
    socket = await welcome(api)
    for _ in range(MAX_BAD_FRAMES):
        await socket.send_str("nonsense")
    errors = [await frame_of(socket) for _ in range(MAX_BAD_FRAMES)]
    assert {error["code"] for error in errors} == {"invalid_json"}
    assert await closed(socket) == (1008, "too_many_bad_frames")


async def test_text_that_is_not_utf_8_is_named_and_ends_the_conversation(api: Api) -> None:
    socket = await welcome(api)
    await socket.send_frame(b'"\xff"', WSMsgType.TEXT)
    assert (await frame_of(socket))["code"] == "invalid_utf8"
    assert (await closed(socket))[0] == 1007


async def test_a_frame_that_is_too_large_ends_the_conversation(api: Api) -> None:
    socket = await welcome(api)
    await socket.send_str(" " * (MAX_FRAME_BYTES + 1))
    assert (await closed(socket))[0] == 1009


async def test_more_scopes_than_allowed_are_refused_over_all_subscriptions(open_api: OpenApi) -> None:
    api = await open_api(max_scopes=2)
    socket, _ = await subscribed(api, {"a": None, "b": None})
    await socket.send_json({"type": "subscribe", "scopes": {"c": None}})
    error = await frame_of(socket)
    assert error["code"] == "too_large"
    assert "2" in error["message"]
    await socket.send_json({"type": "unsubscribe", "scopes": ["a"]})
    await frame_of(socket)
    await socket.send_json({"type": "subscribe", "scopes": {"c": None}})
    assert (await frame_of(socket))["type"] == "subscribed"


async def test_one_socket_watches_two_hundred_scopes_that_come_and_go(api: Api) -> None:
    scopes = [f"match:{n}" for n in range(200)]
    socket = await welcome(api)
    for start in range(0, 200, 50):
        await socket.send_json({"type": "subscribe", "scopes": dict.fromkeys(scopes[start : start + 50])})
        assert len((await frame_of(socket))["scopes"]) == 50
    await api.push(*(create(n, f"a{n}", scope) for n, scope in enumerate(scopes, 1)))
    assert {(await frame_of(socket))["scope"] for _ in scopes} == set(scopes)
    await socket.send_json({"type": "subscribe", "scopes": {"match:200": None}})
    assert (await frame_of(socket))["code"] == "too_large"
    gone, kept = scopes[::2], scopes[1::2]
    await socket.send_json({"type": "unsubscribe", "scopes": gone})
    assert (await frame_of(socket))["scopes"] == gone
    new = [f"cup:{n}" for n in range(100)]
    await socket.send_json({"type": "subscribe", "scopes": dict.fromkeys(new)})
    assert len((await frame_of(socket))["scopes"]) == 100
    await api.push(*(create(200 + n, f"b{n}", scope) for n, scope in enumerate([*scopes, *new], 1)))
    assert {(await frame_of(socket))["scope"] for _ in range(200)} == {*kept, *new}
    # Nothing of what was left came in between or afterwards.
    await socket.send_json({"type": "ping"})
    assert await frame_of(socket) == {"type": "pong"}
    assert len(api.server.watcher._topics) == 200


async def test_a_socket_that_says_nothing_is_closed(open_api: OpenApi) -> None:
    api = await open_api(hello_timeout_s=0.05)
    socket = await api.http.ws_connect(LIVE)
    assert await closed(socket) == (4408, "hello_timeout")


async def test_a_socket_that_babbles_without_a_hello_is_closed_in_time_too(open_api: OpenApi) -> None:
    api = await open_api(hello_timeout_s=0.2)
    socket = await api.http.ws_connect(LIVE)

    async def babble() -> None:
        while not socket.closed:
            await socket.send_json({"type": "ping"})
            await asyncio.sleep(0.02)

    babbling = asyncio.create_task(babble())
    assert await closed(socket) == (4408, "hello_timeout")
    babbling.cancel()


async def test_a_peer_that_answers_no_ping_is_dropped(open_api: OpenApi) -> None:
    api = await open_api(heartbeat_s=0.1)
    socket = await api.http.ws_connect(LIVE, autoping=False)
    await socket.send_json({"type": "hello"})
    kinds = [(await socket.receive(timeout=5)).type for _ in range(3)]
    assert kinds[:2] == [WSMsgType.TEXT, WSMsgType.PING]
    assert kinds[2] in (WSMsgType.CLOSED, WSMsgType.CLOSE, WSMsgType.ERROR)


async def test_a_watcher_that_does_not_read_holds_up_nobody_else(open_api: OpenApi) -> None:
    api = await open_api()
    slow, _ = await subscribed(api, {"main": None})
    assert slow._response.connection is not None
    transport = slow._response.connection.transport
    assert transport is not None
    transport.pause_reading()
    quick, _ = await subscribed(api, {"main": None})
    seen = 0
    for n in range(1, 101):
        await api.push(create(n, f"note-{n}", text="x" * 100_000))
        delta = await frame_of(quick)
        seen += len(delta["entries"])
    assert seen == 100
    transport.resume_reading()
    hints = [await frame_of(slow)]
    while hints[-1]["type"] != "pull":
        hints.append(await frame_of(slow))
    assert hints[-1]["scopes"] == ["main"]
    assert len(hints) < 90


async def test_a_watcher_that_never_reads_is_dropped_even_if_it_goes_on_talking(open_api: OpenApi) -> None:
    api = await open_api(heartbeat_s=0.3)
    deaf, _ = await subscribed(api, {"main": None})
    assert deaf._response.connection is not None
    transport = deaf._response.connection.transport
    assert transport is not None
    transport.pause_reading()

    async def talk() -> None:
        with suppress(ConnectionError):
            while True:
                await deaf.send_json({"type": "ping"})
                await asyncio.sleep(0.05)

    talking = asyncio.create_task(talk())
    async with asyncio.timeout(10):
        n = 0
        while len(api.server.sockets):
            n += 1
            await api.push(create(n, f"note-{n}", text="x" * 200_000))
    talking.cancel()


async def test_a_socket_that_has_gone_is_counted_no_more(api: Api) -> None:
    sockets = [await welcome(api) for _ in range(3)]
    assert len(api.server.sockets) == 3
    for socket in sockets:
        await socket.close()
    async with asyncio.timeout(5):
        while len(api.server.sockets):
            await api.pull({})


async def test_a_fault_in_sending_is_logged_and_ends_the_conversation(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(connection: Connection) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Connection, "next", broken)
    socket, _ = await subscribed(api, {"main": None})
    await api.push(create(1, "a"))
    code, why = await closed(socket)
    assert (code, why.split()[0]) == (1011, "incident")


async def test_a_fault_in_answering_is_told_with_its_incident_and_ends_the_conversation(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    socket = await welcome(api)
    monkeypatch.setattr(api.server.watcher, "subscribe", broken)
    await socket.send_json({"type": "subscribe", "scopes": {"main": None}})
    error = await frame_of(socket)
    assert error["code"] == "internal_error"
    assert await closed(socket) == (1011, f"incident {error['incident']}")


async def test_sockets_are_told_that_the_server_goes_away(api: Api) -> None:
    sockets = [await welcome(api), await api.http.ws_connect(LIVE)]
    closing = asyncio.create_task(api.server.web.shutdown())
    assert [(await closed(socket))[0] for socket in sockets] == [1001, 1001]
    await closing


async def test_a_closing_server_takes_no_new_socket(api: Api) -> None:
    await api.server.web.shutdown()
    response = await api.http.get(
        LIVE,
        headers={
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        },
    )
    await problem_of(response, 503, "shutting_down")


async def test_a_plain_get_is_told_that_this_is_a_web_socket(api: Api) -> None:
    response = await api.http.get(LIVE)
    await problem_of(response, 426, "websocket_required")
    assert response.headers["Upgrade"] == "websocket"


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
async def test_a_page_of_another_site_may_not_open_a_socket(api: Api, origin: str) -> None:
    response = await api.http.get(LIVE, headers={"Origin": origin})
    await problem_of(response, 403, "wrong_origin")


async def test_a_page_of_ours_or_of_a_listed_site_may(open_api: OpenApi) -> None:
    api = await open_api(websocket_origins="https://club.example, https://other.example")
    for origin in [api.url, "https://club.example", "https://other.example"]:
        socket = await api.http.ws_connect(LIVE, origin=origin)
        await socket.close()


class TestWithAToken:
    """A server with SYNCD_TOKEN."""

    async def test_the_token_comes_with_the_hello(self, open_api: OpenApi) -> None:
        await welcome(await open_api(token="a-long-shared-secret"), token="a-long-shared-secret")

    async def test_or_with_the_header_from_who_can_set_one(self, open_api: OpenApi) -> None:
        api = await open_api(token="a-long-shared-secret")
        socket = await api.http.ws_connect(LIVE, headers={"Authorization": "Bearer a-long-shared-secret"})
        await socket.send_json({"type": "hello"})
        assert (await frame_of(socket))["type"] == "welcome"

    @pytest.mark.parametrize("hello", [{}, {"token": None}, {"token": "wrong"}, {"token": ""}])
    async def test_without_it_the_socket_is_closed_with_the_reason(
        self, open_api: OpenApi, hello: dict[str, object]
    ) -> None:
        api = await open_api(token="a-long-shared-secret")
        socket = await api.http.ws_connect(LIVE)
        await socket.send_json({"type": "hello", **hello})
        error = await frame_of(socket)
        assert (error["type"], error["code"]) == ("error", "unauthenticated")
        assert error["hint"]
        assert await closed(socket) == (4401, "unauthenticated")

    async def test_a_wrong_token_in_band_ends_a_welcomed_socket(self, open_api: OpenApi) -> None:
        api = await open_api(token="a-long-shared-secret")
        socket = await welcome(api, token="a-long-shared-secret")
        await socket.send_json({"type": "hello", "token": "wrong"})
        assert (await frame_of(socket))["code"] == "unauthenticated"
        assert (await closed(socket))[0] == 4401
