"""Checkpoints beside the writer: the log starts over again and again, nothing is lost, and nobody waits for it."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog

from syncd.errors import StoreUnavailable
from syncd.store import sqlite_checkpoint, sqlite_connection
from syncd.store.protocol import Commit
from syncd.store.sqlite import SqliteStore
from syncd.store.sqlite_checkpoint import Checkpoints, checkpoint
from tests.conformance.rows import note, replica_row, settled_row, versions, write, write_notes
from tests.support.until import until

SOON = 60
"""Pages between two checkpoints: a few commits."""
MOST = 5_000
"""Commits after which a log that has not started over never will."""


def times_started_over(path: Path) -> int:
    """The log's own count, big-endian, in its header (https://www.sqlite.org/fileformat2.html#the_write_ahead_log)."""
    with path.with_name(f"{path.name}-wal").open("rb") as file:
        return int.from_bytes(file.read(16)[12:], "big")


async def turn_off_the_checkpoints_of_commits(store: SqliteStore) -> None:
    await store._writer.run(lambda connection: connection.execute("PRAGMA wal_autocheckpoint = 0"))


async def ended(store: SqliteStore) -> None:
    """The checkpoint that is under way has come to its end, if one is."""
    if store._checkpoints._task is not None:
        await asyncio.wait([store._checkpoints._task])


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_checkpoint, "PAGES", SOON)


@pytest.mark.usefixtures("soon")
async def test_the_log_starts_over_again_and_again_under_a_writer_that_never_rests(
    path: Path, store: SqliteStore
) -> None:
    await turn_off_the_checkpoints_of_commits(store)
    written: list[str] = []
    await write_notes(store, note("s", "first", 1))
    before = times_started_over(path)
    while times_started_over(path) < before + 5:
        version = len(written) + 2
        assert version < MOST
        await write_notes(store, note("s", f"id-{version}", version))
        written.append(f"id-{version}@{version}")
        if version % 7 == 0:
            assert len(await versions(store, "s")) == version, "a reader sees all of it, wherever it stands by now"
    assert await versions(store, "s") == ["first@1", *written]
    await store.close()
    reopened = await SqliteStore.open(path)
    assert await versions(reopened, "s") == ["first@1", *written]
    await reopened.close()


@pytest.mark.usefixtures("soon")
async def test_a_reader_keeps_its_moment_and_the_log_starts_over_when_it_has_gone(
    path: Path, store: SqliteStore
) -> None:
    await turn_off_the_checkpoints_of_commits(store)
    await write_notes(store, note("s", "id-1", 1))
    before = times_started_over(path)
    async with store.snapshot() as snapshot:
        assert await snapshot.heads(["s"]) == {"s": 1}
        for version in range(2, 50):
            await write_notes(store, note("s", f"id-{version}", version))
        await ended(store)
        assert times_started_over(path) == before
        assert await snapshot.heads(["s"]) == {"s": 1}
        assert [body.decode() for body in (await snapshot.page("s", 0, 1 << 20)).bodies] == ["id-1@1"]
    for version in range(50, MOST):
        await write_notes(store, note("s", f"id-{version}", version))
        if times_started_over(path) > before:
            break
    assert times_started_over(path) > before
    assert len(await versions(store, "s")) == version


@pytest.mark.parametrize("changes", [1, 10, 100])
async def test_what_is_counted_is_about_what_is_written_so_that_no_commit_has_to_do_it(
    store: SqliteStore, changes: int
) -> None:
    await turn_off_the_checkpoints_of_commits(store)
    # Moved as a whole, so that the log starts over.
    await store._writer.run(checkpoint_figures)
    counted = store._checkpoints._pages
    for last in range(changes, 20 * changes + 1, changes):
        numbers = range(last - changes + 1, last + 1)
        states = [note("s", f"id-{n}", n, body=b"x" * 300) for n in numbers]
        settled = [settled_row("r", n, "s", n) for n in numbers]
        await write(store, Commit(states, {"s": last}, replicas=[replica_row("r", last)], settled=settled))
    _, in_log, _ = await store._writer.run(checkpoint_figures)
    assert in_log <= 1.25 * (store._checkpoints._pages - counted)
    assert 1.25 * sqlite_checkpoint.PAGES < sqlite_connection._WAL_KEPT_PAGES


def checkpoint_figures(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """Run one; whether it was kept from it, how long the log is, and how much of it was moved, in pages."""
    figures: tuple[int, int, int] = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return figures


async def test_the_connection_beside_the_writer_moves_all_of_the_log(store: SqliteStore) -> None:
    """It may not write rows, but this it may."""
    await write_notes(store, note("s", "x", 1))
    busy, in_log, moved = await store._checkpoints._connection.run(checkpoint_figures)
    assert busy == 0
    assert in_log == moved > 0


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("failure", [StoreUnavailable("the disk is full"), RuntimeError("nobody thought of this")])
async def test_a_checkpoint_that_fails_is_logged_and_the_next_one_takes_all_of_it_along(
    path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def failing(connection: sqlite3.Connection) -> None:
        raise failure

    await turn_off_the_checkpoints_of_commits(store)
    with monkeypatch.context() as patch, structlog.testing.capture_logs() as logs:
        patch.setattr(sqlite_checkpoint, "checkpoint", failing)
        for version in range(1, 21):
            await write_notes(store, note("s", f"id-{version}", version))
        await ended(store)
    assert {(entry["event"], entry["log_level"]) for entry in logs} == {("checkpoint_failed", "warning")}
    assert str(failure) in logs[0]["reason"]
    assert len(await versions(store, "s")) == 20
    before = times_started_over(path)
    for version in range(21, MOST):
        await write_notes(store, note("s", f"id-{version}", version))
        if times_started_over(path) > before:
            break
    assert times_started_over(path) > before


class HeldCheckpoint:
    """The first half, on the connection beside the writer, waits there until it may go."""

    def __init__(self) -> None:
        self.begun, self.may_go, self.done = threading.Event(), threading.Event(), threading.Event()
        self.times = 0

    def __call__(self, connection: sqlite3.Connection) -> None:
        self.times += 1
        self.begun.set()
        assert self.may_go.wait(20)
        checkpoint(connection)
        self.done.set()


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch, soon: None) -> HeldCheckpoint:
    held = HeldCheckpoint()
    monkeypatch.setattr(sqlite_checkpoint, "checkpoint", held)
    return held


async def begin(store: SqliteStore, held: HeldCheckpoint) -> None:
    store._checkpoints.wrote(SOON)
    await until(held.begun.is_set)


async def test_commits_go_on_beside_it_and_no_second_one_begins(store: SqliteStore, held: HeldCheckpoint) -> None:
    await begin(store, held)
    for version in range(1, 50):
        await write_notes(store, note("s", f"id-{version}", version))
    assert held.times == 1
    held.may_go.set()
    await ended(store)
    await write_notes(store, note("s", "id-50", 50))
    await ended(store)
    assert held.times == 2, "what was written meanwhile counts for the next one"


async def test_closing_waits_for_what_its_thread_has_begun(store: SqliteStore, held: HeldCheckpoint) -> None:
    await begin(store, held)
    closing = asyncio.create_task(store.close())
    await until(lambda: store._checkpoints._connection._closed)
    assert not closing.done()
    held.may_go.set()
    await closing
    assert held.done.is_set()


async def test_closing_does_not_wait_for_its_turn_on_the_writer(store: SqliteStore, held: HeldCheckpoint) -> None:
    """Whoever closes the store may do so while a transaction is open, and even from within it."""
    async with asyncio.timeout(20), store.transaction(replicas=[], scopes=["s"]):
        await begin(store, held)
        held.may_go.set()
        await until(held.done.is_set)
        await store.close()


async def test_what_is_committed_while_the_store_closes_begins_no_checkpoint(path: Path) -> None:
    store = await SqliteStore.open(path)
    await store.close()
    store._checkpoints.wrote(sqlite_checkpoint.PAGES)
    assert store._checkpoints._task is None


class Recorded:
    """In the place of a connection and of the writer's turn: what was asked of them, in order."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def run(self, work: Callable[..., Any], *args: Any) -> None:
        self.asked.append("beside the writer")

    async def rest(self) -> None:
        self.asked.append("on the writer")


@pytest.mark.parametrize(
    ("commits", "it_is_time"), [([SOON - 20], False), ([SOON - 20, 5], True), ([2] * 5, False), ([2] * 6, True)]
)
@pytest.mark.usefixtures("soon")
async def test_it_is_time_for_one_by_rows_and_by_commits(commits: Sequence[int], it_is_time: bool) -> None:
    recorded = Recorded()
    checkpoints = Checkpoints(recorded, recorded.rest)  # type: ignore[arg-type]
    for rows in commits:
        checkpoints.wrote(rows)
    if it_is_time:
        assert checkpoints._task is not None
        await checkpoints._task
    assert recorded.asked == (["beside the writer", "on the writer"] if it_is_time else [])
    await checkpoints.close()
