"""Updates of documents in deltas, on real sockets and streams, in both formats."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Annotated, Any

import msgpack
import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType
from pycrdt import Doc, Text

from syncd.app import App, Resource, rules
from tests.api.conftest import Api, OpenApi, problem_of
from tests.api.test_stream import Stream, opened

SCOPE = "club:a"
club = App("club")


@club.resource(scope="club:{club}")
class Note(Resource):
    """A text beside a title."""

    club: str
    title: str = ""
    text: Annotated[str, rules.crdt] = ""


class Writer:
    """Types into one note over HTTP."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.n = 0
        self.doc: Any = Doc()
        self.doc["text"] = Text()

    async def begins(self) -> None:
        await self._push("create", {"club": "a", "title": "training"})

    async def writes(self, letters: str) -> str:
        """Push it; the update, in base64."""
        before = self.doc.get_state()
        self.doc["text"] += letters
        update = base64.b64encode(self.doc.get_update(before)).decode()
        await self._push("update", {"text": {"update": update}})
        return update

    async def _push(self, op: str, fields: dict[str, Any]) -> None:
        self.n += 1
        change = {"n": self.n, "scope": SCOPE, "type": "note", "id": "n1", "op": op, "base": 0, "fields": fields}
        [outcome] = (await self.api.push(change))["outcomes"]
        assert outcome["outcome"] in ("applied", "merged"), outcome


@pytest.fixture
async def api(open_api: OpenApi) -> Api:
    return await open_api(club)


@pytest.fixture
async def writer(api: Api) -> Writer:
    """Of a note that is there."""
    writer = Writer(api)
    await writer.begins()
    return writer


@pytest.fixture
async def streams() -> AsyncIterator[AsyncExitStack]:
    """Closes what the test has opened."""
    async with AsyncExitStack() as undo:
        yield undo


async def received(socket: ClientWebSocketResponse) -> Any:
    message = await socket.receive(timeout=5)
    if message.type is WSMsgType.BINARY:
        return msgpack.unpackb(message.data)
    assert message.type is WSMsgType.TEXT, message
    return json.loads(message.data)


async def watching(api: Api, form: str = "json", **asked: Any) -> ClientWebSocketResponse:
    """A socket that is up to date, and has asked for that."""
    cursor = (await api.pull({SCOPE: None}))["scopes"][SCOPE]["cursor"]
    socket = await api.http.ws_connect("/sync/v1/live")
    await socket.send_json({"type": "hello", "format": form})
    assert (await received(socket))["limits"]["max_relay_bytes"] == 65_536
    await socket.send_json({"type": "subscribe", "scopes": {SCOPE: cursor}, **asked})
    assert (await received(socket))["scopes"] == {SCOPE: {"cursor": cursor}}
    return socket


@pytest.mark.parametrize("form", ["json", "msgpack"])
async def test_a_socket_that_asks_gets_updates_as_they_were_committed(api: Api, writer: Writer, form: str) -> None:
    socket = await watching(api, form, documents=True)
    for seq, letters in enumerate(("नमस्ते", " 😀"), 1):
        update = await writer.writes(letters)
        delta = await received(socket)
        [entry] = delta["entries"]
        marker = entry["fields"]["text"]["document"]
        assert marker["seq"] == seq
        place = {"type": "note", "id": "n1", "field": "text", "since": marker["since"]}
        assert delta["documents"] == [{**place, "after": seq - 1, "seq": seq, "updates": [update]}]


@pytest.mark.parametrize("asked", [{}, {"documents": False}])
async def test_a_socket_that_does_not_ask_gets_deltas_as_ever(api: Api, writer: Writer, asked: dict[str, bool]) -> None:
    socket = await watching(api, **asked)
    await writer.writes("a")
    assert set(await received(socket)) == {"type", "scope", "after", "upto", "entries"}


async def test_what_is_asked_for_is_true_or_false(api: Api) -> None:
    socket = await watching(api)
    await socket.send_json({"type": "subscribe", "scopes": {}, "documents": "yes"})
    frame = await received(socket)
    assert (frame["type"], frame["code"], frame["field"]) == ("error", "invalid_message", "documents")


async def test_what_came_live_is_what_would_have_been_fetched(api: Api, writer: Writer) -> None:
    socket = await watching(api, documents=True)
    for letter in "abc":
        await writer.writes(letter)
    runs = [run for _ in range(3) for run in (await received(socket))["documents"]]
    item = {"type": "note", "id": "n1", "field": "text", "since": runs[0]["since"], "seq": 1}
    async with api.http.post("/sync/v1/documents", json={"documents": [item]}) as response:
        [answer] = (await response.json())["documents"]
    assert answer["updates"] == [update for run in runs[1:] for update in run["updates"]]
    assert answer["seq"] == runs[-1]["seq"]


async def test_a_stream_that_asks_gets_what_a_socket_gets(api: Api, writer: Writer, streams: AsyncExitStack) -> None:
    asked, unasked = [await opened(streams, api, SCOPE, **more) for more in ({"documents": "true"}, {})]
    for stream in (asked, unasked):
        await _begun(stream)
    socket = await watching(api, documents=True)
    update = await writer.writes("a")
    told = (await asked.next("delta")).data
    assert told == await received(socket)
    assert told["documents"][0]["updates"] == [update]
    plain = (await unasked.next("delta")).data
    assert plain == {key: value for key, value in told.items() if key != "documents"}


async def _begun(stream: Stream) -> None:
    await stream.next("welcome")
    await stream.next("pull")


@pytest.mark.parametrize("query", ["documents=yes", "documents=", "documents=true&documents=true"])
async def test_a_stream_asks_by_true_or_false(api: Api, query: str) -> None:
    async with api.http.get(f"/sync/v1/stream?scope={SCOPE}&{query}") as response:
        assert (await problem_of(response, 400, "invalid_message"))["field"] == "documents"
