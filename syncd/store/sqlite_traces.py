"""SQLite's rows of one person: the adapter of `Traces`, on the connections of the store whose file they share."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from syncd.store.protocol import LedgerPage, ReplicaRow, ResourceKey
from syncd.store.sqlite_connections import SqliteConnections
from syncd.store.sqlite_ledger import read_changes_in, read_changes_of
from syncd.store.traces import Rewritten

__all__ = ["SqliteTraces"]

_REPLICAS: Final = f"SELECT {', '.join(ReplicaRow._fields)} FROM replicas WHERE user = ? AND user <> '' ORDER BY id"
_HIS: Final = "c.replica_no IN (SELECT no FROM replicas WHERE user = :user AND user <> '')"
_COUNT: Final = f"SELECT count(*) FROM changes AS c WHERE {_HIS}"
_TOUCHED: Final = f"""
    SELECT DISTINCT c.type, c.id FROM changes AS c
    WHERE {_HIS} AND c.kind <> 'rejected' AND (c.type, c.id) > (:type, :id) ORDER BY c.type, c.id LIMIT :limit
"""
# Bodies and payloads are blobs, in which `instr` counts bytes.
_NAMING: Final = """
    SELECT id FROM states WHERE type = :type AND id > :after AND instr(body, :text) > 0
    UNION SELECT id FROM changes WHERE type = :type AND id > :after AND instr(change, :text) > 0
    ORDER BY id LIMIT :limit
"""
_REWRITE: Final = "UPDATE changes SET change = ?, outcome = ? WHERE no = ?"
_DISOWN: Final = "UPDATE replicas SET user = ? WHERE user = ? AND user <> ''"


class SqliteTraces:
    """Implements `Traces`."""

    def __init__(self, connections: SqliteConnections) -> None:
        self._connections = connections

    async def replicas_of(self, user: str) -> Sequence[ReplicaRow]:
        """See `Traces.replicas_of`."""
        return [ReplicaRow(*row) for row in await self._connections.read(_all, _REPLICAS, (user,))]

    async def change_count(self, user: str) -> int:
        """See `Traces.change_count`."""
        return int((await self._connections.read(_all, _COUNT, {"user": user}))[0][0])

    async def changes_of(self, replica: str, *, after: int = 0, limit: int, limit_bytes: int) -> LedgerPage:
        """See `Traces.changes_of`."""
        return await self._connections.read(read_changes_of, replica, after, limit, limit_bytes)

    async def changes_in(self, scope: str, *, after: int = 0, limit: int, limit_bytes: int) -> LedgerPage:
        """See `Traces.changes_in`."""
        return await self._connections.read(read_changes_in, scope, after, limit, limit_bytes)

    async def touched_by(self, user: str, *, after: ResourceKey = ("", ""), limit: int) -> Sequence[ResourceKey]:
        """See `Traces.touched_by`."""
        asked = {"user": user, "type": after[0], "id": after[1], "limit": limit}
        return [(type_name, id_) for type_name, id_ in await self._connections.read(_all, _TOUCHED, asked)]

    async def naming(self, type: str, text: str, *, after: str = "", limit: int) -> Sequence[str]:
        """See `Traces.naming`."""
        asked = {"type": type, "text": text.encode(), "after": after, "limit": limit}
        return [id_ for (id_,) in await self._connections.read(_all, _NAMING, asked)]

    async def rewrite(self, rows: Sequence[Rewritten]) -> None:
        """See `Traces.rewrite`."""
        await self._connections.change(_REWRITE, [(row.change, row.outcome, row.no) for row in rows])

    async def disown(self, user: str, pseudonym: str) -> None:
        """See `Traces.disown`."""
        await self._connections.change(_DISOWN, [(pseudonym, user)])


def _all(connection: sqlite3.Connection, statement: str, args: Any) -> list[Any]:
    return connection.execute(statement, args).fetchall()
