"""Squashing: where a document's log has grown long, a snapshot that has passed a round trip takes its place.

Goes on beside the pushes, which wait only if they are to the same document. If it fails the log stays as it is, and the
document is served from it: nothing is lost. That it fails again is likely, so it is tried again only when the log has
become twice as long.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Set
from contextlib import AbstractAsyncContextManager
from typing import Final, TypeVar

import structlog

from conflict_rules.crdt import DocumentKind
from syncd.documents.protocol import LARGE_BYTES, Documents, DocumentUnreadable, RoundTripFailed, Squash
from syncd.engine.unfit import find_unfit, quarantined
from syncd.errors import SyncdError
from syncd.store.protocol import Commit, DocumentHead, DocumentKey, Squashed, Store, StoredDocument, Wanted

__all__ = ["Squasher"]

log = structlog.get_logger(__name__)

_MOST_UPDATES: Final = 200
_MOST_BYTES: Final = 262_144
"""A log of more is squashed. Whoever has nothing reads snapshot and log, so both stay short; each squash costs a round
trip of the whole document."""

_MOST_KNOWN: Final = 10_000
"""Documents of which it is remembered how large they are, and which could not be squashed."""

K = TypeVar("K")


class Squasher:
    """One for each server. `turn`: makes a document its own, as a push does. `kind_of`: None for what is none.
    `on_rejected`: told for whom there is something new in the quarantine.
    """

    def __init__(
        self,
        store: Store,
        documents: Documents,
        turn: Callable[[DocumentKey], AbstractAsyncContextManager[object]],
        kind_of: Callable[[DocumentKey], DocumentKind | None],
        now_ms: Callable[[], int],
        on_rejected: Callable[[Set[str]], None],
    ) -> None:
        self._store = store
        self._documents = documents
        self._turn = turn
        self._kind_of = kind_of
        self._now_ms = now_ms
        self._on_rejected = on_rejected
        self._put_off: OrderedDict[tuple[DocumentKey, int], int] = OrderedDict()
        self._sizes: OrderedDict[DocumentKey, int] = OrderedDict()
        self._under_way: dict[DocumentKey, asyncio.Task[None]] = {}

    def grown(self, heads: Mapping[DocumentKey, DocumentHead], updates: Mapping[DocumentKey, int]) -> None:
        """These documents have just taken so many updates; `heads`: as they were before."""
        for key, more in updates.items():
            head = heads.get(key)
            if head is None or key in self._under_way or head.seq + more < self._put_off.get((key, head.since), 0):
                continue
            # Since the last squash: what it left because it waits may be left by the next one too.
            grown = head.seq - head.snapshot_seq
            grown_bytes = head.bytes * grown // max(1, head.waiting)
            scale = max(1.0, self._sizes.get(key, 0) / LARGE_BYTES)
            if grown + more > scale * _MOST_UPDATES or grown_bytes > scale * _MOST_BYTES:
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
            stored = await self._stored(key)
            if stored is not None and _size(stored) > LARGE_BYTES:
                await self._squash_now(key, kind, stored)
                return
            async with self._turn(key):
                stored = await self._stored(key)
                if stored is not None:
                    await self._squash_now(key, kind, stored)
        except DocumentUnreadable:
            log.exception("document_unreadable", type=key.type, id=key.id, field=key.field)
        except SyncdError as failure:
            log.warning("squash_failed", type=key.type, id=key.id, field=key.field, reason=failure.message)

    async def _stored(self, key: DocumentKey) -> StoredDocument | None:
        async with self._store.snapshot() as snapshot:
            return await snapshot.document(key)

    async def _squash_now(self, key: DocumentKey, kind: DocumentKind, stored: StoredDocument) -> None:
        async def load() -> StoredDocument | None:
            return stored

        try:
            squash = await self._documents.squash(key, kind, stored.since, stored.seq, load)
        except RoundTripFailed as failure:
            self._keep_as_it_is(key, stored, str(failure))
            return
        await self._write(key, stored, squash)
        _remember(self._sizes, key, len(squash.snapshot))
        log.debug("squashed", type=key.type, id=key.id, field=key.field, updates=len(stored.updates))

    def _keep_as_it_is(self, key: DocumentKey, stored: StoredDocument, reason: str) -> None:
        wait = max(_MOST_UPDATES, stored.seq - stored.snapshot_seq)
        _remember(self._put_off, (key, stored.since), stored.seq + wait)
        log.warning(
            "squash_failed",
            type=key.type,
            id=key.id,
            field=key.field,
            reason=reason,
            updates=len(stored.updates),
            hint="nothing is lost: the document is served from its updates, and takes further ones",
        )

    async def _write(self, key: DocumentKey, stored: StoredDocument, squash: Squash) -> None:
        squashed = Squashed(key, stored.since, squash.snapshot, stored.seq, squash.keep)
        async with self._store.snapshot() as snapshot:
            unfit = await find_unfit(snapshot, key, stored, squash.dropped) if squash.dropped else []
        replicas, scopes = {one.quarantine for one in unfit}, {one.scope for one in unfit}
        async with self._store.transaction(replicas=replicas, scopes=scopes) as transaction:
            loaded = await transaction.load(Wanted(replicas=replicas, scopes=scopes))
            settled, rows = quarantined(unfit, loaded.replicas, loaded.scopes, self._now_ms())
            await transaction.commit(Commit(settled=settled, replicas=rows, squashed=[squashed]))
        if replicas:
            self._on_rejected(replicas)


def _size(stored: StoredDocument) -> int:
    return len(stored.snapshot) + sum(len(update) for _, update in stored.updates)


def _remember(known: OrderedDict[K, int], key: K, value: int) -> None:
    """Keep it, and forget the oldest if there are too many."""
    known[key] = value
    known.move_to_end(key)
    if len(known) > _MOST_KNOWN:
        known.popitem(last=False)
