"""Presence over live sockets: who is here is told to the others, in either format, and nothing of it is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgpack
import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType

from tests.access.talk import Talk
from tests.access.world import world
from tests.api.conftest import Api, OpenApi, create

LIVE = "/sync/v1/live"
PIT = "[" * 60 + "]" * 60
LONG = "x" * 2000


class Device:
    """One socket that watches `main`."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.socket = socket

    async def send(self, **frame: object) -> None:
        await self.socket.send_json(frame)

    async def say(self, state: object, scope: str = "main") -> None:
        await self.send(type="presence", scope=scope, state=state)

    async def hear(self) -> dict[str, Any]:
        message = await self.socket.receive(timeout=5)
        assert message.type in (WSMsgType.TEXT, WSMsgType.BINARY), message
        binary = message.type is WSMsgType.BINARY
        frame: dict[str, Any] = msgpack.unpackb(message.data) if binary else json.loads(message.data)
        return frame

    async def heard_nothing(self) -> bool:
        """Whether nothing comes before the answer to a ping."""
        await self.send(type="ping")
        return await self.hear() == {"type": "pong"}


async def device(api: Api, replica: str | None, *scopes: str, **hello: object) -> Device:
    found = Device(await api.http.ws_connect(LIVE))
    await found.send(type="hello", **({} if replica is None else {"replica": replica}), **hello)
    assert (await found.hear())["type"] == "welcome"
    await found.send(type="subscribe", scopes=dict.fromkeys(scopes or ["main"]))
    assert (await found.hear())["type"] == "subscribed"
    return found


def told(replica: str, state: object, scope: str = "main") -> dict[str, Any]:
    return {"type": "presence", "scope": scope, "replica": replica, "state": state}


async def test_who_is_here_is_told_to_the_others_and_to_whoever_comes(api: Api) -> None:
    asha, bo = await device(api, "asha"), await device(api, "bo")
    await asha.say({"name": "Asha", "minute": 12})
    assert await bo.hear() == told("asha", {"name": "Asha", "minute": 12})
    assert await asha.heard_nothing()
    cleo = await device(api, "cleo")
    entries = [{"replica": "asha", "state": {"name": "Asha", "minute": 12}}]
    assert await cleo.hear() == {"type": "present", "scope": "main", "entries": entries}
    await asha.say(None)
    assert await bo.hear() == await cleo.hear() == told("asha", None)


async def test_whoever_unsubscribes_or_goes_is_gone_at_once(api: Api) -> None:
    asha, bo, cleo = [await device(api, name) for name in ("asha", "bo", "cleo")]
    await asha.say({})
    assert await cleo.hear() == await bo.hear() == told("asha", {})
    await bo.say({})
    assert await cleo.hear() == await asha.hear() == told("bo", {})
    await asha.send(type="unsubscribe", scopes=["main"])
    assert (await asha.hear())["type"] == "unsubscribed"
    assert await cleo.hear() == told("asha", None)
    await bo.socket.close()
    assert await cleo.hear() == told("bo", None)
    assert await asha.heard_nothing()


async def test_message_pack_says_the_same(api: Api) -> None:
    asha, bo = await device(api, "asha", format="msgpack"), await device(api, "bo")
    await asha.socket.send_bytes(msgpack.packb({"type": "presence", "scope": "main", "state": {"name": "आशा"}}))
    assert await bo.hear() == told("asha", {"name": "आशा"})
    await bo.say({"name": "Bo"})
    assert await asha.hear() == told("bo", {"name": "Bo"})
    cleo = await device(api, "cleo", format="msgpack")
    assert [entry["replica"] for entry in (await cleo.hear())["entries"]] == ["asha", "bo"]


async def test_what_is_not_renewed_expires(open_api: OpenApi) -> None:
    api = await open_api(presence_ms=1000)
    asha, bo = await device(api, "asha"), await device(api, "bo")
    await asha.say({})
    assert [await bo.hear(), await bo.hear()] == [told("asha", {}), told("asha", None)]


async def test_the_last_of_many_is_told_and_not_each_of_them(api: Api) -> None:
    asha, bo = await device(api, "asha"), await device(api, "bo")
    for n in range(200):
        await asha.say({"at": n})
    heard = [await bo.hear()]
    while heard[-1]["state"]["at"] != 199:
        heard.append(await bo.hear())
    assert len(heard) < 100


async def test_so_many_are_shown_and_the_rest_counted(open_api: OpenApi) -> None:
    api = await open_api(max_present_replicas=1)
    asha, bo, cleo = [await device(api, name) for name in ("asha", "bo", "cleo")]
    await asha.say({})
    assert await cleo.hear() == await bo.hear() == told("asha", {})
    await bo.say({})
    assert await cleo.hear() == {"type": "presence", "scope": "main", "more": 1}
    await asha.say(None)
    assert [await cleo.hear() for _ in range(3)] == [
        told("asha", None),
        told("bo", {}),
        {"type": "presence", "scope": "main", "more": 0},
    ]


@pytest.mark.parametrize(
    ("text", "code", "field"),
    [
        ('{"type": "presence", "scope": "main"}', "invalid_message", "state"),
        ('{"type": "presence", "state": {}}', "invalid_message", "scope"),
        ('{"type": "presence", "scope": "main", "state": [1]}', "invalid_message", "state"),
        ('{"type": "presence", "scope": "main", "state": {"a": 1, "a": 2}}', "invalid_message", "state.a"),
        ('{"type": "presence", "scope": "main", "state": {"a": 1e400}}', "invalid_message", "state.a"),
        (f'{{"type": "presence", "scope": "main", "state": {{"a": {PIT}}}}}', "invalid_message", ""),
        ('{"type": "presence", "scope": "main", "state": {}, "colour": "red"}', "invalid_message", "colour"),
        (f'{{"type": "presence", "scope": "main", "state": {{"a": "{LONG}"}}}}', "too_large", "state"),
        ('{"type": "presence", "scope": "other", "state": {}}', "not_subscribed", "scope"),
    ],
)
async def test_a_bad_one_is_answered_with_the_reason_and_the_socket_stays(
    api: Api, text: str, code: str, field: str
) -> None:
    asha, bo = await device(api, "asha"), await device(api, "bo")
    await asha.socket.send_str(text)
    error = await asha.hear()
    assert (error["type"], error["code"]) == ("error", code)
    assert error["field"].startswith(field)
    assert error["message"]
    assert error["hint"]
    await asha.say({"fine": True})
    assert await bo.hear() == told("asha", {"fine": True})


async def test_before_the_hello_and_without_a_replica_nobody_is_here(api: Api) -> None:
    stranger = Device(await api.http.ws_connect(LIVE))
    await stranger.say({})
    assert (await stranger.hear())["code"] == "hello_first"
    nameless = await device(api, None)
    await nameless.say({})
    error = await nameless.hear()
    assert (error["code"], error["field"]) == ("invalid_replica", "replica")
    asha = await device(api, "asha")
    await asha.say({})
    assert await nameless.hear() == told("asha", {})


async def test_it_stands_in_no_pull_no_history_and_no_cursor(api: Api) -> None:
    await api.push(create(1, "a"))
    before = await api.pull({"main": None}, digest=True)
    asha, bo = await device(api, "asha"), await device(api, "bo")
    await asha.say({"name": "nobody-keeps-this"})
    await bo.hear()
    after = await api.pull({"main": None}, digest=True)
    assert after["scopes"] == before["scopes"]
    await api.push(create(2, "b"))
    assert (await bo.hear())["type"] == "delta"
    stored = b"".join(path.read_bytes() for path in api.server.settings.database.parent.glob("*.db*"))
    assert b"nobody-keeps-this" not in stored


async def test_a_reader_who_does_not_read_loses_presence_and_no_delta(open_api: OpenApi) -> None:
    api = await open_api()
    asha, slow = await device(api, "asha"), await device(api, "slow")
    assert slow.socket._response.connection is not None
    transport = slow.socket._response.connection.transport
    assert transport is not None
    transport.pause_reading()
    await api.push(*(create(n, f"note-{n}", text="x" * 20_000) for n in range(1, 21)))
    for n in range(100):
        await asha.say({"at": n})
    await asha.send(type="ping")
    while await asha.hear() != {"type": "pong"}:
        pass
    transport.resume_reading()
    delta = await slow.hear()
    frames = [delta]
    while frames[-1].get("state") != {"at": 99}:
        frames.append(await slow.hear())
    entries = [entry["id"] for frame in frames if frame["type"] == "delta" for entry in frame["entries"]]
    assert entries == [f"note-{n}" for n in range(1, 21)]
    assert {frame["type"] for frame in frames} == {"delta", "presence"}


async def test_whoever_is_seen_under_a_replica_has_it_before_anybody_else_pushes_with_it(tmp_path: Path) -> None:
    """Others read its id, and one of them might be quicker than a phone that has little signal."""
    match = "match:m1"
    async with world(tmp_path) as club, Talk(club, "vera") as vera:
        await vera.subscribe(match)
        async with Talk(club, "sam", replica="sam-new-phone") as sam:
            await sam.subscribe(match)
            for scope, state in (("match:m2", {"at": 1}), (match, "here")):
                await sam.say(type="presence", scope=scope, state=state)
                assert (await sam.receive("error"))["code"] in ("not_subscribed", "invalid_message")
            async with club.server.parts.store.snapshot() as snapshot:
                assert await snapshot.owners(["sam-new-phone"]) == {}, "nobody has seen it"
            await sam.say(type="presence", scope=match, state={"at": 1})
            assert (await vera.receive("presence"))["replica"] == "sam-new-phone"
            body = {"replica": "sam-new-phone", "schema": 1, "changes": [{"n": 1}]}
            response = await club.ask("olga", "POST", "/sync/v1/push", json=body)
            assert (response.status, (await response.json())["code"]) == (403, "foreign_replica")
            change = club.change("sam-new-phone", match, "create", "event", "new", match_id="m1")
            assert [each["outcome"] for each in await club.push("sam", "sam-new-phone", change)] == ["applied"]


async def test_nobody_is_seen_under_the_replica_of_another_account(tmp_path: Path) -> None:
    """Watching takes no replica, so that the socket of whoever names a wrong one goes on."""
    match = "match:m1"
    async with world(tmp_path) as club, Talk(club, "vera") as vera:
        await vera.subscribe(match)
        for who, replica, code in (
            ("sam", "olga-phone", "foreign_replica"),
            ("sam", "server-1", "invalid_replica"),
            ("sam", "sam-phone", None),
            ("olga", "olga-phone", None),
            ("operator", "zoe-phone", None),
        ):
            async with Talk(club, who, replica=replica) as talk:
                assert await talk.subscribe(match) == {"pull": True}
                for n in range(2):
                    await talk.say(type="presence", scope=match, state={"says": who, "n": n})
                    if code is not None:
                        error = await talk.receive("error")
                        assert (error["code"], error["field"]) == (code, "replica")
                    else:
                        heard = await vera.receive("presence")
                        assert (heard["replica"], heard["state"]) == (replica, {"says": who, "n": n})
                await talk.say(type="ping")
                await talk.receive("pong")
            if code is None:
                assert (await vera.receive("presence"))["state"] is None
        await vera.say(type="ping")
        assert await vera.receive() == {"type": "pong"}
