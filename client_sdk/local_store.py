"""The local SQLite file of a replica: rows and transactions. Knows nothing of rules, stamps or the network.

One connection, used by one caller at a time (`Replica` sees to that). Write-ahead log with synchronous FULL: what a
transaction has committed survives a kill -9 and a power cut. The file is locked for as long as it is open, so that two
processes cannot number changes side by side; the lock ends with the process, however it ends.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from client_sdk.document_rows import DOCUMENT_TABLES, DocumentRows
from client_sdk.errors import FileInUse, FileTooNew, FileUnusable, LocalFileError
from client_sdk.local_connection import LocalConnection
from client_sdk.local_rows import ChangeRow, ReplicaRow, ResourceRow, ScopeRow

__all__ = ["LocalStore"]

_FORMAT: Final = 6
_APPLICATION_ID: Final = 0x73796E63  # "sync"
_KEPT_OUTCOMES: Final = 10_000
_BUSY_S: Final = 0.5
"""How long to wait for a process that is just ending to let go of the file."""

_SCHEMA: Final = f"""
CREATE TABLE replica (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    id TEXT NOT NULL,
    next_n INTEGER NOT NULL,
    clock_last TEXT,
    clock_shown TEXT,
    clock_offset_ms INTEGER NOT NULL
);
CREATE TABLE changes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    replica TEXT NOT NULL,
    n INTEGER NOT NULL,
    body TEXT NOT NULL,
    made_ms INTEGER NOT NULL,
    outcome TEXT,
    kind TEXT,
    shown INTEGER NOT NULL,
    UNIQUE (replica, n)
);
CREATE INDEX changes_open ON changes (seq) WHERE outcome IS NULL OR shown = 1;
CREATE INDEX changes_rejected ON changes (seq) WHERE kind = 'rejected';
CREATE TABLE scopes (
    name TEXT PRIMARY KEY,
    followed INTEGER NOT NULL,
    cursor TEXT,
    version INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    resetting INTEGER NOT NULL
);
CREATE TABLE resources (
    type TEXT NOT NULL,
    id TEXT NOT NULL,
    scope TEXT NOT NULL,
    version INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (type, id)
);
CREATE INDEX resources_by_scope ON resources (scope, type);
PRAGMA application_id = {_APPLICATION_ID};
"""
_UPGRADES: Final = {
    1: """
ALTER TABLE scopes ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
CREATE TABLE imported (identity TEXT PRIMARY KEY) WITHOUT ROWID;
""",
    2: """
CREATE TABLE last_living (
    type TEXT NOT NULL,
    id TEXT NOT NULL,
    scope TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (type, id)
) WITHOUT ROWID;
""",
    3: "ALTER TABLE scopes ADD COLUMN types TEXT",
    4: DOCUMENT_TABLES,
    5: """
ALTER TABLE scopes ADD COLUMN gone INTEGER NOT NULL DEFAULT 0;
ALTER TABLE scopes ADD COLUMN granted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE replica ADD COLUMN user TEXT NOT NULL DEFAULT '';
""",
}
"""By the format that each leads on from."""


class LocalStore:
    """One open file. Every write belongs inside `transaction()`. `resource_writes`: another number whenever confirmed
    states may have changed.
    """

    def __init__(self, connection: LocalConnection, path: str) -> None:
        self.resource_writes = 0
        self._connection = connection
        self._path = path
        self.documents = DocumentRows(connection, self._rows)

    @classmethod
    async def open(cls, path: Path | str, new_replica: str) -> LocalStore:
        """Open the file, or make it with `new_replica` as the replica's id.

        Raises `FileInUse`, `FileTooNew` or `FileUnusable`, each with a sentence.
        """
        try:
            # A connection that cannot be made leaves a thread of aiosqlite behind; so it is tried without one.
            await asyncio.to_thread(lambda: sqlite3.connect(path).close())
            connection = await LocalConnection.open(path, timeout_s=_BUSY_S)
        except sqlite3.Error as failure:
            raise _translated(failure, str(path)) from failure
        try:
            store = cls(connection, str(path))
            await store._prepare(new_replica)
        except BaseException as failure:
            await connection.close()
            if isinstance(failure, sqlite3.Error):
                raise _translated(failure, str(path)) from failure
            raise
        return store

    async def close(self) -> None:
        """Let go of the file; may be called twice."""
        await self._connection.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """All writes inside, or none; durable when left. Raises `LocalFileError` if the file could not take it."""
        try:
            async with self._connection.transaction():
                yield
        except BaseException as failure:
            self.resource_writes += 1
            if isinstance(failure, sqlite3.Error):
                raise _translated(failure, self._path) from failure
            raise

    async def _prepare(self, new_replica: str) -> None:
        # Before the first use of the log: an exclusive lock then also does without shared memory.
        await self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        await self._connection.execute("PRAGMA journal_mode = WAL")
        await self._connection.execute("PRAGMA synchronous = FULL")
        found = await self._pragma("user_version")
        if found > _FORMAT:
            raise FileTooNew(
                f"{self._path} was written by a newer version of the SDK (format {found}, this one knows {_FORMAT}); "
                "upgrade syncd, or open another file"
            )
        if found == 0:
            if await self._rows("SELECT 1 FROM sqlite_master"):
                raise FileUnusable(f"{self._path} is a database of something else; choose another file")
            # executescript would commit half-way: the statements go one by one into one transaction.
            async with self.transaction():
                await self._run(_SCHEMA)
                await self._upgrade(1)
                await self._connection.execute(
                    "INSERT INTO replica (only_one, id, next_n, clock_offset_ms) VALUES (1, ?, 1, 0)",
                    (new_replica,),
                )
        else:
            if await self._pragma("application_id") != _APPLICATION_ID:
                raise FileUnusable(f"{self._path} is a database of something else; choose another file")
            # A write takes the lock now, not at the first put.
            async with self.transaction():
                await self._upgrade(found)
                await self._connection.execute("UPDATE replica SET next_n = next_n")

    async def _upgrade(self, found: int) -> None:
        for before in range(found, _FORMAT):
            await self._run(_UPGRADES[before])
        await self._connection.execute(f"PRAGMA user_version = {_FORMAT}")

    async def _run(self, script: str) -> None:
        for statement in filter(str.strip, script.split(";")):
            await self._connection.execute(statement)

    async def _pragma(self, name: str) -> int:
        return int((await self._rows(f"PRAGMA {name}"))[0][0])

    async def _rows(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        try:
            return await self._connection.rows(sql, values)
        except sqlite3.Error as failure:
            raise _translated(failure, self._path) from failure

    # Reading

    async def replica(self) -> ReplicaRow:
        """Who this replica is."""
        rows = await self._rows("SELECT id, next_n, clock_last, clock_shown, clock_offset_ms, user FROM replica")
        return ReplicaRow(*rows[0])

    async def open_changes(self) -> list[ChangeRow]:
        """Changes without an outcome, or still replayed in the view; in the order made."""
        return await self._changes("WHERE outcome IS NULL OR shown = 1 ORDER BY seq")

    async def change(self, replica: str, n: int) -> ChangeRow | None:
        """The change of that number, if it is kept."""
        found = await self._changes("WHERE replica = ? AND n = ?", (replica, n))
        return found[0] if found else None

    async def changes_from(self, replica: str, n: int) -> list[ChangeRow]:
        """Changes of that number and above, with or without an outcome, by number."""
        return await self._changes("WHERE replica = ? AND n >= ? ORDER BY n", (replica, n))

    async def rejected(self) -> list[ChangeRow]:
        """Rejected changes, in the order made."""
        return await self._changes("WHERE kind = 'rejected' ORDER BY seq")

    async def count_rejected(self) -> int:
        """How many changes were rejected."""
        return int((await self._rows("SELECT count(*) FROM changes WHERE kind = 'rejected'"))[0][0])

    async def scopes(self) -> list[ScopeRow]:
        """Every scope that was ever followed."""
        rows = await self._rows(
            "SELECT name, followed, cursor, version, generation, resetting, priority, types, gone, granted FROM scopes"
        )
        return [
            ScopeRow(name, bool(f), cursor, v, g, bool(r), p, _types(types), bool(gone), bool(granted))
            for name, f, cursor, v, g, r, p, types, gone, granted in rows
        ]

    async def resource(self, type_name: str, resource_id: str) -> ResourceRow | None:
        """The confirmed state of one resource."""
        found = await self._resources("WHERE type = ? AND id = ?", (type_name, resource_id))
        return found[0] if found else None

    async def resources(self, type_name: str | None, scope: str | None) -> list[ResourceRow]:
        """Confirmed states, tombstones among them, of a type or of all (None), in a scope or in all (None)."""
        wanted = {"type": type_name, "scope": scope}
        given = {column: value for column, value in wanted.items() if value is not None}
        where = " AND ".join(f"{column} = ?" for column in given)
        return await self._resources(f"WHERE {where}" if where else "", tuple(given.values()))

    async def last_living(self, type_name: str, resource_id: str) -> str | None:
        """The wire form of the state in which a deleted resource was last here alive, if it ever was."""
        found = await self._rows("SELECT body FROM last_living WHERE type = ? AND id = ?", (type_name, resource_id))
        return found[0][0] if found else None

    async def _changes(self, where: str, values: Sequence[object] = ()) -> list[ChangeRow]:
        rows = await self._rows(f"SELECT seq, replica, n, body, made_ms, outcome, shown FROM changes {where}", values)
        return [
            ChangeRow(seq, by, n, body, made, outcome, bool(shown)) for seq, by, n, body, made, outcome, shown in rows
        ]

    async def _resources(self, where: str, values: Sequence[object]) -> list[ResourceRow]:
        rows = await self._rows(
            f"SELECT type, id, scope, version, generation, body FROM resources {where} ORDER BY type, id", values
        )
        return [ResourceRow(*row) for row in rows]

    async def imported(self) -> set[str]:
        """Identities of the changes that were ever imported."""
        return {identity for (identity,) in await self._rows("SELECT identity FROM imported")}

    # Writing

    async def add_imported(self, identities: Iterable[str]) -> None:
        """These have been imported."""
        await self._connection.executemany(
            "INSERT OR IGNORE INTO imported (identity) VALUES (?)", [(identity,) for identity in identities]
        )

    async def save_replica(self, row: ReplicaRow) -> None:
        """Write who this replica is."""
        await self._connection.execute(
            "UPDATE replica SET id = ?, next_n = ?, clock_last = ?, clock_shown = ?, clock_offset_ms = ?, user = ?",
            (row.id, row.next_n, row.clock_last, row.clock_shown, row.clock_offset_ms, row.user),
        )

    async def add_changes(self, rows: Iterable[ChangeRow]) -> None:
        """Add changes, under the `seq` that each names."""
        await self._connection.executemany(
            "INSERT INTO changes (seq, replica, n, body, made_ms, outcome, shown) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(row.seq, row.replica, row.n, row.body, row.made_ms, row.outcome, row.shown) for row in rows],
        )

    async def last_seq(self) -> int:
        """The highest `seq` ever given out."""
        rows = await self._rows("SELECT seq FROM sqlite_sequence WHERE name = 'changes'")
        return int(rows[0][0]) if rows else 0

    async def renumber(self, rows: Iterable[ChangeRow]) -> None:
        """Give changes another replica, number and body."""
        await self._connection.executemany(
            "UPDATE changes SET replica = ?, n = ?, body = ?, outcome = NULL, kind = NULL, shown = 1 WHERE seq = ?",
            [(row.replica, row.n, row.body, row.seq) for row in rows],
        )

    async def settle(self, settled: Iterable[tuple[int, str, str, bool]]) -> None:
        """Write outcomes: (seq, outcome, its kind, whether the view still replays the change)."""
        await self._connection.executemany(
            "UPDATE changes SET outcome = ?, kind = ?, shown = ? WHERE seq = ?",
            [(outcome, kind, shown, seq) for seq, outcome, kind, shown in settled],
        )

    async def hide(self, seqs: Iterable[int]) -> None:
        """The view no longer replays these changes."""
        await self._connection.executemany("UPDATE changes SET shown = 0 WHERE seq = ?", [(seq,) for seq in seqs])

    async def show_again(self, seqs: Iterable[int]) -> None:
        """The view replays these changes once more."""
        await self._connection.executemany("UPDATE changes SET shown = 1 WHERE seq = ?", [(seq,) for seq in seqs])

    async def forget_old_outcomes(self) -> None:
        """Keep the newest settled changes only; what waits, what is shown and what was rejected stays."""
        await self._connection.execute(
            "DELETE FROM changes WHERE outcome IS NOT NULL AND shown = 0 AND kind <> 'rejected' AND seq <= "
            "(SELECT max(seq) FROM changes) - ?",
            (_KEPT_OUTCOMES,),
        )

    async def forget_rejected(self, seq: int) -> None:
        """A rejected change has been dealt with."""
        await self._connection.execute("DELETE FROM changes WHERE seq = ? AND kind = 'rejected'", (seq,))

    async def save_scope(self, row: ScopeRow) -> None:
        """Write how far this replica has a scope."""
        await self._connection.execute(
            "INSERT OR REPLACE INTO scopes "
            "(name, followed, cursor, version, generation, resetting, priority, types, gone, granted) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                row.name,
                row.followed,
                row.cursor,
                row.version,
                row.generation,
                row.resetting,
                row.priority,
                None if row.types is None else " ".join(sorted(row.types)),
                row.gone,
                row.granted,
            ),
        )

    async def save_resources(self, rows: Iterable[ResourceRow]) -> None:
        """Write confirmed states; never an older over a newer one of the same generation.

        What a tombstone takes the place of is kept, so that it can be restored; but not what the server has taken out
        for the sake of a person, now or earlier.
        """
        self.resource_writes += 1
        rows = list(rows)
        for row in rows:
            if row.scrubbed:
                await self._connection.execute("DELETE FROM last_living WHERE type = ? AND id = ?", (row.type, row.id))
            elif row.deleted:
                await self._keep_living(row.type, row.id)
        await self._connection.executemany(
            "INSERT INTO resources (type, id, scope, version, generation, body) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (type, id) DO UPDATE SET scope = excluded.scope, version = excluded.version, "
            "generation = excluded.generation, body = excluded.body "
            "WHERE excluded.generation > generation OR excluded.version >= version OR excluded.scope <> scope",
            [(row.type, row.id, row.scope, row.version, row.generation, row.body) for row in rows],
        )

    async def _keep_living(self, type_name: str, resource_id: str) -> None:
        known = await self.resource(type_name, resource_id)
        if known is not None and not known.deleted:
            await self._connection.execute(
                "INSERT OR REPLACE INTO last_living (type, id, scope, body) VALUES (?, ?, ?, ?)",
                (type_name, resource_id, known.scope, known.body),
            )

    async def purge(self, scope: str, below_generation: int) -> list[tuple[str, str]]:
        """Drop the states of a scope that were not met in this generation; returns (type, id) of each.

        So goes what is kept of deleted ones: with another role they may have been shown with fewer fields.
        """
        self.resource_writes += 1
        where = "WHERE scope = ? AND generation < ?"
        gone = await self._rows(f"SELECT type, id FROM resources {where}", (scope, below_generation))
        await self._connection.execute(f"DELETE FROM resources {where}", (scope, below_generation))
        await self._connection.execute("DELETE FROM last_living WHERE scope = ?", (scope,))
        await self.documents.drop_of(gone)
        return [(type_name, resource_id) for type_name, resource_id in gone]

    async def empty_scope(self, scope: str) -> None:
        """Forget every confirmed state in a scope, and what is kept of deleted ones."""
        self.resource_writes += 1
        await self.documents.drop_of(await self._rows("SELECT type, id FROM resources WHERE scope = ?", (scope,)))
        await self.documents.drop_of(await self._rows("SELECT type, id FROM documents WHERE scope = ?", (scope,)))
        await self._connection.execute("DELETE FROM resources WHERE scope = ?", (scope,))
        await self._connection.execute("DELETE FROM last_living WHERE scope = ?", (scope,))

    async def drop_scope(self, scope: str) -> None:
        """Forget a scope and every confirmed state in it."""
        await self.empty_scope(scope)
        await self._connection.execute("DELETE FROM scopes WHERE name = ?", (scope,))


def _types(names: str | None) -> frozenset[str] | None:
    return None if names is None else frozenset(names.split())


def _translated(failure: sqlite3.Error, path: str) -> LocalFileError:
    name = getattr(failure, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return FileInUse(f"{path} is held by another process; a replica's file is opened by one at a time")
    if name.startswith("SQLITE_NOTADB"):
        return FileUnusable(f"{path} is not a database; choose another file")
    if name.startswith("SQLITE_FULL"):
        return FileUnusable(f"the disk that holds {path} is full; nothing was saved, make room and try again")
    return FileUnusable(f"{path} cannot be used: {failure}")
