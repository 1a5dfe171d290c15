"""Documents for replicas: what each of them lacks, as raw updates where the log still has them, and else by difference.

Whether there is anything new is told by `since` and `seq`: a state vector shows no deletions, so that equal ones do not
mean equal documents.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from conflict_rules.crdt import DocumentKind, Marker
from conflict_rules.documents.causal_order import in_causal_order
from conflict_rules.documents.yjs_update import write_state_vector
from conflict_rules.values import JsonValue
from syncd.app import App
from syncd.documents.protocol import Documents
from syncd.engine.documents import kind_of
from syncd.engine.history import History
from syncd.engine.principal import Caller
from syncd.engine.sight import EVERYTHING, Sight
from syncd.errors import NotFound
from syncd.store.protocol import DocumentKey, Snapshot, Store, StoredDocument

__all__ = ["AskedDocument", "DocumentPart", "DocumentReader"]

_SMALL_BYTES: Final = 16_384
"""A snapshot of no more is sent as it is: to work out the difference would take longer."""
_NOTHING: Final = write_state_vector({})


@dataclass(frozen=True, slots=True)
class AskedDocument:
    """What a replica holds of a document: `seq` updates of the life `since`, 0 for nothing; `state`: its state vector,
    encoded as Yjs does, None if it would rather have the whole.
    """

    key: DocumentKey
    since: int = 0
    seq: int = 0
    state: bytes | None = None


@dataclass(frozen=True, slots=True)
class DocumentPart:
    """What it lacks: after these updates, in this order, it holds the document at (`since`, `seq`)."""

    key: DocumentKey
    since: int
    seq: int
    updates: Sequence[bytes]


class DocumentReader:
    """The use case. Reads from one snapshot each."""

    def __init__(self, app: App, store: Store, documents: Documents | None, history: History) -> None:
        self._app = app
        self._history = history
        self._store = store
        self._documents = documents

    async def read(self, asked: AskedDocument, sight: Sight = EVERYTHING) -> DocumentPart:
        """What `asked` lacks. `sight`: of whoever asks.

        Raises `NotFound` (code "unknown_document") for what never was or has gone with its resource, and
        `DocumentUnreadable` if what is stored does not load.
        """
        kind = kind_of(self._app, asked.key)
        if kind is None:
            raise _unknown(asked.key)
        # A share link shows no past, and updates tell what was written and deleted again.
        present_only = sight.principal.caller is Caller.LINK
        async with self._store.snapshot() as snapshot:
            await self._check(snapshot, asked.key, sight)
            if asked.seq and not present_only:
                news = await snapshot.updates_since(asked.key, asked.since, asked.seq)
                if news is not None:
                    updates = await _in_order(news.updates, news.shuffled)
                    return DocumentPart(asked.key, asked.since, asked.seq + len(updates), updates)
            stored = await snapshot.document(asked.key)
        if stored is None:
            raise _unknown(asked.key)
        lacking = await (self._present if present_only else self._lacking)(asked, kind, stored)
        return DocumentPart(asked.key, stored.since, stored.seq, lacking)

    async def view(
        self, key: DocumentKey, version: int | None = None, sight: Sight = EVERYTHING
    ) -> tuple[Marker, JsonValue]:
        """The content as JSON, as it is, or as it was at `version` of its scope, with the marker of then.

        Raises what `read` raises, and `InvalidMessage` ("not_in_history").
        """
        kind = kind_of(self._app, key)
        if kind is None or self._documents is None:
            raise _unknown(key)
        if not sight.is_whole:
            async with self._store.snapshot() as snapshot:
                await self._check(snapshot, key, sight)
        if version is not None and sight.principal.caller is Caller.LINK:
            raise _unknown(key)
        stored = await self._stored(key) if version is None else await self._as_it_was(key, version)
        if stored is None:
            raise _unknown(key)

        async def load() -> StoredDocument | None:
            return stored

        value = await self._documents.view(key, kind, stored.since, stored.seq, load)
        return Marker(stored.since, stored.seq), value

    async def _check(self, snapshot: Snapshot, key: DocumentKey, sight: Sight) -> None:
        """What may not be seen was never there."""
        if sight.is_whole:
            return
        seen = await sight.now(snapshot, (key.type, key.id))
        if seen is None or not seen.shows(key.type, key.field):
            raise _unknown(key)

    async def _stored(self, key: DocumentKey) -> StoredDocument | None:
        async with self._store.snapshot() as snapshot:
            return await snapshot.document(key)

    async def _as_it_was(self, key: DocumentKey, version: int) -> StoredDocument | None:
        then = await self._history.document(key, version)
        if then is None:
            return None
        marker, updates = then
        return StoredDocument(marker.since, marker.seq, b"", 0, list(enumerate(updates, 1)))

    async def _lacking(self, asked: AskedDocument, kind: DocumentKind, stored: StoredDocument) -> list[bytes]:
        whole = [stored.snapshot] if stored.snapshot else []
        if asked.state is not None and asked.since == stored.since and len(stored.snapshot) > _SMALL_BYTES:
            whole = [await self._difference(asked.key, kind, stored, asked.state)]
        # Those that wait for what they depend on are in no difference.
        return [*whole, *await _in_order([update for _, update in stored.updates], stored.shuffled)]

    async def _present(self, asked: AskedDocument, kind: DocumentKind, stored: StoredDocument) -> list[bytes]:
        """What the document says, encoded anew: of what was deleted that keeps no more than how much it was."""
        if (asked.since, asked.seq) == (stored.since, stored.seq):
            return []
        return [await self._difference(asked.key, kind, stored, _NOTHING)]

    async def _difference(self, key: DocumentKey, kind: DocumentKind, stored: StoredDocument, state: bytes) -> bytes:
        """What a replica with this state vector lacks of all that has been merged."""
        assert self._documents is not None, "an app with documents is served with something that can read them"

        async def load() -> StoredDocument | None:
            return stored

        return await self._documents.diff(key, kind, stored.since, stored.seq, load, state)


async def _in_order(updates: Sequence[bytes], shuffled: bool) -> Sequence[bytes]:
    if not shuffled:
        return updates
    if sum(map(len, updates)) < _SMALL_BYTES:
        return in_causal_order(updates)
    return await asyncio.to_thread(in_causal_order, updates)


def _unknown(key: DocumentKey) -> NotFound:
    return NotFound(
        f"there is no document in the field {key.field!r} of the {key.type} {key.id!r}",
        hint="It never was, or has gone with its resource: a pull tells.",
        code="unknown_document",
    )
