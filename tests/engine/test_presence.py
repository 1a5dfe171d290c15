"""Presence: told to the others, bounded, renewed or expired, and never in the way of a delta."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from syncd.engine import presence as module
from syncd.engine.connection import Connection, LiveFrame
from syncd.engine.limits import Limits
from syncd.engine.presence import Presence
from syncd.errors import InvalidMessage, RequestError, TooLarge
from tests.support.onlookers import Onlooker, frames_of
from tests.support.timers import SettableTime

LIMITS = Limits()
EXPIRY_S = LIMITS.presence_ms / 1000


class House:
    """A presence with time in the test's hand."""

    def __init__(self, **limits: int) -> None:
        self.time = SettableTime()
        self.presence = Presence(replace(LIMITS, **limits), self.time)

    def enter(self, replica: str | None, *scopes: str, packed: bool = False) -> Connection:
        connection = Connection(packed=packed)
        self.presence.join(connection, replica)
        self.presence.watch(connection, scopes or ["main"])
        return connection

    async def look_on(self, replica: str, *scopes: str) -> Connection:
        """Somebody who has heard already who is here."""
        connection = self.enter(replica, *scopes)
        await frames_of(connection)
        return connection

    def say(self, connection: Connection, state: object, scope: str = "main") -> None:
        self.presence.say(connection, scope, state)


def told(replica: str, state: Any, scope: str = "main") -> dict[str, Any]:
    return {"type": "presence", "scope": scope, "replica": replica, "state": state}


@pytest.fixture
def house() -> House:
    return House()


async def test_the_others_who_watch_the_scope_are_told_and_nobody_else(house: House) -> None:
    one, two, elsewhere = house.enter("r1"), await house.look_on("r2"), house.enter("r3", "other")
    house.say(one, {"name": "Asha"})
    assert await frames_of(two) == [told("r1", {"name": "Asha"})]
    assert await frames_of(one) == []
    assert await frames_of(elsewhere) == []


async def test_who_comes_is_told_in_one_message_who_is_here(house: House) -> None:
    one, two = house.enter("r1"), house.enter("r2")
    house.say(one, {"name": "Asha"})
    house.say(two, {"name": "Bo"})
    three = house.enter("r3")
    entries = [{"replica": "r1", "state": {"name": "Asha"}}, {"replica": "r2", "state": {"name": "Bo"}}]
    assert await frames_of(three) == [{"type": "present", "scope": "main", "entries": entries}]


async def test_who_comes_where_nobody_is_hears_nothing(house: House) -> None:
    assert await frames_of(house.enter("r1")) == []


async def test_subscribing_again_tells_nothing_again(house: House) -> None:
    house.say(house.enter("r1"), {})
    two = house.enter("r2")
    await frames_of(two)
    house.presence.watch(two, ["main"])
    assert await frames_of(two) == []


async def test_a_null_ends_it(house: House) -> None:
    one, two = house.enter("r1"), house.enter("r2")
    house.say(one, {})
    await frames_of(two)
    house.say(one, None)
    assert await frames_of(two) == [told("r1", None)]
    house.say(one, None)
    assert await frames_of(two) == []


@pytest.mark.parametrize("goes", ["leave", "unwatch"])
async def test_who_goes_is_gone_at_once(house: House, goes: str) -> None:
    one, two = house.enter("r1"), house.enter("r2")
    house.say(one, {})
    await frames_of(two)
    if goes == "leave":
        house.presence.leave(one)
        house.presence.leave(one)
    else:
        house.presence.unwatch(one, ["main", "never-watched"])
    assert await frames_of(two) == [told("r1", None)]
    assert await frames_of(house.enter("r3")) == []


async def test_a_replica_on_two_sockets_is_there_until_the_last_is_gone(house: House) -> None:
    first, second, watcher = house.enter("r1"), house.enter("r1"), await house.look_on("r2")
    house.say(first, {"tab": 1})
    house.say(second, {"tab": 2})
    assert await frames_of(watcher) == [told("r1", {"tab": 2})], "of what waits, the newest"
    house.presence.leave(second)
    assert await frames_of(watcher) == [told("r1", {"tab": 1})]
    house.presence.leave(first)
    assert await frames_of(watcher) == [told("r1", None)]


async def test_no_socket_is_told_of_its_own_replica(house: House) -> None:
    first, second = house.enter("r1"), await house.look_on("r1")
    house.say(first, {})
    assert await frames_of(second) == []
    assert await frames_of(house.enter("r1")) == []


async def test_it_expires_unless_it_is_renewed(house: House) -> None:
    one, two, watcher = house.enter("r1"), house.enter("r2"), house.enter("r3")
    house.say(one, {"v": 1})
    house.say(two, {"v": 1})
    await frames_of(watcher)
    house.time.advance(EXPIRY_S - 1)
    house.say(one, {"v": 1})
    assert await frames_of(watcher) == [], "a renewal is no news"
    house.time.advance(1)
    assert await frames_of(watcher) == [told("r2", None)]
    house.time.advance(EXPIRY_S - 1)
    assert await frames_of(watcher) == [told("r1", None)]
    house.say(one, {"v": 1})
    assert await frames_of(watcher) == [told("r1", {"v": 1})]


async def test_of_two_sockets_the_one_that_does_not_renew_expires_alone(house: House) -> None:
    first, second, watcher = house.enter("r1"), house.enter("r1"), house.enter("r2")
    house.say(first, {"tab": 1})
    house.say(second, {"tab": 2})
    await frames_of(watcher)
    house.time.advance(EXPIRY_S / 2)
    house.say(first, {"tab": 1})
    house.time.advance(EXPIRY_S / 2)
    assert await frames_of(watcher) == [told("r1", {"tab": 1})]


async def test_who_says_too_much_is_told_of_ten_times_a_second_and_at_last_what_he_said_last(house: House) -> None:
    one, watcher = house.enter("r1"), await house.look_on("r2")
    heard: list[tuple[float, int]] = []
    for n in range(512):
        house.say(one, {"at": n})
        heard += [(house.time.time(), frame["state"]["at"]) for frame in await frames_of(watcher)]
        house.time.advance(1 / 128)
    house.time.advance(1)
    heard += [(house.time.time(), frame["state"]["at"]) for frame in await frames_of(watcher)]
    assert heard[-1][1] == 511
    assert [at for _, at in heard] == sorted(at for _, at in heard)
    for start, _ in heard:
        assert sum(start <= when < start + 1 for when, _ in heard) <= LIMITS.max_presence_per_s
    assert len(heard) >= 4 * LIMITS.max_presence_per_s - 1, "held back, but not longer than needed"


async def test_the_rate_is_of_the_socket_over_all_its_scopes_and_none_of_them_starves(house: House) -> None:
    scopes = [f"s{n}" for n in range(30)]
    one, watcher = house.enter("r1", *scopes), house.enter("r2", *scopes)
    for round_ in range(3):
        for scope in scopes:
            house.say(one, {"round": round_}, scope)
    assert len(await frames_of(watcher)) == LIMITS.max_presence_per_s
    seen = Onlooker(watcher)
    for _ in range(3):
        house.time.advance(1)
        assert len(await seen.read()) <= LIMITS.max_presence_per_s
    house.time.advance(1)
    await seen.read()
    assert {scope: seen.others[scope]["r1"]["round"] for scope in scopes} == dict.fromkeys(scopes, 2)


async def test_what_is_held_is_told_no_more_once_its_socket_or_its_scope_has_gone(house: House) -> None:
    one, watcher = house.enter("r1", "main", "other"), house.enter("r2", "main", "other")
    for n in range(12):
        house.say(one, {"at": n})
    house.say(one, {}, "other")
    house.presence.unwatch(one, ["main"])
    await frames_of(watcher)
    house.time.advance(2)
    assert await frames_of(watcher) == [told("r1", {}, "other")]
    for n in range(12):
        house.say(one, {"at": n}, "other")
    house.presence.leave(one)
    house.time.advance(2)
    assert await frames_of(watcher) == [told("r1", None, "other")]


async def test_going_back_to_what_was_told_takes_back_what_is_held(house: House) -> None:
    one, watcher = house.enter("r1"), house.enter("r2")
    for n in range(11):
        house.say(one, {"at": n})
    house.say(one, {"at": 9})
    await frames_of(watcher)
    house.time.advance(2)
    assert await frames_of(watcher) == []


async def test_so_many_are_shown_and_the_rest_is_a_count() -> None:
    house = House(max_present_replicas=2)
    early = Onlooker(house.enter("early"))
    connections = [house.enter(f"r{n}") for n in range(5)]
    for connection in connections:
        house.say(connection, {})
    await early.read()
    late = Onlooker(house.enter("late"))
    assert await late.read() == [
        {
            "type": "present",
            "scope": "main",
            "entries": [{"replica": "r0", "state": {}}, {"replica": "r1", "state": {}}],
            "more": 3,
        }
    ]
    last = Onlooker(connections[-1])
    await last.read()
    assert [(set(each.others["main"]), each.more["main"]) for each in (early, late, last)] == [
        ({"r0", "r1"}, 3),
        ({"r0", "r1"}, 3),
        ({"r0", "r1"}, 2),
    ]
    house.presence.leave(connections[0])
    for each in (early, late, last):
        await each.read()
    assert [(set(each.others["main"]), each.more["main"]) for each in (early, late, last)] == [
        ({"r1", "r2"}, 2),
        ({"r1", "r2"}, 2),
        ({"r1", "r2"}, 1),
    ]


async def test_a_reader_who_takes_nothing_gets_the_newest_of_each_when_he_does(house: House) -> None:
    ones = [house.enter(f"r{n}") for n in range(3)]
    slow = await house.look_on("slow")
    for n in range(100):
        for one in ones:
            house.say(one, {"at": n})
        house.time.advance(1)
    assert await frames_of(slow) == [told(f"r{n}", {"at": 99}) for n in range(3)]


async def test_a_delta_goes_first_and_none_is_lost_to_presence(house: House) -> None:
    one = house.enter("r1", "main", *(f"s{n}" for n in range(300)))
    watcher = Connection(max_frames=2)
    house.presence.join(watcher, "r2")
    house.presence.watch(watcher, ["main", *(f"s{n}" for n in range(300))])
    house.say(one, {"v": 1})
    for n in range(2):
        watcher.put("main", LiveFrame(b'{"type":"delta","n":%d}' % n, "main", str(n)))
    for n in range(300):
        house.say(one, {"v": 2}, f"s{n}")
        house.time.advance(0.2)
    frames = await frames_of(watcher)
    assert frames[:2] == [{"type": "delta", "n": 0}, {"type": "delta", "n": 1}]
    assert {frame["type"] for frame in frames[2:]} == {"present"}, "whoever was not told yet is told at once"


async def test_a_hint_to_pull_goes_first_and_takes_no_presence_along(house: House) -> None:
    one, watcher = house.enter("r1"), house.enter("r2")
    house.say(one, {})
    watcher.put("main", LiveFrame(b'{"type":"delta"}', "main", "1"))
    watcher.forget(["main"])
    watcher.tell_to_pull(["main"])
    assert await frames_of(watcher) == [
        {"type": "pull", "scopes": ["main"]},
        {"type": "present", "scope": "main", "entries": [{"replica": "r1", "state": {}}]},
    ]


async def test_what_waits_for_a_reader_who_never_reads_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_NEWS", 8)
    house = House()
    seen = Onlooker(house.enter("watcher"))
    await seen.read()
    staying = house.enter("staying")
    house.say(staying, {})
    await seen.read()
    for n in range(100):
        passer_by = house.enter(f"r{n}")
        house.say(passer_by, {})
        house.presence.leave(passer_by)
        assert seen.connection.aside_count <= 8
    frames = await seen.read()
    assert [frame["type"] for frame in frames] == ["present"]
    assert seen.others["main"] == {"staying": {}}


async def test_an_empty_house_is_told_where_single_news_had_become_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_NEWS", 1)
    house = House()
    seen = Onlooker(house.enter("watcher"))
    await seen.read()
    one, two = house.enter("r1"), house.enter("r2")
    house.say(one, {})
    await seen.read()
    house.say(two, {})
    house.presence.leave(one)
    house.presence.leave(two)
    assert await seen.read() == [{"type": "present", "scope": "main", "entries": []}]
    assert seen.others["main"] == {}


async def test_a_crowded_scope_is_told_at_a_bearable_pace_and_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_TELLINGS_PER_S", 100)
    house = House()
    crowd = [await house.look_on(f"r{n}") for n in range(16)]
    one, two = house.enter("one", "quiet"), await house.look_on("two", "quiet")
    seen = Onlooker(await house.look_on("watcher"))
    for n, talker in enumerate(crowd):
        house.say(talker, {"at": n})
    house.say(one, {}, "quiet")
    assert len(await seen.read()) == 1
    house.time.advance(0.5)
    assert await frames_of(two) == [told("one", {}, "quiet")]
    assert 2 <= len(await seen.read()) <= 4
    for n, talker in enumerate(crowd):
        house.say(talker, {"at": -n})
    house.time.advance(16 * 17 / 100)
    assert len(await seen.read()) <= 16
    assert seen.others["main"] == {f"r{n}": {"at": -n} for n in range(16)}
    house.presence.close()
    assert house.time.waiting == 0


async def test_news_that_wait_for_a_crowd_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TELLINGS_PER_S", 10)
    monkeypatch.setattr(module, "_MOST_NEWS", 8)
    house = House()
    seen = Onlooker(await house.look_on("watcher"))
    house.say(house.enter("staying"), {})
    for n in range(100):
        passer_by = house.enter(f"r{n}")
        house.say(passer_by, {})
        house.presence.leave(passer_by)
        assert len(house.presence._rooms["main"].news) <= 8
    house.time.advance(10)
    await seen.read()
    assert seen.others["main"] == {"staying": {}}


async def test_each_format_is_encoded_once_for_all_who_read_it(house: House) -> None:
    one = house.enter("r1")
    readers = [house.enter(f"w{n}", packed=n >= 2) for n in range(4)]
    for reader in readers:
        await frames_of(reader)
    house.say(one, {"name": "आशा"})
    frames = [await reader.take() for reader in readers]
    bodies = [frame.body for frame in frames if frame is not None]
    assert bodies[0] is bodies[1]
    assert bodies[2] is bodies[3]
    house.say(one, {"name": "Bo"})
    assert [await frames_of(reader) for reader in readers] == [[told("r1", {"name": "Bo"})]] * 4


async def test_nothing_is_left_of_those_who_have_gone(house: House) -> None:
    guests = [house.enter(f"r{n}", "main", "other") for n in range(5)]
    for guest in guests:
        for n in range(20):
            house.say(guest, {"at": n})
    house.presence.close()
    house.presence.close()
    assert (house.presence._guests, house.presence._rooms, dict(house.presence._renewed)) == ({}, {}, {})
    assert house.time.waiting == 0


@pytest.mark.parametrize(
    ("state", "kind", "field"),
    [
        ([], InvalidMessage, "state"),
        ("here", InvalidMessage, "state"),
        ({"at": float("nan")}, InvalidMessage, "state.at"),
        ({"at": 1 << 60}, InvalidMessage, "state.at"),
        ({"name": "\ud800"}, InvalidMessage, "state.name"),
        ({"name": b"bytes"}, InvalidMessage, "state.name"),
        ({1: "one"}, InvalidMessage, "state"),
        ({"name": "x" * 1024}, TooLarge, "state"),
    ],
)
async def test_a_state_that_cannot_be_told_is_refused_and_what_stood_stands(
    house: House, state: object, kind: type[RequestError], field: str
) -> None:
    one = house.enter("r1")
    house.say(one, {"v": 1})
    with pytest.raises(kind) as refused:
        house.say(one, state)
    assert refused.value.field == field
    assert (await frames_of(house.enter("r2")))[0]["entries"] == [{"replica": "r1", "state": {"v": 1}}]


async def test_a_state_of_exactly_the_limit_is_told(house: House) -> None:
    state = {"name": "é" * 506 + "x"}
    one, two = house.enter("r1"), await house.look_on("r2")
    house.say(one, state)
    assert await frames_of(two) == [told("r1", state)]


@pytest.mark.parametrize("replica", [None, "", "no spaces", "_", "x" * 65])
async def test_who_does_not_say_which_replica_it_is_only_looks_on(house: House, replica: str | None) -> None:
    one, watcher = house.enter("r1"), house.enter(replica)
    with pytest.raises(InvalidMessage) as refused:
        house.say(watcher, {})
    assert refused.value.problem_code == "invalid_replica"
    house.say(one, {})
    assert len(await frames_of(watcher)) == 1


async def test_only_who_watches_a_scope_can_be_seen_there(house: House) -> None:
    one = house.enter("r1")
    with pytest.raises(InvalidMessage) as refused:
        house.say(one, {}, "other")
    assert (refused.value.problem_code, refused.value.field) == ("not_subscribed", "scope")
