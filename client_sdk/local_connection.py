"""The connection to a replica's file, on a thread of its own: writes of one transaction are gathered, and cost one hop.

A hop costs as much as a small commit (50 to 100 µs), and a put of one record has five statements. Knows no tables.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import aiosqlite

__all__ = ["LocalConnection"]

T = TypeVar("T")

_Row = Sequence[object]
_Write = tuple[str, Sequence[_Row]]
"""A statement, and the values of each time that it is run."""

_COMMIT: Final[_Write] = ("COMMIT", [()])


class LocalConnection:
    """One connection, used by one caller at a time. Raises the driver's errors; those of gathered writes come where
    the next read or the end of their transaction is."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self._gathered: list[_Write] | None = None
        """None outside of transactions."""

    @classmethod
    async def open(cls, path: Path | str, *, timeout_s: float) -> LocalConnection:
        """Connect. `timeout_s`: how long to wait for another process to let go of the file."""
        return cls(await aiosqlite.connect(path, isolation_level=None, timeout=timeout_s))

    async def close(self) -> None:
        """Let go of the file; may be called twice."""
        await self._connection.close()

    async def execute(self, sql: str, values: _Row = ()) -> None:
        """A statement that gives nothing back."""
        await self._write(sql, [values])

    async def executemany(self, sql: str, rows: Iterable[_Row]) -> None:
        """The same, for each of the rows."""
        await self._write(sql, list(rows))

    async def rows(self, sql: str, values: _Row = ()) -> list[Any]:
        """What a query finds; in a transaction, with what was written before."""
        before = self._gathered
        if not before:
            return await self._run(_rows, sql, values)
        self._gathered = []
        await self._run(_write, before)
        return await self._run(_rows, sql, values)

    async def trace(self, told: Callable[[str], None]) -> None:
        """Tell of every statement that the file is given from now on, on the connection's thread."""
        await self._run(_trace, told)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """All writes inside, or none; durable when left. One does not go into another."""
        assert self._gathered is None, "a transaction is open already"
        self._gathered = []
        try:
            yield
            await self._run(_write, [*self._gathered, _COMMIT])
        except BaseException:
            await self._run(_rollback)
            raise
        finally:
            self._gathered = None

    async def _write(self, sql: str, rows: Sequence[_Row]) -> None:
        if self._gathered is None:
            await self._run(_each, sql, rows)
        else:
            self._gathered.append((sql, rows))

    async def _run(self, work: Callable[..., T], *args: object) -> T:
        # aiosqlite offers single statements only; this is the door through which its own methods go.
        result: T = await self._connection._execute(  # type: ignore[no-untyped-call]
            work, self._connection._conn, *args
        )
        return result


def _write(connection: sqlite3.Connection, writes: Sequence[_Write]) -> None:
    if not connection.in_transaction:
        connection.execute("BEGIN IMMEDIATE")
    for sql, rows in writes:
        _each(connection, sql, rows)


def _each(connection: sqlite3.Connection, sql: str, rows: Sequence[_Row]) -> None:
    if len(rows) == 1:
        connection.execute(sql, rows[0]).close()
    elif rows:
        connection.executemany(sql, rows).close()


def _trace(connection: sqlite3.Connection, told: Callable[[str], None]) -> None:
    connection.set_trace_callback(told)


def _rows(connection: sqlite3.Connection, sql: str, values: _Row) -> list[Any]:
    return connection.execute(sql, values).fetchall()


def _rollback(connection: sqlite3.Connection) -> None:
    # A full disk may have rolled back already.
    if connection.in_transaction:
        with suppress(sqlite3.OperationalError):
            connection.execute("ROLLBACK")
