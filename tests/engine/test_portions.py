"""Portions: a long push goes in pieces, and nobody can tell but by the time that everybody else has to wait."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_sdk import Client
from conflict_rules.wire import decode_state
from syncd.engine import portions, push
from syncd.engine.portions import Pace, group_of, scattered_groups, take_portion, units_of
from syncd.errors import StoreUnavailable
from syncd.store.protocol import Store, Transaction
from tests.support.engine import Engine, Replica, open_engine
from tests.support.served import served

LONG = 1000
PORTION = 100
"""Of a long push while nobody else is there."""


class UnsteadyStore:
    """A store that cannot be had for the transactions in `fails`, counted from 1; `begun` is set by the first."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.fails: Collection[int] = ()
        self.transactions = 0
        self.begun = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    @asynccontextmanager
    async def transaction(self, *, replicas: Collection[str], scopes: Collection[str]) -> AsyncIterator[Transaction]:
        self.transactions += 1
        self.begun.set()
        if self.transactions in self.fails:
            raise StoreUnavailable("the disk is full", code="disk_full")
        async with self.store.transaction(replicas=replicas, scopes=scopes) as transaction:
            yield transaction


class Unsteady:
    """An engine, and the store beneath it."""

    def __init__(self) -> None:
        self.engine: Engine
        self.store: UnsteadyStore

    def wrap(self, store: Store) -> Store:
        self.store = UnsteadyStore(store)
        return cast(Store, self.store)


@pytest.fixture
async def unsteady(tmp_path: Path) -> AsyncIterator[Unsteady]:
    unsteady = Unsteady()
    async with open_engine(tmp_path / "syncd.db", wrap=unsteady.wrap) as unsteady.engine:
        yield unsteady


def creates(replica: Replica, count: int) -> list[dict[str, Any]]:
    return [replica.change("create", f"{replica.id}-{n}", 0, v=n) for n in range(1, count + 1)]


def told(outcomes: list[dict[str, Any]]) -> list[tuple[str, str | None]]:
    return [(outcome["outcome"], outcome.get("code")) for outcome in outcomes]


class TestUnits:
    """Which changes are settled as one, and how many of them at a time."""

    @given(st.lists(st.sampled_from([None, "g", "h", 7])), st.integers(1, 12))
    def test_portions_hold_every_change_in_order_and_divide_no_group(self, groups: list[object], size: int) -> None:
        raws: list[object] = [{"n": n, "group": group} for n, group in enumerate(groups)]
        units = units_of(raws)
        taken: list[list[object]] = []
        while units:
            taken.append(take_portion(units, size))
        assert [raw for portion in taken for raw in portion] == raws
        for before, after in pairwise(taken):
            assert group_of(before[-1]) is None or group_of(before[-1]) != group_of(after[0])
        assert all(len(portion) <= size or len(units_of(portion)) == 1 for portion in taken)

    def test_a_group_that_does_not_fit_waits_for_the_next_portion_and_a_larger_one_goes_alone(self) -> None:
        raws: list[object] = [{"n": 1}, *({"n": n, "group": "g"} for n in (2, 3, 4)), {"n": 5}]
        units = units_of(raws)
        assert [len(take_portion(units, 2)) for _ in range(3)] == [1, 3, 1]
        assert take_portion(deque(), 2) == []

    def test_a_group_is_scattered_if_anything_stands_between_its_members(self) -> None:
        raws = [{"group": "a"}, {"group": "a"}, {}, {"group": "b"}, {"group": "c"}, {"group": "b"}]
        assert scattered_groups(raws) == {"b"}

    @pytest.mark.parametrize("raw", [None, 7, "g", ["group"], {}, {"group": None}, {"group": ["g"]}])
    def test_what_names_no_group_is_in_none(self, raw: object) -> None:
        assert group_of(raw) is None


class TestPace:
    """A short push tells that there is company; for a second after the last one, long pushes make room."""

    def test_alone_it_goes_on_without_a_rest(self) -> None:
        pace = Pace(lambda: 0.0)
        pace.begin(LONG)
        assert pace.portion == PORTION
        assert pace.pause_s(0.004) == 0

    def test_in_company_it_goes_in_short_steps_and_rests_ten_times_as_long_as_each_took(self) -> None:
        pace = Pace(lambda: 0.0)
        pace.begin(1)
        pace.begin(LONG)
        assert pace.portion == 10
        assert pace.pause_s(0.004) == pytest.approx(0.04)

    def test_no_rest_is_long_however_slow_the_database_is(self) -> None:
        pace = Pace(lambda: 0.0)
        pace.begin(1)
        assert pace.pause_s(30.0) == 0.05

    def test_a_push_of_one_step_is_company_and_a_longer_one_is_not(self) -> None:
        for changes, portion in ((10, 10), (11, PORTION)):
            pace = Pace(lambda: 0.0)
            pace.begin(changes)
            assert pace.portion == portion

    def test_company_is_gone_a_second_after_the_last_short_push(self) -> None:
        now = 5.0
        pace = Pace(lambda: now)
        pace.begin(1)
        now = 5.9
        assert pace.portion == 10
        pace.begin(1)
        now = 6.8
        assert pace.portion == 10
        now = 6.95
        assert pace.portion == PORTION
        assert pace.pause_s(0.004) == 0


async def everything_that_can_happen(engine: Engine) -> list[object]:
    """A push of a thousand changes, ready to be sent by the replica `a`."""
    a, b = engine.replica("a"), engine.replica("b", ahead_s=30)
    await b.create("theirs", v="old", w="old")
    await b.update("theirs", 1, v="later")
    changes: list[object] = []
    for k in range(40):
        whole, broken, torn = f"whole-{k}", f"broken-{k}", f"torn-{k}"
        mine = a.change("create", f"mine-{k}", 0, v=k)
        changes += [
            mine,
            a.change("update", f"mine-{k}", 0, v="mine again"),
            a.change("update", "theirs", 1, v="earlier"),
            a.change("update", "theirs", 1, v="earlier", w=k),
            *(a.change("create", f"{whole}-{i}", 0, _group=whole, v=k) for i in range(3)),
            a.change("create", "bad id!", 0, v=k),
            mine,
            {**mine, "fields": {"v": "another"}},
            {"id": "without a number"},
            a.change("update", f"never-{k}", 0, v=k),
            a.change("create", f"{broken}-1", 0, _group=broken, v=k),
            a.change("create", "bad id!", 0, _group=broken, v=k),
            a.change("create", f"{torn}-1", 0, _group=torn, v=k),
            a.change("create", f"between-{k}", 0, v=k),
            a.change("create", f"{torn}-2", 0, _group=torn, v=k),
            a.change("delete", f"between-{k}", 0),
        ]
    changes += [a.change("create", f"large-{i}", 0, _group="large", v=i) for i in range(130)]
    changes += [changes[i] for i in range(100)]
    a.n += 1
    return [*changes, *(a.change("create", f"behind-{i}", 0, v=i) for i in range(LONG - len(changes)))]


@pytest.mark.parametrize("size", [1, 10, 100])
async def test_a_push_of_a_thousand_changes_is_answered_as_if_it_were_one_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    answers, states, digests = [], [], []
    for portion in (LONG, size):
        monkeypatch.setattr(portions, "_ALONE", portion)
        monkeypatch.setattr(portions, "_IN_COMPANY", portion)
        monkeypatch.setattr(portions, "_REST", 0)
        async with open_engine(tmp_path / f"{portion}.db") as engine:
            changes = await everything_that_can_happen(engine)
            assert len(changes) == LONG
            reply = await engine.pusher.push("a", 1, changes)
            # What a resource looks like is told as of the end of what was settled with it.
            shown = [{key: outcome[key] for key in outcome if key != "resource"} for outcome in reply.outcomes]
            answers.append((reply.settled, shown))
            states.append({name: decode_state(state, "main") for name, state in (await engine.states()).items()})
            async with engine.store.snapshot() as snapshot:
                digests.append(await snapshot.digests(["main"]))
    assert answers[0] == answers[1]
    assert states[0] == states[1]
    assert digests[0] == digests[1]
    codes = {(outcome["outcome"], outcome.get("code"), outcome.get("repeat")) for outcome in answers[0][1]}
    assert codes == {
        ("applied", None, None),
        ("applied", None, True),
        ("merged", None, None),
        ("merged", None, True),
        ("overruled", "later_change_stands", None),
        ("overruled", "later_change_stands", True),
        ("rejected", "group_rejected", None),
        ("rejected", "id_reuse", None),
        ("rejected", "invalid_group", None),
        ("rejected", "invalid_group", True),
        ("rejected", "invalid_id", None),
        ("rejected", "invalid_id", True),
        ("rejected", "invalid_number", None),
        ("rejected", "unknown_resource", None),
        ("rejected", "unknown_resource", True),
        ("retry_later", "out_of_order", None),
    }, "nothing that can happen was left out"


async def test_others_get_their_turn_between_portions(unsteady: Unsteady) -> None:
    a, b = unsteady.engine.replica("a"), unsteady.engine.replica("b")
    long = asyncio.create_task(a.push(*creates(a, LONG)))
    await unsteady.store.begun.wait()
    outcome = await b.create("short", v=1)
    assert not long.done()
    assert outcome["version"] <= 3 * PORTION + 1
    assert told(await long) == [("applied", None)] * LONG


async def test_in_company_a_long_push_goes_in_short_steps(unsteady: Unsteady, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portions, "_COMPANY_S", float("inf"))
    monkeypatch.setattr(portions, "_REST", 0)
    a, b = unsteady.engine.replica("a"), unsteady.engine.replica("b")
    await b.create("short", v=1)
    await a.push(*creates(a, 95))
    assert unsteady.store.transactions == 1 + 10


async def test_what_a_replica_sends_behind_a_long_push_is_no_gap(unsteady: Unsteady) -> None:
    a = unsteady.engine.replica("a")
    changes = creates(a, 501)
    long = asyncio.create_task(a.push(*changes[:500]))
    await unsteady.store.begun.wait()
    assert told(await a.push(changes[500])) == [("applied", None)]
    assert long.done()


async def test_a_phone_restored_from_a_backup_does_not_get_between_the_portions_of_its_twin(
    unsteady: Unsteady,
) -> None:
    """Law 3: all of its numbers are another's, and not some of them its own."""
    twin, restored = unsteady.engine.replica("phone"), unsteady.engine.replica("phone")
    long = asyncio.create_task(twin.push(*creates(twin, 500)))
    await unsteady.store.begun.wait()
    outcomes = await restored.push(*(restored.change("create", f"other-{n}", 0, v=n) for n in range(500)))
    assert told(outcomes) == [("rejected", "id_reuse")] * 500
    assert told(await long) == [("applied", None)] * 500


async def test_what_a_failing_store_did_not_take_is_to_be_sent_again_and_then_nothing_is_there_twice(
    unsteady: Unsteady,
) -> None:
    engine, store = unsteady.engine, unsteady.store
    a = engine.replica("a")
    changes = creates(a, LONG)
    store.fails = range(2, LONG)
    reply = await engine.pusher.push("a", 1, changes)
    assert reply.settled == PORTION
    outcomes = list(reply.outcomes)
    assert told(outcomes[:PORTION]) == [("applied", None)] * PORTION
    assert told(outcomes[PORTION:]) == [("retry_later", "disk_full")] * (LONG - PORTION)
    assert [outcome["n"] for outcome in outcomes] == [change["n"] for change in changes]
    assert {outcome["message"] for outcome in outcomes[PORTION:]} == {"the disk is full"}
    assert store.transactions == 2, "a store that fails is not asked for every portion"

    store.fails = ()
    again = await a.push(*changes)
    assert told(again) == [("applied", None)] * LONG
    assert [outcome.get("repeat", False) for outcome in again] == [True] * PORTION + [False] * (LONG - PORTION)
    assert sorted(state["version"] for state in (await engine.states()).values()) == list(range(1, LONG + 1))


async def test_a_store_that_fails_at_once_fails_the_push_as_a_whole(unsteady: Unsteady) -> None:
    unsteady.store.fails = (1,)
    a = unsteady.engine.replica("a")
    with pytest.raises(StoreUnavailable, match="disk is full"):
        await a.push(*creates(a, LONG))
    assert await unsteady.engine.states() == {}


async def test_what_is_left_of_a_push_when_the_server_closes_is_to_be_sent_again(unsteady: Unsteady) -> None:
    a = unsteady.engine.replica("a")
    long = asyncio.create_task(a.push(*creates(a, LONG)))
    await unsteady.store.begun.wait()
    await unsteady.engine.pusher.close()
    outcomes = told(await long)
    done = outcomes.count(("applied", None))
    assert 0 < done < LONG
    assert outcomes == [("applied", None)] * done + [("retry_later", "shutting_down")] * (LONG - done)
    assert len(await unsteady.engine.states()) == done


async def test_what_rests_between_portions_counts_among_what_may_wait(
    unsteady: Unsteady, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 9, for pushes: memory is bounded by what was taken, and not by what is in line for the disk."""
    monkeypatch.setattr(push, "_MAX_WAITING_CHANGES", LONG)
    a, b = unsteady.engine.replica("a"), unsteady.engine.replica("b")
    long = asyncio.create_task(a.push(*creates(a, LONG)))
    await unsteady.store.begun.wait()
    change = b.change("create", "short", 0, v=1)
    with pytest.raises(StoreUnavailable, match="nothing was applied") as refused:
        await b.push(change)
    assert refused.value.problem_code == "overloaded"
    await long
    assert told(await b.push(change)) == [("applied", None)]


async def test_a_push_whose_caller_has_gone_leaves_the_way_free_for_the_next_one(unsteady: Unsteady) -> None:
    a = unsteady.engine.replica("a")
    changes = creates(a, LONG)
    long = asyncio.create_task(a.push(*changes))
    await unsteady.store.begun.wait()
    long.cancel()
    await asyncio.wait([long])
    again = await a.push(*changes)
    assert told(again) == [("applied", None)] * LONG
    assert not again[-1].get("repeat")
    assert len(await unsteady.engine.states()) == LONG


async def test_the_sdk_sends_on_from_where_the_store_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portions, "_ALONE", 10)
    async with served(tmp_path / "server.db") as server:
        store = UnsteadyStore(server.parts.store)
        server.parts.pusher._groups._store = cast(Store, store)
        store.fails = (2, 5)
        async with Client(None, replica=tmp_path / "phone.db", scopes=["main"]) as phone:
            for n in range(100):
                await phone.collection("note").put({"id": f"n{n}", "v": n})
        async with Client(server.url, replica=tmp_path / "phone.db", scopes=["main"]) as phone:
            await phone.synced()
            assert phone.status.rejected == 0
            assert phone.outbox() == []
            page = (await server.parts.puller.pull(None, {"main": None}, 1 << 20))["main"]
            assert len(page.bodies) == 100
            assert await phone.check("main")
        assert store.transactions == 10 + len(store.fails)
