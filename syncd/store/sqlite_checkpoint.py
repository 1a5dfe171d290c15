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

from syncd.errors import StoreError
from syncd.store.sqlite_connection import SqliteConnection

__all__ = ["Checkpoints", "checkpoint"]

ROWS: Final = 16_000
"""Written between two checkpoints: a log of some 50 MiB. While one runs, commits share the disk with it."""

log = structlog.get_logger(__name__)


def checkpoint(connection: Connection) -> None:
    """Move what no reader still needs in the log; waits for nobody."""
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()


class Checkpoints:
    """`rest` runs `checkpoint` on the writer, between two transactions."""

    def __init__(self, connection: SqliteConnection, rest: Callable[[], Awaitable[None]]) -> None:
        self._connection = connection
        self._rest = rest
        self._rows = 0
        self._task: asyncio.Task[None] | None = None

    def wrote(self, rows: int) -> None:
        """Say how many rows were committed; begins a checkpoint if it is time for one."""
        self._rows += rows
        if self._rows >= ROWS and (self._task is None or self._task.done()):
            self._rows = 0
            self._task = asyncio.create_task(self._run(), name="checkpoint")

    async def close(self) -> None:
        """Wait for the one that is under way."""
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        try:
            await self._connection.run(checkpoint)
            await self._rest()
        except StoreError as failure:
            # Nothing is lost: all of it stands in the log, and the next checkpoint takes it along.
            log.warning("checkpoint_failed", reason=str(failure))
