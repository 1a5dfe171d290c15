"""The settings that durability and speed rest on, asked of the very connections that are used."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from syncd.errors import StoreError, StoreUnavailable
from syncd.store import sqlite_documents, sqlite_reads
from syncd.store.protocol import Commit, Wanted
from syncd.store.sqlite import SqliteStore
from syncd.store.sqlite_connection import SqliteConnection
from tests.conformance.rows import note, versions, write_notes

FULL = 2


OPEN_AND_FAIL = """
import asyncio, sys
from syncd.store.sqlite import SqliteStore

async def main():
    store = await SqliteStore.open(sys.argv[1])
    try:
        raise LookupError("and nobody closes the store")
    finally:
        keep.append(store)

keep = []
asyncio.run(main())
"""


def pragma(name: str) -> Callable[[sqlite3.Connection], Any]:
    return lambda connection: connection.execute(f"PRAGMA {name}").fetchone()[0]


def plan_of(connection: sqlite3.Connection, sql: str, parameters: Any) -> list[str]:
    return [step[3] for step in connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]


async def test_the_connection_that_commits_writes_its_log_through_to_the_disk(store: SqliteStore) -> None:
    """Invariant 1: synchronous is a setting of each connection, so it is asked for in the midst of a transaction."""
    writer = store._writer
    before = await writer.run(lambda connection: connection.total_changes)
    async with store.transaction(replicas=[], scopes=["s"]) as transaction:
        await transaction.load(Wanted(scopes=["s"]))
        assert await writer.run(lambda connection: connection.in_transaction)
        assert await writer.run(pragma("synchronous")) == FULL
        assert await writer.run(pragma("journal_mode")) == "wal"
        await transaction.commit(Commit([note("s", "x", 1)], {"s": 1}))
    assert await writer.run(lambda connection: connection.total_changes) > before, "it is this one that commits"


async def test_the_log_stays_on_in_the_file_for_whoever_opens_it_next(path: Path, store: SqliteStore) -> None:
    await store.close()
    connection = sqlite3.connect(path)
    assert pragma("journal_mode")(connection) == "wal"
    connection.close()


async def test_the_writer_keeps_64_mib_of_pages_and_waits_for_other_programs(path: Path) -> None:
    store = await SqliteStore.open(path)
    assert await store._writer.run(pragma("cache_size")) == -64 * 1024
    assert await store._writer.run(pragma("busy_timeout")) == 5000
    await store.close()


async def test_readers_cannot_write(store: SqliteStore) -> None:
    async with store.snapshot() as snapshot:
        with pytest.raises(StoreError):
            await snapshot._reader.run(lambda connection: connection.execute("DELETE FROM states"))


async def test_a_transaction_takes_two_calls_to_the_writers_thread(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call costs a change of threads, as much as a small commit itself."""
    calls: list[str] = []
    run = SqliteConnection.run

    async def counted(self: SqliteConnection, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        calls.append(work.__name__)
        return await run(self, work, *args, **kwargs)

    monkeypatch.setattr(SqliteConnection, "run", counted)
    async with store.transaction(replicas=["r"], scopes=["s"]) as transaction:
        await transaction.load(Wanted(["r"], ["s"], [("note", "x")], [("r", 1)]))
        await transaction.commit(Commit([note("s", "x", 1)], {"s": 1}))
    assert len(calls) == 2


@pytest.mark.parametrize(("module", "at_least"), [(sqlite_reads, 8), (sqlite_documents, 14)])
async def test_every_look_up_uses_an_index(store: SqliteStore, module: ModuleType, at_least: int) -> None:
    """A scan of a table in a plan is a push that slows down with everybody else's data."""
    statement = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE)\b")
    queries = {name: text for name, text in vars(module).items() if isinstance(text, str) and statement.match(text)}
    assert len(queries) >= at_least
    for name, sql in queries.items():
        named = dict.fromkeys(re.findall(r":([a-z_]+)", sql), "0")
        parameters = named or ("[]",) * sql.count("?")
        plan = await store._writer.run(plan_of, sql, parameters)
        scans = [step for step in plan if step.startswith("SCAN") and "VIRTUAL TABLE" not in step]
        assert scans == [], (name, plan)
        assert not any("TEMP B-TREE" in step for step in plan), (name, plan)


async def test_the_log_does_not_keep_the_size_of_its_largest_moment(path: Path, store: SqliteStore) -> None:
    await write_notes(store, *(note("s", f"id-{n}", n, body=b"x" * 1000) for n in range(1, 2001)))
    assert len(await versions(store, "s")) == 2000
    await store.close()
    assert not path.with_name("syncd.db-wal").exists(), "closing folds the log into the file"


async def test_an_opening_that_fails_at_the_last_step_leaves_neither_thread_nor_lock(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(connection: sqlite3.Connection, incarnation: str, now_ms: int) -> int:
        raise sqlite3.OperationalError("no room for another incarnation")

    before = set(threading.enumerate())
    with monkeypatch.context() as patch:
        patch.setattr("syncd.store.sqlite.write_incarnation", fail)
        with pytest.raises(StoreError):
            await SqliteStore.open(path)
    left = set(threading.enumerate()) - before
    assert not [thread for thread in left if not thread.name.startswith("asyncio")]
    store = await SqliteStore.open(path)
    await store.close()


async def test_a_new_incarnation_is_dated_by_the_clock_that_was_handed_in(path: Path) -> None:
    store = await SqliteStore.open(path, now_ms=lambda: 1_763_640_000_000)
    rows = await store._writer.run(
        lambda connection: connection.execute("SELECT id, started_at_ms FROM incarnations").fetchall()
    )
    assert rows == [(store.incarnation, 1_763_640_000_000)]
    await store.close()


def test_a_process_that_fails_without_closing_its_store_ends_by_itself(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", OPEN_AND_FAIL, str(path)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert "LookupError: and nobody closes the store" in done.stderr


async def test_connecting_does_not_create_a_file_that_was_moved_away(path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        await SqliteConnection.open(path, writer=True)
    assert not path.exists()
