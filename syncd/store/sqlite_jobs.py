"""SQLite's jobs: the adapter of `JobStore`, on the connections of the store whose file they share."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from syncd.store.jobs import JobRow, JobState
from syncd.store.sqlite_connections import SqliteConnections

__all__ = ["SqliteJobs"]

_COLUMNS: Final = ", ".join(JobRow._fields)
_SELECT: Final = f"SELECT {_COLUMNS} FROM jobs"
_PUT: Final = f"INSERT OR REPLACE INTO jobs ({_COLUMNS}) VALUES ({', '.join('?' * len(JobRow._fields))})"
_FORGET: Final = "DELETE FROM jobs WHERE finished_at_ms < ? AND file = ''"


class SqliteJobs:
    """Implements `JobStore`."""

    def __init__(self, connections: SqliteConnections) -> None:
        self._connections = connections

    async def put(self, job: JobRow) -> None:
        """See `JobStore.put`."""
        await self._connections.change(_PUT, [job])

    async def job(self, id: str) -> JobRow | None:
        """See `JobStore.job`."""
        rows = await self._read("WHERE id = ?", id)
        return rows[0] if rows else None

    async def of_account(self, account: str) -> Sequence[JobRow]:
        """See `JobStore.of_account`."""
        return await self._read("WHERE account = ? ORDER BY created_at_ms, id", account)

    async def under_way(self) -> Sequence[JobRow]:
        """See `JobStore.under_way`."""
        return await self._read("WHERE state IN ('queued', 'running') ORDER BY created_at_ms, id")

    async def expired(self, now_ms: int) -> Sequence[JobRow]:
        """See `JobStore.expired`."""
        return await self._read("WHERE file <> '' AND expires_at_ms <= ?", now_ms)

    async def forget(self, before_ms: int) -> int:
        """See `JobStore.forget`."""
        return await self._connections.change(_FORGET, [(before_ms,)])

    async def _read(self, where: str, *args: object) -> list[JobRow]:
        return await self._connections.read(_rows, where, args)


def _rows(connection: sqlite3.Connection, where: str, args: Sequence[Any]) -> list[JobRow]:
    rows = (JobRow(*row) for row in connection.execute(f"{_SELECT} {where}", args))
    return [row._replace(state=JobState(row.state)) for row in rows]
