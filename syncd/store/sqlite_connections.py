"""The connections of one SQLite file, as the adapters share them that keep their rows beside the store's."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from syncd.store.sqlite_connection import SqliteConnection
from syncd.store.sqlite_writes import begin_write

__all__ = ["SqliteConnections"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SqliteConnections:
    """`writing`: the lock of whoever uses the writer; `wrote`: is told of rows written."""

    writer: SqliteConnection
    writing: asyncio.Lock
    readers: asyncio.LifoQueue[SqliteConnection]
    wrote: Callable[[int], None]

    async def read(self, work: Callable[..., T], *args: object) -> T:
        """Run `work(connection, *args)` on one of the readers."""
        reader = await self.readers.get()
        try:
            return await reader.run(work, *args)
        finally:
            self.readers.put_nowait(reader)

    async def write(self, work: Callable[..., int], *args: object) -> int:
        """Run `work(connection, *args)`, which commits, and returns how many rows it wrote; so does this."""
        async with self.writing:
            try:
                written = await self.writer.run(work, *args)
            finally:
                await self.writer.rollback()
        self.wrote(written)
        return written

    async def change(self, statement: str, rows: Sequence[Sequence[object]]) -> int:
        """One statement for each of `rows`, in a transaction of their own; how many rows of the table it met."""
        return await self.write(_change, statement, rows) if rows else 0


def _change(connection: sqlite3.Connection, statement: str, rows: Sequence[Sequence[Any]]) -> int:
    begin_write(connection)
    changed = connection.executemany(statement, rows).rowcount
    connection.execute("COMMIT")
    return changed
