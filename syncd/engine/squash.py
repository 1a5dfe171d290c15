"""Squashing: where a document's log has grown long, a snapshot that has passed a round trip takes its place.

Goes on beside the pushes, which wait only if they are to the same document. If it fails the log stays as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Final

import structlog

from conflict_rules.crdt import DocumentKind
from syncd.documents.protocol import Documents, DocumentUnreadable
from syncd.errors import SyncdError
from syncd.store.protocol import Commit, DocumentHead, DocumentKey, Squashed, Store, StoredDocument

__all__ = ["Squasher"]

log = structlog.get_logger(__name__)

_MOST_UPDATES: Final = 200
_MOST_BYTES: Final = 262_144
"""A log of more is squashed. Whoever has nothing reads snapshot and log, so both stay short; each squash costs a round
trip of the whole document."""


class Squasher:
    """One for each server. `turn`: makes a document its own, as a push does. `kind_of`: None for what is none."""

    def __init__(
        self,
        store: Store,
        documents: Documents,
        turn: Callable[[DocumentKey], AbstractAsyncContextManager[object]],
        kind_of: Callable[[DocumentKey], DocumentKind | None],
    ) -> None:
        self._store = store
        self._documents = documents
        self._turn = turn
        self._kind_of = kind_of
        self._under_way: dict[DocumentKey, asyncio.Task[None]] = {}

    def grown(self, heads: Mapping[DocumentKey, DocumentHead], updates: Mapping[DocumentKey, int]) -> None:
        """These documents have just taken so many updates; `heads`: as they were before."""
        for key, more in updates.items():
            head = heads.get(key)
            if head is None or key in self._under_way:
                continue
            # Since the last squash: what it left because it waits may be left by the next one too.
            grown = head.seq - head.snapshot_seq
            grown_bytes = head.bytes * grown // max(1, head.waiting)
            if grown + more > _MOST_UPDATES or grown_bytes > _MOST_BYTES:
                task = asyncio.create_task(self._squash(key), name=f"squash-{key.type}")
                self._under_way[key] = task
                task.add_done_callback(lambda _, key=key: self._under_way.pop(key, None))  # type: ignore[misc]

    async def close(self) -> None:
        """Let what is under way come to its end."""
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def _squash(self, key: DocumentKey) -> None:
        kind = self._kind_of(key)
        if kind is None:
            return
        try:
            async with self._turn(key):
                await self._squash_now(key, kind)
        except DocumentUnreadable:
            log.exception("document_unreadable", type=key.type, id=key.id, field=key.field)
        except SyncdError as failure:
            log.warning("squash_failed", type=key.type, id=key.id, field=key.field, reason=failure.message)

    async def _squash_now(self, key: DocumentKey, kind: DocumentKind) -> None:
        async with self._store.snapshot() as snapshot:
            stored = await snapshot.document(key)
        if stored is None:
            return

        async def load() -> StoredDocument | None:
            return stored

        squash = await self._documents.squash(key, kind, stored.since, stored.seq, load)
        squashed = Squashed(key, stored.since, squash.snapshot, stored.seq, squash.keep)
        async with self._store.transaction(replicas=[], scopes=[]) as transaction:
            await transaction.commit(Commit(squashed=[squashed]))
        log.debug("squashed", type=key.type, id=key.id, field=key.field, updates=len(stored.updates))
