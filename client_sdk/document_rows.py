"""The documents of a replica in its local file: what the server has confirmed of each, and own updates that it counts
already but has not yet given back.

What was edited here and is not confirmed yet stands in the outbox, as any other change does. Every write belongs inside
a transaction of `LocalStore`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from client_sdk.local_connection import LocalConnection

__all__ = ["DOCUMENT_TABLES", "DocumentKey", "DocumentRows", "EchoRow", "HeadRow"]

DOCUMENT_TABLES: Final = """
CREATE TABLE documents (
    type TEXT NOT NULL,
    id TEXT NOT NULL,
    field TEXT NOT NULL,
    scope TEXT NOT NULL,
    since INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    stale INTEGER NOT NULL,
    PRIMARY KEY (type, id, field)
) WITHOUT ROWID;
CREATE TABLE document_updates (
    no INTEGER PRIMARY KEY,
    type TEXT NOT NULL,
    id TEXT NOT NULL,
    field TEXT NOT NULL,
    bytes BLOB NOT NULL
);
CREATE INDEX document_updates_of ON document_updates (type, id, field);
CREATE TABLE document_echoes (
    type TEXT NOT NULL,
    id TEXT NOT NULL,
    field TEXT NOT NULL,
    change INTEGER NOT NULL,
    version INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (type, id, field, change)
) WITHOUT ROWID
"""

_THIS: Final = "WHERE type = ? AND id = ? AND field = ?"
_OF_RESOURCE: Final = "WHERE type = ? AND id = ?"


class DocumentKey(NamedTuple):
    """A document: the content of one field of one resource."""

    type: str
    id: str
    field: str


@dataclass(frozen=True, slots=True)
class HeadRow:
    """How far a document is here. `since`, `seq`: as the server counts. `stale`: the server may have another past, so
    that what is here is shown until all of it has been brought anew.
    """

    key: DocumentKey
    scope: str
    since: int
    seq: int
    stale: bool = False


@dataclass(frozen=True, slots=True)
class EchoRow:
    """An own update that the confirmed marker counts. `change`: its place in the outbox. `version`: the one that its
    outcome names, 0 if that is not known."""

    key: DocumentKey
    change: int
    version: int
    update: bytes


class DocumentRows:
    """Of one open file. `rows` reads."""

    def __init__(
        self, connection: LocalConnection, rows: Callable[[str, Sequence[object]], Awaitable[list[Any]]]
    ) -> None:
        self._connection = connection
        self._rows = rows

    async def heads(self) -> list[HeadRow]:
        """Every document of which anything is here."""
        found = await self._rows("SELECT type, id, field, scope, since, seq, stale FROM documents", ())
        return [HeadRow(DocumentKey(t, i, f), scope, since, seq, bool(s)) for t, i, f, scope, since, seq, s in found]

    async def echoes(self) -> list[EchoRow]:
        """Every own update that is counted but has not come back, in the order made."""
        found = await self._rows(
            "SELECT type, id, field, change, version, bytes FROM document_echoes ORDER BY change", ()
        )
        return [EchoRow(DocumentKey(t, i, f), change, version, update) for t, i, f, change, version, update in found]

    async def updates(self, key: DocumentKey) -> list[bytes]:
        """What is confirmed of a document: perhaps a snapshot, then updates, in the order to apply."""
        return [
            update for (update,) in await self._rows(f"SELECT bytes FROM document_updates {_THIS} ORDER BY no", key)
        ]

    async def save(self, head: HeadRow, updates: Iterable[bytes], *, instead: bool) -> None:
        """Write how far a document is, and add updates to it, or put them `instead` of what is there."""
        await self._connection.execute(
            "INSERT OR REPLACE INTO documents (type, id, field, scope, since, seq, stale) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*head.key, head.scope, head.since, head.seq, head.stale),
        )
        if instead:
            await self._connection.execute(f"DELETE FROM document_updates {_THIS}", head.key)
        await self._connection.executemany(
            "INSERT INTO document_updates (type, id, field, bytes) VALUES (?, ?, ?, ?)",
            [(*head.key, update) for update in updates],
        )

    async def add_echoes(self, echoes: Iterable[EchoRow]) -> None:
        """Keep own updates until they come back."""
        await self._connection.executemany(
            "INSERT OR REPLACE INTO document_echoes (type, id, field, change, version, bytes) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            [(*echo.key, echo.change, echo.version, echo.update) for echo in echoes],
        )

    async def drop_echoes(self, keys: Iterable[DocumentKey]) -> None:
        """What is confirmed of these documents holds them."""
        await self._connection.executemany(f"DELETE FROM document_echoes {_THIS}", list(keys))

    async def distrust(self, scope: str) -> None:
        """The documents of a scope are to be brought anew."""
        await self._connection.execute("UPDATE documents SET stale = 1 WHERE scope = ?", (scope,))

    async def drop(self, keys: Iterable[DocumentKey]) -> None:
        """Forget documents."""
        gone = list(keys)
        for table in ("documents", "document_updates", "document_echoes"):
            await self._connection.executemany(f"DELETE FROM {table} {_THIS}", gone)

    async def drop_of(self, resources: Iterable[tuple[str, str]]) -> None:
        """Forget the documents of resources."""
        gone = list(resources)
        for table in ("documents", "document_updates", "document_echoes"):
            await self._connection.executemany(f"DELETE FROM {table} {_OF_RESOURCE}", gone)
