"""Checkpoints: what stands in the write-ahead log moves to the database file, beside the writer and not within it.

SQLite would do it within whichever commit makes the log too long, and that one waits for two more disk writes (34 ms
instead of 1). So most of it is done on a connection of its own, while commits go on; then the writer does the rest,
which is little, and the log starts over from its beginning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from sqlite3 import Connection
from typing import Final

import structlog

from syncd.store.sqlite_connection import SqliteConnection

__all__ = ["PAGE_BYTES", "Checkpoints", "checkpoint"]

PAGE_BYTES: Final = 4096
"""Of a page, as SQLite's are."""
PAGES: Final = 12_000
"""Written between two checkpoints: a log of some 50 MiB. While one runs, commits share the disk with it.

Below the length at which a commit does it by itself (`_WAL_KEPT_PAGES` of sqlite_connection.py), so that none does.
"""
_PAGES_OF_A_COMMIT: Final = 8
"""Beside one for each row. Measured with resources of 100 bytes: 9 pages for one change, which is two rows; 25 for ten,
115 for a hundred. SQLite itself tells the length of the log only to whoever runs a checkpoint."""

log = structlog.get_logger(__name__)


def checkpoint(connection: Connection) -> None:
    """Move what no reader still needs in the log; waits for nobody."""
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()


class Checkpoints:
    """`rest` runs `checkpoint` on the writer, between two transactions."""

    def __init__(self, connection: SqliteConnection, rest: Callable[[], Awaitable[None]]) -> None:
        self._connection = connection
        self._rest = rest
        self._pages = 0
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def wrote(self, rows: int) -> None:
        """Say that one commit wrote so many rows, a page for each at most; begins a checkpoint if it is time."""
        self._pages += _PAGES_OF_A_COMMIT + rows
        if self._pages >= PAGES and not self._closed and (self._task is None or self._task.done()):
            self._pages = 0
            self._task = asyncio.create_task(self._run(), name="checkpoint")

    async def close(self) -> None:
        """Begin no more, and give up waiting for a turn on the writer, which may never come.

        A checkpoint that a connection's thread has begun goes on; closing that connection waits for it.
        """
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            await self._connection.run(checkpoint)
            await self._rest()
        except Exception as failure:
            # Nobody waits for this task. Nothing is lost: all stands in the log, and the next one takes it along.
            log.warning("checkpoint_failed", reason=repr(failure))
