"""The store of one process: a SQLite file with one writer and a few readers.

Whoever writes waits in line on the event loop, so the locks of replicas and scopes (law 5) are all one lock here.
Readers see the moment of their first read, whatever is committed meanwhile (write-ahead log). The tables are in
migrations/versions/, their layout is explained in docs/decisions/0001-sqlite-layout.md.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from sqlite3 import Connection
from typing import Concatenate, Final, ParamSpec, TypeVar

from syncd.errors import StoreUnavailable
from syncd.store.migrate import migrate_locked
from syncd.store.protocol import (
    Commit,
    DocumentHead,
    DocumentKey,
    LedgerPage,
    LedgerRow,
    Loaded,
    LogTail,
    Page,
    QuarantineTotal,
    ResourceKey,
    StateRow,
    StoredDocument,
    Wanted,
)
from syncd.store.sqlite_accounts import SqliteAccounts
from syncd.store.sqlite_checkpoint import PAGE_BYTES, Checkpoints, checkpoint
from syncd.store.sqlite_connection import BUSY_TIMEOUT_S, SqliteConnection
from syncd.store.sqlite_connections import SqliteConnections
from syncd.store.sqlite_documents import read_document, read_document_heads, read_update_numbers, read_updates_since
from syncd.store.sqlite_jobs import SqliteJobs
from syncd.store.sqlite_ledger import read_history, read_ledger, read_owners, read_quarantine, read_quarantine_totals
from syncd.store.sqlite_lock import lock_database
from syncd.store.sqlite_reads import (
    read_digests,
    read_ends_of,
    read_heads,
    read_of_type,
    read_page,
    read_pages,
    read_scope,
    read_settled,
    read_states,
    read_wanted,
)
from syncd.store.sqlite_traces import SqliteTraces
from syncd.store.sqlite_writes import begin_write, write_commit, write_incarnation

__all__ = ["SqliteSnapshot", "SqliteStore", "SqliteTransaction"]

_READERS: Final = 2

P = ParamSpec("P")
T = TypeVar("T")


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


class SqliteTransaction:
    """Implements `Transaction`; it begins in the database with its first call."""

    def __init__(self, writer: SqliteConnection, checkpoints: Checkpoints, incarnation_no: int) -> None:
        self._writer = writer
        self._checkpoints = checkpoints
        self._incarnation_no = incarnation_no
        self._begun = False

    async def load(self, wanted: Wanted) -> Loaded:
        """See `Transaction.load`."""
        self._begun = True
        return await self._writer.run(_in_write, read_wanted, wanted)

    async def scan(self, scope: str) -> Sequence[StateRow]:
        """See `Transaction.scan`."""
        self._begun = True
        return await self._writer.run(_in_write, read_scope, scope)

    async def of_type(self, type: str, *, after: str, limit: int) -> Sequence[StateRow]:
        """See `Transaction.of_type`."""
        self._begun = True
        return await self._writer.run(_in_write, read_of_type, type, scope=None, after=after, limit=limit)

    async def commit(self, commit: Commit) -> None:
        """See `Transaction.commit`."""
        self._begun = True
        await self._writer.run(write_commit, commit, self._incarnation_no)
        self._begun = False
        self._checkpoints.wrote(_pages_of(commit))

    async def end(self) -> None:
        """Roll back what was not committed.

        What a cancelled caller left behind on the writer's thread is done before this, and so ends with it.
        """
        if self._begun:
            await self._writer.rollback()


class SqliteSnapshot:
    """Implements `Snapshot`; its moment is that of its first call."""

    def __init__(self, reader: SqliteConnection) -> None:
        self._reader = reader

    async def digests(self, scopes: Collection[str]) -> Mapping[str, bytes]:
        """See `Snapshot.digests`."""
        return await self._reader.run(_in_read, read_digests, scopes)

    async def heads(self, scopes: Collection[str]) -> Mapping[str, int]:
        """See `Snapshot.heads`."""
        return await self._reader.run(_in_read, read_heads, scopes)

    async def page(
        self,
        scope: str,
        after: int,
        limit_bytes: int,
        *,
        types: Collection[str] | None = None,
        limit_rows: int | None = None,
    ) -> Page:
        """See `Snapshot.page`."""
        return await self._reader.run(
            _in_read, read_page, scope, after, limit_bytes, types=types, limit_rows=limit_rows
        )

    async def pages(
        self,
        after: Mapping[str, int],
        limit_bytes: int,
        *,
        types: Collection[str] | None = None,
        limit_rows: int | None = None,
    ) -> Mapping[str, Page]:
        """See `Snapshot.pages`."""
        return await self._reader.run(_in_read, read_pages, after, limit_bytes, types=types, limit_rows=limit_rows)

    async def settled(self, replica: str, upto: Mapping[str, int], user: str | None = None) -> Mapping[str, int]:
        """See `Snapshot.settled`."""
        return await self._reader.run(_in_read, read_settled, replica, upto, user)

    async def ends_of(self, incarnations: Mapping[str, str]) -> Mapping[str, int]:
        """See `Snapshot.ends_of`."""
        return await self._reader.run(_in_read, read_ends_of, incarnations)

    async def states(self, resources: Collection[ResourceKey]) -> Mapping[ResourceKey, StateRow]:
        """See `Snapshot.states`."""
        return await self._reader.run(_in_read, read_states, resources)

    async def of_type(self, type: str, *, scope: str | None, after: str, limit: int) -> Sequence[StateRow]:
        """See `Snapshot.of_type`."""
        return await self._reader.run(_in_read, read_of_type, type, scope=scope, after=after, limit=limit)

    async def ledger(self, numbers: Collection[tuple[str, int]]) -> Mapping[tuple[str, int], LedgerRow]:
        """See `Snapshot.ledger`."""
        return await self._reader.run(_in_read, read_ledger, numbers)

    async def history(
        self, resource: ResourceKey, *, after: int = 0, backwards: bool = False, limit: int, limit_bytes: int
    ) -> LedgerPage:
        """See `Snapshot.history`."""
        return await self._reader.run(
            _in_read, read_history, resource, after=after, backwards=backwards, limit=limit, limit_bytes=limit_bytes
        )

    async def quarantine(
        self,
        *,
        replica: str | None = None,
        scope: str | None = None,
        scopes: Collection[str] | None = None,
        type: str | None = None,
        user: str | None = None,
        after: int = 0,
        limit: int,
        limit_bytes: int,
    ) -> LedgerPage:
        """See `Snapshot.quarantine`."""
        return await self._reader.run(
            _in_read,
            read_quarantine,
            replica=replica,
            scope=scope,
            scopes=scopes,
            type=type,
            user=user,
            after=after,
            limit=limit,
            limit_bytes=limit_bytes,
        )

    async def quarantine_totals(
        self,
        replicas: Collection[str] | None = None,
        user: str | None = None,
        scopes: Collection[str] | None = None,
    ) -> Sequence[QuarantineTotal]:
        """See `Snapshot.quarantine_totals`."""
        return await self._reader.run(_in_read, read_quarantine_totals, replicas, user, scopes)

    async def owners(self, replicas: Collection[str]) -> Mapping[str, str]:
        """See `Snapshot.owners`."""
        return await self._reader.run(_in_read, read_owners, replicas)

    async def document_heads(self, keys: Collection[DocumentKey]) -> Mapping[DocumentKey, DocumentHead]:
        """See `Snapshot.document_heads`."""
        return await self._reader.run(_in_read, read_document_heads, keys)

    async def document(self, key: DocumentKey) -> StoredDocument | None:
        """See `Snapshot.document`."""
        return await self._reader.run(_in_read, read_document, key)

    async def update_numbers(
        self, key: DocumentKey, since: int, seqs: Collection[int]
    ) -> Mapping[int, tuple[str, int]]:
        """See `Snapshot.update_numbers`."""
        return await self._reader.run(_in_read, read_update_numbers, key, since, seqs)

    async def updates_since(self, key: DocumentKey, since: int, seq: int) -> LogTail | None:
        """See `Snapshot.updates_since`."""
        return await self._reader.run(_in_read, read_updates_since, key, since, seq)


class SqliteStore:
    """Implements `Store`. Open it with `SqliteStore.open`."""

    def __init__(
        self,
        path: Path,
        incarnation: str,
        incarnation_no: int,
        writer: SqliteConnection,
        readers: Sequence[SqliteConnection],
        checkpointer: SqliteConnection,
        resources: AsyncExitStack,
    ) -> None:
        self._path = path
        self._file = _file_identity(path)
        self._incarnation = incarnation
        self._incarnation_no = incarnation_no
        self._writer = writer
        self._writing = asyncio.Lock()
        self._readers: asyncio.LifoQueue[SqliteConnection] = asyncio.LifoQueue()
        for reader in readers:
            self._readers.put_nowait(reader)
        self._checkpoints = Checkpoints(checkpointer, self._checkpoint_rest)
        connections = SqliteConnections(writer, self._writing, self._readers, self._checkpoints.wrote)
        self._accounts = SqliteAccounts(connections)
        self._jobs = SqliteJobs(connections)
        self._traces = SqliteTraces(connections)
        # The last to come is the first to be closed, and the connections after it, whatever becomes of it.
        resources.push_async_callback(self._checkpoints.close)
        self._resources = resources
        self._closing: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        path: Path | str,
        *,
        now_ms: Callable[[], int] = _wall_clock_ms,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
    ) -> SqliteStore:
        """Open the file at `path`, created or brought up to date if need be, and begin an incarnation.

        Raises `SettingsError` if another process has it open or its folder cannot be used, `SchemaTooNew` if a newer
        syncd has written it, `StoreError` if it cannot be read or written.
        """
        path = await asyncio.to_thread(Path(path).resolve)
        async with AsyncExitStack() as resources:
            lock = await asyncio.to_thread(lock_database, path)
            resources.callback(lock.close)
            await asyncio.to_thread(migrate_locked, path)
            connections = []
            for is_writer in (True, False, *[False] * _READERS):
                connection = await SqliteConnection.open(path, writer=is_writer, busy_timeout_s=busy_timeout_s)
                resources.push_async_callback(connection.close)
                connections.append(connection)
            incarnation = uuid.uuid4().hex
            incarnation_no = await connections[0].run(write_incarnation, incarnation, now_ms())
            writer, checkpointer, *readers = connections
            return cls(path, incarnation, incarnation_no, writer, readers, checkpointer, resources.pop_all())

    @property
    def incarnation(self) -> str:
        """See `Store.incarnation`."""
        return self._incarnation

    @property
    def accounts(self) -> SqliteAccounts:
        """Who there is, in the same file; closed with this store."""
        return self._accounts

    @property
    def jobs(self) -> SqliteJobs:
        """Work that outlives the process, in the same file; closed with this store."""
        return self._jobs

    @property
    def traces(self) -> SqliteTraces:
        """What each person has left in the file; closed with this store."""
        return self._traces

    @asynccontextmanager
    async def transaction(
        self, *, replicas: Collection[str], scopes: Collection[str]
    ) -> AsyncIterator[SqliteTransaction]:
        """See `Store.transaction`. All transactions run one after the other, whatever they name."""
        async with self._writing:
            transaction = SqliteTransaction(self._writer, self._checkpoints, self._incarnation_no)
            try:
                yield transaction
            finally:
                await transaction.end()

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[SqliteSnapshot]:
        """See `Store.snapshot`. Waits while all readers are in use, so do not open one inside another."""
        reader = await self._readers.get()
        try:
            yield SqliteSnapshot(reader)
        finally:
            try:
                await reader.rollback()
            finally:
                self._readers.put_nowait(reader)

    async def check(self) -> None:
        """See `Store.check`. Notices, too, if the file was moved away or another one was put in its place."""
        async with self.snapshot() as snapshot:
            await snapshot.heads(["check"])
        if await asyncio.to_thread(_file_identity, self._path) != self._file:
            raise StoreUnavailable(
                f"The database file {self._path} was removed or replaced while the server was running.",
                hint="Restart the server: what it writes now goes to the file that is no longer there.",
            )

    async def close(self) -> None:
        """See `Store.close`."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._resources.aclose(), name="close-store")
        await asyncio.shield(self._closing)

    async def _checkpoint_rest(self) -> None:
        async with self._writing:
            await self._writer.run(checkpoint)


def _in_write(
    connection: Connection, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
) -> T:
    begin_write(connection)
    return work(connection, *args, **kwargs)


def _in_read(
    connection: Connection, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
) -> T:
    if not connection.in_transaction:
        connection.execute("BEGIN")
    return work(connection, *args, **kwargs)


def _pages_of(commit: Commit) -> int:
    """One for each row, and as many as the bytes of documents fill."""
    rows = (commit.states, commit.settled, commit.deals, commit.updates, commit.squashed, commit.dropped)
    size = sum(len(row.update) for row in commit.updates) + sum(len(row.snapshot) for row in commit.squashed)
    return sum(map(len, rows)) + size // PAGE_BYTES


def _file_identity(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino
