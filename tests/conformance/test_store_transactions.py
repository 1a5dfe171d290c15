"""Transactions are all or nothing, and those that share a lock run one after the other."""

from __future__ import annotations

import asyncio

import pytest

from syncd.errors import StoreError
from syncd.store.protocol import Commit, Loaded, Store, Wanted
from tests.conformance.rows import load, note, replica_row, settled_row, versions, write, write_notes

PATIENCE_S = 30


async def _everything(store: Store) -> Loaded:
    return await load(
        store, ("note", "x"), ("note", "y"), replicas=("r", "q"), scopes=("s",), numbers=(("r", 1), ("r", 2))
    )


async def test_a_transaction_left_without_a_commit_leaves_no_trace(store: Store) -> None:
    before = await _everything(store)
    async with store.transaction(replicas=["r"], scopes=["s"]) as transaction:
        await transaction.load(Wanted(["r"], ["s"]))
    assert await _everything(store) == before


async def test_a_transaction_left_by_an_exception_passes_it_on_and_leaves_no_trace(store: Store) -> None:
    async def stumble() -> None:
        async with store.transaction(replicas=["r"], scopes=["s"]) as transaction:
            await transaction.load(Wanted(["r"], ["s"]))
            raise LookupError

    before = await _everything(store)
    with pytest.raises(LookupError):
        await stumble()
    assert await _everything(store) == before
    await write_notes(store, note("s", "x", 1))  # and lets the next one in


async def test_the_living_of_a_type_are_found_by_how_their_ids_begin(store: Store) -> None:
    await write_notes(
        store,
        note("s", "a-1", 1),
        note("s", "a-2", 2, deleted=True),
        note("s", "b-1", 3),
        note("s", "a-3", 4, type="task"),
        note("t", "a-4", 1),
    )
    async with store.transaction(replicas=[], scopes=["s"]) as transaction:
        assert [row.id for row in await transaction.of_type("note", after="a-", limit=9)] == ["a-1", "a-4", "b-1"]
        assert await transaction.of_type("note", after="a-", limit=1) == [note("s", "a-1", 1)]


async def test_an_exception_after_the_commit_takes_nothing_back(store: Store) -> None:
    async def commit_and_stumble() -> None:
        async with store.transaction(replicas=[], scopes=["s"]) as transaction:
            await transaction.commit(Commit([note("s", "x", 1)], {"s": 1}))
            raise LookupError

    with pytest.raises(LookupError):
        await commit_and_stumble()
    assert await versions(store, "s") == ["x@1"]


async def test_a_commit_that_raises_leaves_no_trace(store: Store) -> None:
    await write(store, Commit([note("s", "x", 1)], {"s": 1}, [settled_row("r", 1, "s", 1)], [replica_row("r", 1)]))
    before = await _everything(store)
    impossible = Commit(
        states=[note("s", "x", 2), note("s", "y", 3)],
        scopes={"s": 3},
        settled=[settled_row("r", 2, "s", 2), settled_row("r", 1, "s", 3)],  # number 1 is settled already
        replicas=[replica_row("r", 2), replica_row("q", 1)],
    )
    with pytest.raises(StoreError):
        await write(store, impossible)
    assert await _everything(store) == before
    assert await versions(store, "s") == ["x@1"]
    await write_notes(store, note("s", "y", 2))
    assert await versions(store, "s") == ["x@1", "y@2"]


async def test_a_transaction_whose_task_is_cancelled_leaves_no_trace_and_lets_the_next_one_in(store: Store) -> None:
    loaded = asyncio.Event()

    async def stall() -> None:
        async with store.transaction(replicas=["r"], scopes=["s"]) as transaction:
            await transaction.load(Wanted(["r"], ["s"]))
            loaded.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(stall())
    await loaded.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await write_notes(store, note("s", "x", 1))
    assert await versions(store, "s") == ["x@1"]


@pytest.mark.parametrize("turns", range(12))
async def test_a_commit_whose_task_is_cancelled_is_there_whole_or_not_at_all(store: Store, turns: int) -> None:
    commit = Commit([note("s", "x", 1)], {"s": 1}, [settled_row("r", 1, "s", 1)], [replica_row("r", 1)])
    task = asyncio.create_task(write(store, commit))
    for _ in range(turns):  # cancelled at a different point each time
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    loaded = await _everything(store)
    parts = len(loaded.states), loaded.scopes["s"], len(loaded.settled), len(loaded.replicas)
    assert parts in {(0, 0, 0, 0), (1, 1, 1, 1)}
    if not task.cancelled():
        assert parts == (1, 1, 1, 1)
    await write_notes(store, note("s", "y", 2))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((["r"], ["s"]), (["q"], ["s"])),
        ((["r"], ["s"]), (["r"], ["t"])),
        ((["r"], ["a", "s"]), (["q"], ["s", "z"])),
    ],
    ids=["a scope", "a replica", "one scope of two"],
)
async def test_who_shares_a_lock_waits_and_then_sees_what_the_first_wrote(
    store: Store, first: tuple[list[str], list[str]], second: tuple[list[str], list[str]]
) -> None:
    order: list[str] = []
    holding = asyncio.Event()
    may_end = asyncio.Event()

    async def hold() -> None:
        async with store.transaction(replicas=first[0], scopes=first[1]) as transaction:
            await transaction.load(Wanted(first[0], first[1]))
            holding.set()
            await may_end.wait()
            await transaction.commit(Commit([note("s", "x", 1)], {"s": 1}, replicas=[replica_row("r", 1)]))
            order.append("first has committed")

    async def follow() -> Loaded:
        async with store.transaction(replicas=second[0], scopes=second[1]) as transaction:
            order.append("second has its locks")
            return await transaction.load(Wanted(["r"], ["s"], [("note", "x")]))

    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        tasks.create_task(hold())
        await holding.wait()
        following = tasks.create_task(follow())
        await take_readers_turns(store)
        may_end.set()
    assert order == ["first has committed", "second has its locks"]
    assert following.result() == Loaded(
        {"r": replica_row("r", 1)}, {"s": 1}, {("note", "x"): note("s", "x", 1)}, digests={"s": bytes(16)}
    )


async def take_readers_turns(store: Store) -> None:
    """Give whoever could go on wrongly the time of several round trips to the database."""
    for _ in range(5):
        async with store.snapshot() as snapshot:
            await snapshot.heads(["s"])


async def test_no_increment_is_lost_among_many_writers(store: Store) -> None:
    """Counterexample 8 in small: each reads what the one before has written."""

    async def increment() -> None:
        async with store.transaction(replicas=[], scopes=["s"]) as transaction:
            loaded = await transaction.load(Wanted(scopes=["s"], resources=[("note", "count")]))
            version = loaded.scopes["s"] + 1
            before = loaded.states.get(("note", "count"))
            count = int(before.body) + 1 if before else 1
            await transaction.commit(Commit([note("s", "count", version, body=str(count).encode())], {"s": version}))

    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*(increment() for _ in range(50)))
    assert await versions(store, "s") == ["50"]


async def test_locks_asked_for_in_opposite_orders_do_not_deadlock(store: Store) -> None:
    async def touch(scopes: list[str], replicas: list[str]) -> None:
        async with store.transaction(replicas=replicas, scopes=scopes) as transaction:
            loaded = await transaction.load(Wanted(replicas, scopes))
            await transaction.commit(Commit(scopes={scope: head + 1 for scope, head in loaded.scopes.items()}))

    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(
            *(touch(["a", "z"], ["r", "q"]) if turn % 2 else touch(["z", "a"], ["q", "r"]) for turn in range(20))
        )
    assert (await load(store, scopes=("a", "z"))).scopes == {"a": 20, "z": 20}
