"""`types`: a reader that names them is served as a class of its own (law 6), over whichever way it reads."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgpack
import pytest
from aiohttp import ClientSession, ClientWebSocketResponse

from conflict_rules.digest import digest_text, scope_digest
from conflict_rules.wire import decode_state
from syncd.api.listener import listening
from syncd.app import App, Resource
from syncd.settings import Settings
from syncd.wiring import open_server
from tests.api.conftest import Api, create, problem_of

SOME: dict[str, Any] = {"types": ["event"]}
BAD: list[object] = [[], ["Event"], ["event", "no spaces"], [1], "event", {"event": True}, ["e"] * 201]


def event(n: int, id: str, **fields: object) -> dict[str, object]:
    return {**create(n, id), "fields": fields, "type": "event"}


async def page_of(api: Api, cursor: str | None = None, **more: Any) -> dict[str, Any]:
    page: dict[str, Any] = (await api.pull({"main": cursor}, **more))["scopes"]["main"]
    return page


def ids(states: list[dict[str, Any]]) -> list[str]:
    return [state["id"] for state in states]


class TestAPull:
    async def test_tells_of_these_types_and_moves_on_over_the_others(self, api: Api) -> None:
        await api.push(create(1, "a"), event(2, "b"), create(3, "c"))
        page = await page_of(api, **SOME)
        assert (ids(page["resources"]), page["more"], "reset" in page) == (["b"], False, False)
        await api.push(create(4, "d"))
        later = await page_of(api, page["cursor"], **SOME)
        assert (later["resources"], "reset" in later) == ([], False)
        assert later["cursor"] != page["cursor"]

    async def test_with_the_cursor_of_another_class_starts_over(self, api: Api) -> None:
        await api.push(create(1, "a"), event(2, "b"))
        page = await page_of(api, **SOME)
        assert "reset" not in await page_of(api, page["cursor"], types=["event", "event"])
        for more, expected in (({}, ["a", "b"]), ({"types": ["note"]}, ["a"]), ({"types": None}, ["a", "b"])):
            other = await page_of(api, page["cursor"], **more)
            assert (other["reset"], ids(other["resources"])) == (True, expected)

    async def test_has_the_digest_of_what_it_tells(self, api: Api) -> None:
        await api.push(create(1, "a"), event(2, "b", text="x"), event(3, "c"))
        page = await page_of(api, digest=True, **SOME)
        states = [decode_state(state, "main") for state in page["resources"]]
        assert page["digest"] == digest_text(scope_digest(states))
        assert page["digest"] != (await page_of(api, digest=True))["digest"]

    async def test_in_message_pack_is_the_same(self, api: Api) -> None:
        await api.push(create(1, "a"), event(2, "b"))
        response = await api.http.post(
            "/sync/v1/pull",
            data=msgpack.packb({"scopes": {"main": None}, **SOME}),
            headers={"Content-Type": "application/msgpack"},
        )
        assert msgpack.unpackb(await response.read())["scopes"]["main"] == await page_of(api, **SOME)

    @pytest.mark.parametrize("types", BAD)
    async def test_of_what_cannot_be_types_is_refused_with_the_place(self, api: Api, types: object) -> None:
        response = await api.http.post("/sync/v1/pull", json={"scopes": {}, "types": types})
        field = (await problem_of(response, 400, "invalid_message"))["field"]
        assert field in ("types", "types.0")

    async def test_from_a_server_whose_app_has_another_version_starts_over(self, tmp_path: Path) -> None:
        def app(version: int) -> App:
            made = App("club", version=version)

            @made.resource(scope="main")
            class Note(Resource):
                pass

            return made

        async with served(tmp_path, app(1)) as api:
            await api.push(create(1, "a"))
            cursor = (await page_of(api))["cursor"]
            assert "-" not in cursor, "as cursors have always been"
        async with served(tmp_path, app(2)) as api:
            page = await page_of(api, cursor)
            assert page["reset"]
            assert "reset" not in await page_of(api, page["cursor"])


class TestASocket:
    async def test_is_sent_these_types_and_an_empty_delta_for_the_others(self, api: Api) -> None:
        cursor = (await page_of(api, **SOME))["cursor"]
        socket, answer = await subscribed(api, cursor, **SOME)
        assert answer == {"cursor": cursor}
        for n, change in enumerate([create(1, "a"), event(2, "b"), create(3, "c")], start=1):
            await api.push(change)
            delta = await socket.receive_json(timeout=5)
            assert (delta["after"], ids(delta["entries"])) == (cursor, ["b"] if n == 2 else [])
            cursor = delta["upto"]
        assert cursor == (await page_of(api, **SOME))["cursor"]

    async def test_that_comes_with_the_cursor_of_another_class_is_told_to_pull(self, api: Api) -> None:
        await api.push(create(1, "a"), event(2, "b"))
        _, answer = await subscribed(api, (await page_of(api))["cursor"], **SOME)
        assert answer == {"pull": True}
        _, answer = await subscribed(api, (await page_of(api, **SOME))["cursor"])
        assert answer == {"pull": True}

    async def test_changes_its_class_with_its_next_subscription(self, api: Api) -> None:
        cursor = (await page_of(api, **SOME))["cursor"]
        socket, _ = await subscribed(api, cursor, **SOME)
        cursor = (await page_of(api))["cursor"]
        await socket.send_json({"type": "subscribe", "scopes": {"main": cursor}})
        assert (await socket.receive_json(timeout=5))["scopes"] == {"main": {"cursor": cursor}}
        await api.push(create(1, "a"), event(2, "b"))
        delta = await socket.receive_json(timeout=5)
        assert (delta["after"], ids(delta["entries"])) == (cursor, ["a", "b"])

    @pytest.mark.parametrize("types", BAD)
    async def test_is_told_what_cannot_be_types_and_watches_nothing(self, api: Api, types: object) -> None:
        socket = await welcomed(api)
        await socket.send_json({"type": "subscribe", "scopes": {"main": None}, "types": types})
        error = await socket.receive_json(timeout=5)
        assert (error["type"], error["code"]) == ("error", "invalid_message")
        assert api.server.watcher._topics == {}


class TestAStream:
    async def test_is_sent_these_types_and_takes_up_again_where_it_was(self, api: Api) -> None:
        cursor = (await page_of(api, **SOME))["cursor"]
        query = [("scope", "main"), ("cursor", cursor), ("type", "event")]
        async with api.http.get("/sync/v1/stream", params=query) as stream:
            welcome, _ = await event_of(stream)
            assert welcome["scopes"] == {"main": {"cursor": cursor}}
            await api.push(create(1, "a"), event(2, "b"))
            delta, last = await event_of(stream)
            assert (delta["after"], ids(delta["entries"])) == (cursor, ["b"])
        async with api.http.get("/sync/v1/stream", params=query, headers={"Last-Event-ID": last}) as stream:
            welcome, _ = await event_of(stream)
            assert welcome["scopes"] == {"main": {"cursor": delta["upto"]}}
        for other in ([("type", "note")], [("type", "event"), ("type", "note")], []):
            query = [("scope", "main"), *other]
            async with api.http.get("/sync/v1/stream", params=query, headers={"Last-Event-ID": last}) as stream:
                welcome, _ = await event_of(stream)
                assert welcome["scopes"] == {"main": {"pull": True}}, "another class"

    @pytest.mark.parametrize("types", [[""], ["Event"], ["e"] * 201])
    async def test_of_what_cannot_be_types_is_refused(self, api: Api, types: list[str]) -> None:
        query = [("scope", "main"), *(("type", name) for name in types)]
        response = await api.http.get("/sync/v1/stream", params=query)
        assert (await problem_of(response, 400, "invalid_message"))["field"] == "types"


@asynccontextmanager
async def served(folder: Path, app: App) -> AsyncIterator[Api]:
    """A server on the database of this folder."""
    async with (
        open_server(Settings(database=folder / "club.db"), app) as server,
        listening(server.web, host="127.0.0.1", port=0, idle_timeout_s=10, shutdown_timeout_s=1) as url,
        ClientSession(url) as http,
    ):
        yield Api(server, url, http)


async def welcomed(api: Api) -> ClientWebSocketResponse:
    socket = await api.http.ws_connect("/sync/v1/live")
    await socket.send_json({"type": "hello"})
    assert (await socket.receive_json(timeout=5))["type"] == "welcome"
    return socket


async def subscribed(api: Api, cursor: str, **more: Any) -> tuple[ClientWebSocketResponse, dict[str, Any]]:
    """A socket that watches, and how it stands."""
    socket = await welcomed(api)
    await socket.send_json({"type": "subscribe", "scopes": {"main": cursor}, **more})
    answer = await socket.receive_json(timeout=5)
    assert answer["type"] == "subscribed", answer
    return socket, answer["scopes"]["main"]


async def event_of(stream: Any) -> tuple[dict[str, Any], str]:
    """The next event's data, and its id."""
    lines = (await stream.content.readuntil(b"\n\n")).decode().splitlines()
    told = dict(line.partition(": ")[::2] for line in lines if line)
    return json.loads(told["data"]), told["id"]
