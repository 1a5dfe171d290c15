"""What documents cost those who have none, and how SQLite's rows of them stand to each other."""

from __future__ import annotations

import sqlite3

from syncd.store.protocol import Commit, DocumentKey, Squashed, Wanted
from syncd.store.sqlite import SqliteStore
from syncd.store.sqlite_checkpoint import PAGES, Checkpoints
from tests.conformance.rows import note, replica_row, settled_row, update_row, write

NOTES = DocumentKey("note", "x", "notes")


async def test_a_push_without_documents_runs_no_statement_for_them(store: SqliteStore) -> None:
    """Law 12's price is paid by those who edit documents, and by nobody else."""
    statements: list[str] = []
    await store._writer.run(sqlite3.Connection.set_trace_callback, statements.append)
    async with store.transaction(replicas=["r"], scopes=["s"]) as transaction:
        await transaction.load(Wanted(["r"], ["s"], [("note", "x")], [("r", 1)]))
        await transaction.commit(
            Commit([note("s", "x", 1)], {"s": 1}, [settled_row("r", 1, "s", 1)], [replica_row("r", 1)])
        )
    assert any("INSERT INTO changes" in statement for statement in statements)
    assert [statement for statement in statements if "document" in statement] == []
    await write(store, Commit(updates=[update_row(NOTES, 1, 1)]))
    assert any("document_updates" in statement for statement in statements), "and this is how they would be seen"


async def test_an_edit_does_not_write_the_snapshot_anew(store: SqliteStore) -> None:
    snapshot = bytes(1_000_000)
    await write(store, Commit(updates=[update_row(NOTES, 1, 1)]))
    await write(store, Commit(squashed=[Squashed(NOTES, 1, snapshot, 1)]))
    await store._writer.run(lambda connection: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone())
    for seq in range(2, 12):
        await write(store, Commit(updates=[update_row(NOTES, 1, seq)]))
    log = store._path.with_name(f"{store._path.name}-wal")
    assert log.stat().st_size < len(snapshot) / 2


async def test_what_has_gone_leaves_no_rows(store: SqliteStore) -> None:
    tables = ("documents", "document_snapshots", "document_updates")

    def rows(connection: sqlite3.Connection) -> list[int]:
        return [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]

    for since in (1, 11, 21):
        await write(store, Commit(updates=[update_row(NOTES, since, seq) for seq in (1, 2, 3)]))
        await write(store, Commit(squashed=[Squashed(NOTES, since, b"snapshot", 2, keep=[1])]))
        assert await store._writer.run(rows) == [1, 1, 2]
    await write(store, Commit(dropped=[NOTES]))
    assert await store._writer.run(rows) == [0, 0, 0]


async def test_large_updates_and_snapshots_count_towards_the_next_checkpoint_by_their_bytes(
    store: SqliteStore,
) -> None:
    """A log of a few large documents is as long as one of many small rows."""
    checkpoints = store._checkpoints
    assert isinstance(checkpoints, Checkpoints)
    await write(store, Commit(updates=[update_row(NOTES, 1, 1, bytes(1_000_000))]))
    after_update = checkpoints._pages
    assert PAGES > after_update >= 1_000_000 // 4096
    await write(store, Commit(squashed=[Squashed(NOTES, 1, bytes(2_000_000), 1)]))
    assert checkpoints._pages - after_update >= 2_000_000 // 4096
