"""A store answers until it is closed; closing ends what is open, and never hangs."""

from __future__ import annotations

import asyncio
import threading

import pytest

from syncd.errors import StoreUnavailable
from syncd.store.protocol import Commit, Store, Wanted
from tests.conformance.conftest import OpenStore
from tests.conformance.rows import load, note, versions, write_notes
from tests.conformance.stores import Database

PATIENCE_S = 30


async def test_an_open_store_passes_its_check(store: Store) -> None:
    await store.check()


async def test_a_store_may_be_closed_twice_and_at_once(store: Store) -> None:
    await asyncio.gather(store.close(), store.close())
    await store.close()


async def test_a_closed_store_says_that_it_is_unavailable(store: Store) -> None:
    await store.close()
    with pytest.raises(StoreUnavailable):
        await store.check()
    with pytest.raises(StoreUnavailable):
        await load(store, scopes=("s",))
    with pytest.raises(StoreUnavailable):
        await versions(store, "s")
    with pytest.raises(StoreUnavailable):
        await write_notes(store, note("s", "x", 1))


async def test_what_was_written_is_there_after_closing_and_opening_again(
    database: Database, open_store: OpenStore
) -> None:
    first = await open_store(database)
    await write_notes(first, note("s", "x", 1))
    await first.close()
    assert await versions(await open_store(database), "s") == ["x@1"]


async def test_closing_ends_an_open_transaction_without_a_trace(database: Database, open_store: OpenStore) -> None:
    store = await open_store(database)
    async with store.transaction(replicas=[], scopes=["s"]) as transaction:
        await transaction.load(Wanted(scopes=["s"]))
        await store.close()
        with pytest.raises(StoreUnavailable):
            await transaction.commit(Commit([note("s", "x", 1)], {"s": 1}))
    assert await versions(await open_store(database), "s") == []


async def test_closing_ends_an_open_snapshot(store: Store) -> None:
    async with store.snapshot() as snapshot:
        await snapshot.heads(["s"])
        await store.close()
        with pytest.raises(StoreUnavailable):
            await snapshot.heads(["s"])


async def test_who_waits_for_a_turn_is_told_when_the_store_is_closed(store: Store) -> None:
    async with asyncio.timeout(PATIENCE_S):
        async with store.transaction(replicas=[], scopes=["s"]) as transaction:
            await transaction.load(Wanted(scopes=["s"]))
            waiting = [asyncio.create_task(write_notes(store, note("s", f"x{i}", i))) for i in range(1, 4)]
            await versions(store, "s")
            await store.close()
        results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [StoreUnavailable] * 3


async def test_closing_while_many_read_and_write_answers_everyone_and_leaves_whole_commits(
    database: Database, open_store: OpenStore
) -> None:
    store = await open_store(database)
    committed: list[int] = []

    async def keep_writing() -> None:
        for version in range(1, 10_000):
            await write_notes(store, note("s", f"id-{version}", version))
            committed.append(version)

    async def keep_reading() -> None:
        while True:
            await versions(store, "s")

    tasks = [asyncio.create_task(keep_writing()), *(asyncio.create_task(keep_reading()) for _ in range(4))]
    while len(committed) < 20:
        await versions(store, "s")
    await store.close()
    async with asyncio.timeout(PATIENCE_S):
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [StoreUnavailable] * 5
    found = await versions(await open_store(database), "s")
    assert found[: len(committed)] == [f"id-{version}@{version}" for version in committed]
    assert len(found) <= len(committed) + 1


async def test_closing_leaves_no_thread_behind(database: Database, open_store: OpenStore) -> None:
    before = set(threading.enumerate())
    store = await open_store(database)
    await versions(store, "s")
    await store.close()
    left = set(threading.enumerate()) - before
    assert not [thread for thread in left if not thread.name.startswith("asyncio")]  # those are the event loop's own
