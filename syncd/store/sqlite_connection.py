"""A SQLite connection on a thread of its own: any piece of work there costs one hop, however many statements it has.

Knows pragmas and threads, and no tables.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar

import aiosqlite

from syncd.errors import StoreUnavailable
from syncd.store.sqlite_errors import translated_errors

__all__ = ["BUSY_TIMEOUT_S", "SqliteConnection"]

BUSY_TIMEOUT_S: Final = 5.0
"""How long to wait for another program, such as a backup or the sqlite3 shell, to let go of the file."""

_WRITER_CACHE_KIB: Final = 64 * 1024
_READER_CACHE_KIB: Final = 16 * 1024
_WAL_KEPT_BYTES: Final = 64 * 1024 * 1024
_WAL_KEPT_PAGES: Final = 16 * 1024

P = ParamSpec("P")
T = TypeVar("T")


class SqliteConnection:
    """Wraps aiosqlite, whose own methods cost a hop for each statement (50 to 100 µs, as much as a small commit)."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self._closed = False

    @classmethod
    async def open(cls, path: Path, *, writer: bool, busy_timeout_s: float = BUSY_TIMEOUT_S) -> SqliteConnection:
        """Connect to an existing file; raises `StoreError`."""
        # The URI keeps a file that was moved away from being created anew, empty.
        unopened = aiosqlite.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=busy_timeout_s, isolation_level=None)
        # A process that fails without closing its store must end all the same, and be started again.
        unopened._thread.daemon = True
        try:
            with translated_errors():
                connection = cls(await unopened)
        except BaseException:
            unopened._thread.join()  # aiosqlite has told it to end, and does not wait for it
            raise
        try:
            await connection.run(_prepare_writer if writer else _prepare_reader)
        except BaseException:
            await connection.close()
            raise
        return connection

    async def run(self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `work` with the driver's connection, on its thread, after everything asked for before.

        Work that has begun goes on if the caller is cancelled. Raises `StoreError` for the driver's errors.
        """
        if self._closed:
            raise StoreUnavailable("The database has been closed; the server is stopping.", retry_after_s=1)
        with translated_errors():
            # aiosqlite offers single statements only; this is the door through which its own methods go.
            result: T = await self._connection._execute(  # type: ignore[no-untyped-call]
                work, self._connection._conn, *args, **kwargs
            )
        return result

    async def rollback(self) -> None:
        """End the transaction that is open, if one is."""
        if not self._closed:
            await self.run(_rollback)

    async def close(self) -> None:
        """Finish the work that waits, roll back what is open and end the thread; may be called twice."""
        if self._closed:
            return
        self._closed = True
        try:
            with translated_errors():
                await self._connection.close()
        finally:
            # It has given its last answer, so this takes no time; without it the thread could outlive the event loop.
            self._connection._thread.join()


def _prepare_writer(connection: sqlite3.Connection) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StoreUnavailable(
            f"SQLite cannot use a write-ahead log here (it keeps to the mode {mode!r}).",
            hint="Put the database on a local disk; network folders do not work.",
        )
    # Invariant 1: FULL writes the log through to the disk at every commit; NORMAL, only now and then.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA cache_size = -{_WRITER_CACHE_KIB}")
    # A safety net only; see sqlite_checkpoint.py.
    connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_KEPT_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_KEPT_BYTES}")


def _prepare_reader(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA cache_size = -{_READER_CACHE_KIB}")
    connection.execute("PRAGMA query_only = ON")


def _rollback(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")
