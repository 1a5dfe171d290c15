"""The event stream: what the live socket says, one way, for who has an EventSource and nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any

import pytest
import structlog
from aiohttp import ClientError, ClientResponse

from syncd.api.positions import decode_positions, encode_positions
from syncd.engine.connection import Connection
from syncd.engine.limits import Limits
from tests.api.conftest import Api, OpenApi, create, problem_of

STREAM = "/sync/v1/stream"
TOKEN = "a-long-shared-secret"


@dataclass(frozen=True)
class Event:
    """One event. `id`: the newest that the stream has named, as a browser keeps it."""

    name: str
    id: str
    data: dict[str, Any]


class Stream:
    """Reads as a browser does (HTML standard, section 9.2.6)."""

    def __init__(self, response: ClientResponse) -> None:
        self.response = response
        self.comments = 0
        self.retry_ms: int | None = None
        self._id = ""

    async def event(self) -> Event | None:
        """The next event, None at the end of the stream."""
        name, data = "message", []
        async with asyncio.timeout(10):
            while line := await self.response.content.readline():
                key, _, value = line.decode().rstrip("\n").partition(": ")
                match key:
                    case "event":
                        name = value
                    case "id":
                        self._id = value
                    case "data":
                        data.append(value)
                    case "retry":
                        self.retry_ms = int(value)
                    case ":":
                        self.comments += 1
                    case "" if data:
                        return Event(name, self._id, json.loads("\n".join(data)))
        return None

    async def next(self, name: str) -> Event:
        """The next event, which must have this name."""
        event = await self.event()
        assert event is not None, "the stream has ended"
        assert event.name == name, event
        assert event.data["type"] == name
        return event


@pytest.fixture
async def streams() -> AsyncIterator[AsyncExitStack]:
    """Closes what the test has opened."""
    async with AsyncExitStack() as undo:
        yield undo


async def opened(streams: AsyncExitStack, api: Api, *scopes: str, last: str = "", **more: Any) -> Stream:
    """A stream of these scopes; `last`: the newest event id of the one before; `more`: query and headers."""
    headers = {**more.pop("headers", {}), **({"Last-Event-ID": last} if last else {})}
    query = [("scope", scope) for scope in scopes] + list(more.items())
    response = await streams.enter_async_context(api.http.get(STREAM, params=query, headers=headers))
    assert response.status == 200, await response.text()
    return Stream(response)


async def test_a_stream_begins_with_a_welcome_and_what_is_to_be_pulled(api: Api, streams: AsyncExitStack) -> None:
    await api.push(create(1, "a"))
    stream = await opened(streams, api, "main", "empty")
    assert stream.response.content_type == "text/event-stream"
    assert stream.response.headers["Cache-Control"] == "no-store"
    assert "Content-Encoding" not in stream.response.headers
    welcome = await stream.next("welcome")
    assert welcome.data["limits"] == Limits().as_dict()
    assert welcome.data["server_time_ms"] > 1_700_000_000_000
    assert welcome.data["protocol"] == 1
    assert welcome.data["scopes"] == {"main": {"pull": True}, "empty": {"pull": True}}
    assert (await stream.next("pull")).data["scopes"] == ["empty", "main"]
    assert stream.retry_ms is not None


async def test_what_is_committed_comes_as_a_delta_as_on_the_socket(api: Api, streams: AsyncExitStack) -> None:
    cursor = (await api.pull({"main": None}))["scopes"]["main"]["cursor"]
    stream = await opened(streams, api, "main", cursor=cursor)
    assert (await stream.next("welcome")).data["scopes"] == {"main": {"cursor": cursor}}
    socket = await api.http.ws_connect("/sync/v1/live")
    for frame in ({"type": "hello"}, {"type": "subscribe", "scopes": {"main": None}}):
        await socket.send_json(frame)
        await socket.receive_json()
    await api.push(create(1, "a", text="two\nlines\r\rand \u2028 more"))
    delta = await stream.next("delta")
    assert delta.data == await socket.receive_json()
    assert delta.data["after"] == cursor
    assert delta.data["entries"][0]["fields"] == {"text": "two\nlines\r\rand \u2028 more"}


async def test_many_scopes_have_a_cursor_each_in_their_order(api: Api, streams: AsyncExitStack) -> None:
    await api.push(create(1, "a", scope="a"), create(2, "b", scope="b"))
    cursors = {scope: page["cursor"] for scope, page in (await api.pull({"a": None, "b": None}))["scopes"].items()}
    query = f"{STREAM}?scope=a&scope=never&scope=b&cursor={cursors['a']}&cursor=&cursor={cursors['b']}"
    stream = Stream(await streams.enter_async_context(api.http.get(query)))
    welcome = await stream.next("welcome")
    assert welcome.data["scopes"] == {
        "a": {"cursor": cursors["a"]},
        "never": {"pull": True},
        "b": {"cursor": cursors["b"]},
    }


async def test_the_last_event_id_resumes_where_the_stream_was(api: Api, streams: AsyncExitStack) -> None:
    scopes = {f"s{n}": None for n in range(5)}
    cursors = [page["cursor"] for page in (await api.pull(scopes))["scopes"].values()]  # type: ignore[arg-type]
    query = "&".join(f"scope={scope}&cursor={cursor}" for scope, cursor in zip(scopes, cursors, strict=True))
    async with api.http.get(f"{STREAM}?{query}") as response:
        first = Stream(response)
        await first.next("welcome")
        await api.push(create(1, "a", scope="s1"))
        last = (await first.next("delta")).id
    # The scopes and cursors of the URL stay what they were: the id is newer.
    again = Stream(
        await streams.enter_async_context(api.http.get(f"{STREAM}?{query}", headers={"Last-Event-ID": last}))
    )
    standings = (await again.next("welcome")).data["scopes"]
    assert [("cursor" in standing) for standing in standings.values()] == [True] * 5
    await api.push(create(2, "b", scope="s1"))
    delta = await again.next("delta")
    assert delta.data["after"] == standings["s1"]["cursor"]


async def test_scopes_that_have_moved_on_since_the_last_event_are_to_be_pulled(
    api: Api, streams: AsyncExitStack
) -> None:
    await api.push(create(1, "a", scope="one"), create(2, "b", scope="two"))
    async with api.http.get(f"{STREAM}?scope=one&scope=two") as response:
        first = Stream(response)
        await first.next("welcome")
        await first.next("pull")
        await api.push(create(3, "c", scope="one"), create(4, "d", scope="two"))
        await first.next("delta")
        last = (await first.next("delta")).id
    await api.push(create(5, "e", scope="two"))
    again = await opened(streams, api, "one", "two", last=last)
    standings = (await again.next("welcome")).data["scopes"]
    assert (list(standings["one"]), standings["two"]) == (["cursor"], {"pull": True})
    pull = await again.next("pull")
    assert pull.data["scopes"] == ["two"]
    # Gone again before it could pull: told again.
    once_more = await opened(streams, api, "one", "two", last=pull.id)
    assert (await once_more.next("welcome")).data["scopes"]["two"] == {"pull": True}


@pytest.mark.parametrize("last", ["nonsense", "-", "00000000-", "x" * 5000, "1,2,3", "%00", "12345678-a.1,b.2"])
async def test_an_id_that_is_none_of_these_scopes_starts_over(api: Api, streams: AsyncExitStack, last: str) -> None:
    stream = await opened(streams, api, "main", last=last)
    assert (await stream.next("welcome")).data["scopes"] == {"main": {"pull": True}}


async def test_an_id_of_other_scopes_is_not_read_for_these(api: Api, streams: AsyncExitStack) -> None:
    await api.push(create(1, "a", scope="busy"), create(2, "b", scope="busy"), create(3, "c", scope="calm"))
    busy = (await api.pull({"busy": None}))["scopes"]["busy"]["cursor"]
    stream = await opened(streams, api, "busy", cursor=busy)
    last = (await stream.next("welcome")).id
    other = await opened(streams, api, "calm", last=last)
    assert (await other.next("welcome")).data["scopes"] == {"calm": {"pull": True}}


async def test_two_hundred_scopes_fit_one_stream_and_its_id_into_a_header(api: Api, streams: AsyncExitStack) -> None:
    scopes = [f"match:{n}" for n in range(200)]
    await api.push(*(create(n, f"n{n}", scope=scope) for n, scope in enumerate(scopes, 1)))
    stream = await opened(streams, api, *scopes)
    await stream.next("welcome")
    await stream.next("pull")
    await api.push(*(create(201 + n, f"m{n}", scope=scope) for n, scope in enumerate(scopes)))
    events = [await stream.next("delta") for _ in scopes]
    assert {event.data["scope"] for event in events} == set(scopes)
    again = await opened(streams, api, *scopes, last=events[-1].id)
    standings = (await again.next("welcome")).data["scopes"]
    assert {scope for scope, standing in standings.items() if "cursor" in standing} == set(scopes)


async def test_deltas_that_were_dropped_are_told_as_a_pull(api: Api, streams: AsyncExitStack) -> None:
    stream = await opened(streams, api, "main")
    await stream.next("welcome")
    await stream.next("pull")
    (connection,) = api.server.watcher._connections
    connection.tell_to_pull(["main"])
    assert (await stream.next("pull")).data == {"type": "pull", "scopes": ["main"]}


async def test_a_silent_stream_shows_that_it_is_alive(open_api: OpenApi, streams: AsyncExitStack) -> None:
    api = await open_api(comment_s=0.02)
    stream = await opened(streams, api, "main")
    await stream.next("welcome")
    await stream.next("pull")
    async with asyncio.timeout(5):
        lines = [await stream.response.content.readline() for _ in range(6)]
    assert lines == [b":\n", b"\n"] * 3
    await api.push(create(1, "a"))
    await stream.next("delta")


@pytest.mark.parametrize(
    ("query", "code", "status", "field"),
    [
        ("", "invalid_message", 400, "scope"),
        ("?scope=", "invalid_scope", 400, "scopes"),
        ("?scope=no%20spaces", "invalid_scope", 400, "scopes"),
        ("?scope=a&scope=a", "invalid_message", 400, "scope"),
        ("?scope=a&scope=b&cursor=c", "invalid_message", 400, "cursor"),
        ("?scope=a&cursor=" + "c" * 257, "invalid_message", 400, "cursor"),
        ("?scope=a&colour=red", "invalid_message", 400, "colour"),
        ("?" + "&".join(f"scope={n}" for n in range(201)), "too_large", 413, "scopes"),
    ],
)
async def test_a_wrong_url_is_refused_with_the_place(api: Api, query: str, code: str, status: int, field: str) -> None:
    problem = await problem_of(await api.http.get(STREAM + query), status, code)
    assert problem["field"] == field
    assert not api.server.watcher._connections


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT"])
async def test_only_get_opens_a_stream(api: Api, method: str) -> None:
    async with api.http.request(method, f"{STREAM}?scope=main") as response:
        assert response.status == 405


async def test_a_reader_that_never_reads_is_dropped(open_api: OpenApi, streams: AsyncExitStack) -> None:
    api = await open_api(heartbeat_s=0.3)
    stream = await opened(streams, api, "main")
    await stream.next("welcome")
    assert stream.response.connection is not None
    transport = stream.response.connection.transport
    assert transport is not None
    transport.pause_reading()
    n = 0
    async with asyncio.timeout(10):
        while len(api.server.sockets):
            n += 1
            await api.push(create(n, f"note-{n}", text="x" * 200_000))
    assert not api.server.watcher._connections


async def test_a_reader_that_has_gone_is_forgotten(open_api: OpenApi) -> None:
    api = await open_api(comment_s=0.02)
    for _ in range(3):
        async with api.http.get(f"{STREAM}?scope=main") as response:
            await Stream(response).next("welcome")
    async with asyncio.timeout(5):
        while len(api.server.sockets) or api.server.watcher._connections:
            await api.pull({})


async def test_streams_end_when_the_server_goes_away(api: Api, streams: AsyncExitStack) -> None:
    stream = await opened(streams, api, "main")
    await stream.next("welcome")
    await stream.next("pull")
    await api.server.web.shutdown()
    assert await stream.event() is None
    response = await api.http.get(f"{STREAM}?scope=main")
    await problem_of(response, 503, "shutting_down")


async def test_a_reader_that_does_not_take_the_end_is_cut_off(open_api: OpenApi, streams: AsyncExitStack) -> None:
    api = await open_api(heartbeat_s=60)
    stream = await opened(streams, api, "main")
    await stream.next("welcome")
    assert stream.response.connection is not None
    transport = stream.response.connection.transport
    assert transport is not None
    transport.pause_reading()
    for n in range(1, 60):
        await api.push(create(n, f"note-{n}", text="x" * 200_000))
    async with asyncio.timeout(5):
        await api.server.web.shutdown()
        while len(api.server.sockets):
            await api.pull({})


async def test_a_fault_ends_the_stream_and_is_logged_once(
    api: Api, streams: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_: Connection) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Connection, "take", broken)
    with structlog.testing.capture_logs() as logs, suppress(ClientError):
        stream = await opened(streams, api, "main")
        while await stream.event() is not None:
            pass
    assert [entry["event"] for entry in logs] == ["unexpected_failure"]


class TestAccess:
    """Who may open a stream."""

    @pytest.mark.parametrize("origin", ["http://evil.example", "null"])
    async def test_a_page_of_another_site_may_not(self, api: Api, origin: str) -> None:
        await problem_of(await api.http.get(f"{STREAM}?scope=a", headers={"Origin": origin}), 403, "wrong_origin")

    async def test_a_page_of_a_listed_site_may_and_its_browser_is_told_so(
        self, open_api: OpenApi, streams: AsyncExitStack
    ) -> None:
        api = await open_api(websocket_origins="https://club.example")
        stream = await opened(streams, api, "a", headers={"Origin": "https://club.example"})
        assert stream.response.headers["Access-Control-Allow-Origin"] == "https://club.example"
        assert stream.response.headers["Vary"] == "Origin"

    async def test_the_token_comes_in_the_header_or_where_no_header_can_be_set_in_the_url(
        self, open_api: OpenApi, streams: AsyncExitStack
    ) -> None:
        api = await open_api(token=TOKEN)
        for more in ({"headers": {"Authorization": f"Bearer {TOKEN}"}}, {"token": TOKEN}):
            await (await opened(streams, api, "a", **more)).next("welcome")

    @pytest.mark.parametrize("query", ["", "&token=", "&token=wrong"])
    async def test_without_it_there_is_no_stream(self, open_api: OpenApi, query: str) -> None:
        api = await open_api(token=TOKEN)
        await problem_of(await api.http.get(f"{STREAM}?scope=a{query}"), 401, "unauthenticated")

    async def test_a_wrong_header_is_not_made_good_by_the_url(self, open_api: OpenApi) -> None:
        api = await open_api(token=TOKEN)
        response = await api.http.get(f"{STREAM}?scope=a&token={TOKEN}", headers={"Authorization": "Bearer wrong"})
        await problem_of(response, 401, "unauthenticated")

    @pytest.mark.parametrize("url", ["/sync/v1/push", "/sync/v1/pull"])
    async def test_no_other_url_takes_a_token(self, open_api: OpenApi, url: str) -> None:
        api = await open_api(token=TOKEN)
        await problem_of(await api.http.post(f"{url}?token={TOKEN}", json={}), 401, "unauthenticated")

    async def test_a_token_in_the_url_is_never_logged(
        self, open_api: OpenApi, streams: AsyncExitStack, capfd: pytest.CaptureFixture[str], monkeypatch: Any
    ) -> None:
        api = await open_api(token=TOKEN)
        await (await opened(streams, api, "a", token=TOKEN)).next("welcome")
        await problem_of(await api.http.get(f"{STREAM}?scope=a&scope=a&token={TOKEN}"), 400, "invalid_message")

        async def broken(*_: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(api.server.watcher, "subscribe", broken)
        response = await api.http.get(f"{STREAM}?scope=a&token={TOKEN}")
        assert TOKEN not in await response.text()
        assert response.status == 500
        logged = "".join(capfd.readouterr())
        assert "unexpected_failure" in logged
        assert TOKEN not in logged


class TestPositions:
    """The id of an event."""

    @pytest.mark.parametrize(
        "cursors",
        [
            {"a": "3f0c9d.2"},
            {"a": None},
            {"a": "x.1", "b": None, "c": "x.22", "d": "y.3", "e": "x.4", "f": None},
            {f"match:{n}": f"3f0c9d3f0c9d.{n * 10**9}" for n in range(200)},
        ],
    )
    def test_what_is_written_is_read(self, cursors: dict[str, str | None]) -> None:
        text = encode_positions(cursors)
        assert decode_positions(text, list(cursors)) == cursors
        assert decode_positions(text, [*cursors, "more"]) is None
        assert len(text) < 8000

    @pytest.mark.parametrize("rest", ["2", ".2", "a.2,b.1", "a", "a.-1", "a.02"])
    def test_what_was_never_written_is_nothing(self, rest: str) -> None:
        fingerprint = encode_positions({"a": None}).partition("-")[0]
        assert decode_positions(f"{fingerprint}-{rest}", ["a"]) is None
