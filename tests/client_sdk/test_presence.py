"""Presence on devices: told while there is a connection, renewed by itself, forgotten when it is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from client_sdk import Client, Editing, NotHere, Present, SyncState, Unfit, read_editing
from client_sdk.presence import Presences
from client_sdk.transport import LiveSocket
from conflict_rules import InvalidValue
from tests.client_sdk.conftest import OpenClient
from tests.support.lossy_network import LossyNetwork
from tests.support.scripted_server import scripted_server
from tests.support.served import Served, served
from tests.support.until import until


@pytest.fixture
async def brief(tmp_path: Path) -> AsyncIterator[Served]:
    """A real server for which presence stands two seconds."""
    async with served(tmp_path / "server.db", presence_ms=2000) as server:
        yield server


def others(client: Client, scope: str = "main") -> dict[str, Any]:
    return dict(client.presence(scope).present.others)


async def told_by_replica(client: Client, **said: Any) -> dict[str, Any]:
    client.presence("main").set(said)
    return {client.replica_id: said}


async def test_the_others_see_who_is_here_and_oneself_is_not_among_them(
    server: Served, open_client: OpenClient
) -> None:
    phone, tablet = await open_client("phone", server.url), await open_client("tablet", server.url)
    by_phone = await told_by_replica(phone, name="Asha")
    await until(lambda: others(tablet) == by_phone)
    by_tablet = await told_by_replica(tablet, name="Bo", at=[1, 2.5, None])
    await until(lambda: others(phone) == by_tablet)
    late = await open_client("late", server.url)
    await until(lambda: others(late) == {**by_phone, **by_tablet})


@pytest.mark.parametrize("encodings", [("msgpack", "json"), ("json", "msgpack")])
async def test_it_is_the_same_in_message_pack(server: Served, open_client: OpenClient, encodings: list[str]) -> None:
    phone, tablet = [await open_client(name, server.url, encoding=name) for name in encodings]
    by_phone = await told_by_replica(phone, name="आशा", cursor={"at": 3})
    await until(lambda: others(tablet) == by_phone)


async def test_what_changes_is_told_and_what_is_said_anew_leaves_the_rest(
    server: Served, open_client: OpenClient
) -> None:
    phone, tablet = await open_client("phone", server.url), await open_client("tablet", server.url)
    await told_by_replica(phone, name="Asha", minute=1)
    here = phone.presence("main")
    here.update(minute=2)
    assert here.said == {"name": "Asha", "minute": 2}
    await until(lambda: others(tablet) == {phone.replica_id: {"name": "Asha", "minute": 2}})
    here.leave()
    assert here.said is None
    await until(lambda: others(tablet) == {})


@pytest.mark.parametrize("how", ["close", "pause", "unfollow"])
async def test_whoever_goes_is_gone(server: Served, open_client: OpenClient, how: str) -> None:
    phone, tablet = await open_client("phone", server.url), await open_client("tablet", server.url)
    by_phone = await told_by_replica(phone, name="Asha")
    await until(lambda: others(tablet) == by_phone)
    await (phone.unfollow("main") if how == "unfollow" else phone.pause() if how == "pause" else phone.close())
    await until(lambda: others(tablet) == {})


async def test_after_a_pause_it_is_said_and_heard_again(server: Served, open_client: OpenClient) -> None:
    phone, tablet = await open_client("phone", server.url), await open_client("tablet", server.url)
    by_phone, by_tablet = await told_by_replica(phone, name="Asha"), await told_by_replica(tablet, name="Bo")
    await until(lambda: others(phone) == by_tablet and others(tablet) == by_phone)
    await phone.pause()
    assert others(phone) == {}, "nobody is known to be here"
    phone.presence("main").update(name="Asha again")
    await phone.resume()
    await until(lambda: others(phone) == by_tablet)
    await until(lambda: others(tablet) == {phone.replica_id: {"name": "Asha again"}})


async def test_when_the_connection_is_lost_nobody_is_here_and_afterwards_all_of_them_again(
    server: Served, network: LossyNetwork, open_client: OpenClient
) -> None:
    phone, tablet = await open_client("phone", network.url), await open_client("tablet", server.url)
    by_phone, by_tablet = await told_by_replica(phone, name="Asha"), await told_by_replica(tablet, name="Bo")
    await until(lambda: others(phone) == by_tablet and others(tablet) == by_phone)
    seen: list[Present] = []
    phone.presence("main").on_change(seen.append)
    network.cut()
    await until(lambda: others(phone) == {} and others(tablet) == {})
    network.heal()
    await until(lambda: others(phone) == by_tablet and others(tablet) == by_phone)
    assert seen == [Present(), Present(by_tablet)]


async def test_a_server_that_starts_anew_is_told_again(server: Served, open_client: OpenClient) -> None:
    phone, tablet = await open_client("phone", server.url), await open_client("tablet", server.url)
    by_phone = await told_by_replica(phone, name="Asha")
    await until(lambda: others(tablet) == by_phone)
    await server.stop()
    await until(lambda: others(tablet) == {})
    await server.start()
    await until(lambda: others(tablet) == by_phone)


async def test_it_is_renewed_for_as_long_as_there_is_a_connection(brief: Served, open_client: OpenClient) -> None:
    phone, tablet = await open_client("phone", brief.url), await open_client("tablet", brief.url)
    by_phone = await told_by_replica(phone, name="Asha")
    await until(lambda: others(tablet) == by_phone)
    changes: list[Present] = []
    tablet.presence("main").on_change(changes.append)
    renewed = brief.parts.presence._renewed
    first = next(iter(renewed.values()))
    # Longer than it would stand by itself.
    await until(lambda: bool(renewed) and next(iter(renewed.values())) > first + 3)
    assert (changes, others(tablet)) == ([], by_phone)


async def test_only_the_newest_of_many_is_sent_and_it_always_is(
    server: Served, open_client: OpenClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[object] = []
    send = LiveSocket.send

    async def note_and_send(socket: LiveSocket, message: Mapping[str, Any]) -> None:
        sent.append(message)
        await send(socket, message)

    monkeypatch.setattr(LiveSocket, "send", note_and_send)
    phone, tablet = await open_client("phone", server.url), await open_client("tablet", server.url)
    by_phone = await told_by_replica(phone, at=0)
    await until(lambda: others(tablet) == by_phone)
    seen: list[Present] = []
    tablet.presence("main").on_change(seen.append)
    for at in range(1, 501):
        phone.presence("main").set({"at": at})
        await asyncio.sleep(0)
    await until(lambda: others(tablet) == {phone.replica_id: {"at": 500}})
    assert len(seen) < 100
    assert len(sent) < 100


async def test_each_scope_has_its_own(server: Served, open_client: OpenClient) -> None:
    scopes = ["main", "match:9f"]
    phone, tablet = [await open_client(name, server.url, scopes=scopes) for name in ("phone", "tablet")]
    phone.presence("main").set({"in": "main"})
    phone.presence("match:9f").set({"in": "match"})
    await until(lambda: others(tablet) == {phone.replica_id: {"in": "main"}})
    await until(lambda: others(tablet, "match:9f") == {phone.replica_id: {"in": "match"}})
    phone.presence("main").leave()
    await until(lambda: others(tablet) == {})
    assert others(tablet, "match:9f") == {phone.replica_id: {"in": "match"}}


async def test_it_can_be_said_before_there_is_a_network_and_is_in_no_file(
    server: Served, network: LossyNetwork, open_client: OpenClient, tmp_path: Path
) -> None:
    tablet = await open_client("tablet", server.url)
    network.cut()
    phone = await open_client("phone", network.url)
    by_phone = await told_by_replica(phone, name="nobody-keeps-this")
    network.heal()
    await until(lambda: others(tablet) == by_phone)
    await phone.synced()
    assert not any(b"nobody-keeps-this" in path.read_bytes() for path in tmp_path.iterdir() if path.is_file())


async def test_nothing_is_said_of_a_scope_that_the_connection_has_no_room_to_watch(
    tmp_path: Path, open_client: OpenClient, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(tmp_path / "server.db", max_scopes=1) as server:
        phone, tablet = [
            await open_client(name, server.url, scopes={"watched": -1, "pulled": 0}) for name in ("phone", "tablet")
        ]
        phone.presence("pulled").set({"in": "pulled"})
        phone.presence("watched").set({"in": "watched"})
        await until(lambda: others(tablet, "watched") == {phone.replica_id: {"in": "watched"}})
        tablet.presence("watched").set({"heard": True})
        await until(lambda: bool(others(phone, "watched")))
        assert "could not follow" not in caplog.text


async def test_without_a_server_nobody_else_is_here(open_client: OpenClient) -> None:
    alone = await open_client("alone")
    here = alone.presence("main")
    here.set({"name": "Asha"})
    assert (here.said, here.present) == ({"name": "Asha"}, Present())


async def test_a_server_that_knows_no_presence_is_sent_none(open_client: OpenClient) -> None:
    async with scripted_server() as scripted:
        phone = await open_client("phone", scripted.url)
        phone.presence("main").set({"name": "Asha"})
        await until(lambda: phone.status.state is SyncState.LIVE)
        await scripted.sockets[-1].send_json({"type": "ping"})
        await until(lambda: bool(scripted.seen("pong")))
        assert scripted.seen("presence") == []


async def test_leaving_a_scope_and_coming_back_begins_anew(server: Served, open_client: OpenClient) -> None:
    phone, tablet = await open_client("phone", server.url), await open_client("tablet", server.url)
    by_phone, by_tablet = await told_by_replica(phone, name="Asha"), await told_by_replica(tablet, name="Bo")
    await until(lambda: others(phone) == by_tablet and others(tablet) == by_phone)
    here = phone.presence("main")
    heard: list[Present] = []
    here.on_change(heard.append)
    await phone.unfollow("main")
    assert (here.said, here.present) == (None, Present())
    await until(lambda: heard == [Present()])
    with pytest.raises(NotHere):
        here.set({})
    await phone.follow("main")
    await until(lambda: others(phone) == by_tablet and others(tablet) == {})
    here.set({"name": "Asha"})
    await until(lambda: others(tablet) == by_phone)


async def test_so_many_are_shown_and_the_rest_is_a_number(tmp_path: Path, open_client: OpenClient) -> None:
    async with served(tmp_path / "server.db", max_present_replicas=1) as server:
        phone, tablet, watch = [await open_client(name, server.url) for name in ("phone", "tablet", "watch")]
        by_phone = await told_by_replica(phone, name="Asha")
        await until(lambda: others(watch) == by_phone)
        by_tablet = await told_by_replica(tablet, name="Bo")
        await until(lambda: watch.presence("main").present == Present(by_phone, more=1))
        late = await open_client("late", server.url)
        await until(lambda: late.presence("main").present == Present(by_phone, more=1))
        phone.presence("main").leave()
        await until(lambda: watch.presence("main").present == Present(by_tablet))


async def test_who_is_here_can_be_followed_as_it_changes_until_the_client_closes(
    server: Served, open_client: OpenClient
) -> None:
    phone, tablet = await open_client("phone", server.url), await open_client("tablet", server.url)
    following = aiter(tablet.presence("main"))
    assert await anext(following) == Present()
    by_phone = await told_by_replica(phone, name="Asha")
    assert await anext(following) == Present(by_phone)
    phone.presence("main").leave()
    assert await anext(following) == Present()
    rest = asyncio.create_task(anext(following, None))
    await tablet.close()
    assert await asyncio.wait_for(rest, 10) is None
    assert [each async for each in tablet._presences.of("main")] == []


async def test_a_callback_that_fails_holds_up_nothing_and_one_that_was_taken_back_is_not_called(
    server: Served, open_client: OpenClient, caplog: pytest.LogCaptureFixture
) -> None:
    phone, tablet = await open_client("phone", server.url), await open_client("tablet", server.url)
    heard: list[Present] = []
    unheard: list[Present] = []

    def fail(_: Present) -> None:
        raise ZeroDivisionError

    tablet.presence("main").on_change(fail)
    tablet.presence("main").on_change(unheard.append)()
    tablet.presence("main").on_change(heard.append)
    by_phone = await told_by_replica(phone, name="Asha")
    await until(lambda: heard == [Present(by_phone)])
    assert unheard == []
    assert "who is present in main failed" in caplog.text


async def test_what_cannot_be_said_is_refused_at_once_and_what_was_said_stands(open_client: OpenClient) -> None:
    phone = await open_client("phone")
    here = phone.presence("main")
    here.set({"name": "Asha"})
    with pytest.raises(InvalidValue):
        here.set({"name": float("nan")})
    with pytest.raises(Unfit, match="1024"):
        here.update(text="x" * 1024)
    with pytest.raises(NotHere):
        phone.presence("elsewhere")
    assert here.said == {"name": "Asha"}
    assert phone.presence("main") is here


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"scope": 1},
        {"scope": "main"},
        {"scope": "main", "more": "many"},
        {"scope": "main", "type": "present"},
        {"scope": "main", "type": "present", "entries": {}},
        {"scope": "main", "type": "presence", "replica": 1, "state": {}},
        {"scope": "main", "type": "presence", "replica": "r1", "state": 1},
        {"scope": "main", "type": "presence", "replica": "gone", "state": None},
    ],
)
def test_a_message_that_says_nothing_changes_nothing(message: dict[str, Any]) -> None:
    presences = Presences(lambda: ["main"])
    presences.take({"type": "present", "scope": "main", "entries": [1, {"replica": "r1", "state": {"a": 1}}, {}]})
    presences.take(message)
    assert presences.of("main").present == Present({"r1": {"a": 1}})


def test_with_a_new_subscription_nobody_is_known_to_be_here_before_it_is_told() -> None:
    presences = Presences(lambda: ["main"])
    presences.take({"type": "present", "scope": "main", "entries": [{"replica": "r1", "state": {}}], "more": 2})
    presences.begin(["main"])
    assert presences.of("main").present == Present()


CURSOR = {"at": 3, "since": 1, "seq": 9}
PLACE = {"type": "note", "id": "n1", "field": "text"}


def test_a_place_in_a_document_is_read_whoever_wrote_it() -> None:
    said = {"name": "Asha", "document": {**PLACE, "more": 1}, "cursor": {**CURSOR, "to": 5}, "colour": "red"}
    assert read_editing(said) == {"name": "Asha", "document": PLACE, "cursor": {**CURSOR, "to": 5}}
    assert read_editing({"name": 7, "document": PLACE, "cursor": CURSOR}) == Editing(
        document={"type": "note", "id": "n1", "field": "text"}, cursor={"at": 3, "since": 1, "seq": 9}
    )


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"document": PLACE},
        {"cursor": CURSOR},
        {"document": "n1", "cursor": CURSOR},
        {"document": {"type": "note", "id": "n1"}, "cursor": CURSOR},
        {"document": PLACE, "cursor": {**CURSOR, "at": -1}},
        {"document": PLACE, "cursor": {**CURSOR, "at": True}},
        {"document": PLACE, "cursor": {**CURSOR, "to": "5"}},
        {"document": PLACE, "cursor": {**CURSOR, "seq": 1.5}},
    ],
)
def test_another_form_is_no_place_in_a_document(said: dict[str, Any]) -> None:
    assert read_editing(said) is None
