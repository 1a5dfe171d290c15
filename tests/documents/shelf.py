"""A store of documents that lies in memory: what a check has found fine is put on it, as the engine does."""

from __future__ import annotations

from collections.abc import Sequence

from conflict_rules.crdt import DocumentKind
from conflict_rules.values import JsonValue
from syncd.documents.pool import DocumentPool
from syncd.documents.protocol import Squash, Verdict
from syncd.store.protocol import DocumentKey, StoredDocument

__all__ = ["Shelved"]


class Shelved:
    """One document, and how it is asked for. `loads`: how often it was read."""

    def __init__(
        self, pool: DocumentPool, name: str = "n1", *, kind: DocumentKind = "text", field: str = "notes", since: int = 1
    ) -> None:
        self.key = DocumentKey("note", name, field)
        self.kind: DocumentKind = kind
        self.since = since
        self.snapshot = b""
        self.snapshot_seq = 0
        self.log: dict[int, bytes] = {}
        self.loads = 0
        self._pool = pool

    @property
    def seq(self) -> int:
        """How many updates it has taken."""
        return max(self.snapshot_seq, *self.log, 0)

    async def load(self) -> StoredDocument | None:
        """See `Load`."""
        self.loads += 1
        return StoredDocument(self.since, self.seq, self.snapshot, self.snapshot_seq, sorted(self.log.items()))

    async def check(self, *updates: bytes) -> Sequence[Verdict]:
        """The verdicts, with nothing kept."""
        return await self._pool.check(self.key, self.kind, self.since, self.seq, self.load, updates)

    async def push(self, *updates: bytes) -> Sequence[Verdict]:
        """The verdicts; what is fine is kept."""
        verdicts = await self.check(*updates)
        for update, verdict in zip(updates, verdicts, strict=True):
            if verdict.code is None:
                self.log[self.seq + 1] = update
        return verdicts

    async def view(self) -> JsonValue:
        """The content."""
        return await self._pool.view(self.key, self.kind, self.since, self.seq, self.load)

    async def diff(self, state_vector: bytes) -> bytes:
        """See `Documents.diff`."""
        return await self._pool.diff(self.key, self.kind, self.since, self.seq, self.load, state_vector)

    async def squash(self) -> Squash:
        """Put the snapshot in the place of the log."""
        squash = await self._pool.squash(self.key, self.kind, self.since, self.seq, self.load)
        self.snapshot, self.snapshot_seq = squash.snapshot, self.seq
        self.log = {seq: update for seq, update in self.log.items() if seq in squash.keep}
        return squash
