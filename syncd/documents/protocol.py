"""Documents: what the engine asks of whoever reads CRDT documents, in types and prose.

A document is the content of one field of one resource. It lives in the store as a snapshot and the updates since; where
it is merged keeps it warm at most, and can be killed at any moment: nothing is lost with it. The engine knows no Yjs,
and nobody here knows of changes, transactions or scopes.

The contract:

- **Nothing hostile gets through.** Whatever an update does to its reader (ends it, hangs it, fills its memory), every
  update gets a verdict, in a bounded time, and calls for other documents are answered meanwhile (invariant 12).
- **A position is one content.** (`since`, `seq`) names a state of a document. What a check leaves behind, the caller
  commits, or he asks for the old `seq` again: he holds a document from its check to his commit, and lets nobody else
  write it.
- **Never an empty document instead.** What is stored and does not load is `DocumentUnreadable`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from conflict_rules.crdt import DocumentKind
from conflict_rules.values import JsonValue
from syncd.errors import DocumentUnreadable
from syncd.store.protocol import DocumentKey, StoredDocument

__all__ = ["LARGE_BYTES", "DocumentUnreadable", "Documents", "Load", "RoundTripFailed", "Squash", "Verdict"]

LARGE_BYTES: Final = 128 << 10
"""A document of more, as it is stored, is squashed beside everything else: it may take a second."""

Load = Callable[[], Awaitable[StoredDocument | None]]
"""Reads a document from the store; None if it has nothing of it. Asked only for one that is not held warm, perhaps more
than once."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to become of one update. `code`: None if it is fine, else why it is refused, with a sentence. `waits`: it
    is fine, and no part of the content before something else has come."""

    code: str | None = None
    message: str = ""
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Squash:
    """What replaces the updates up to a `seq`, after a full round trip. `keep`: of those, the ones that still wait for
    others, and are no part of the snapshot. `dropped`: those that had waited and then fitted nowhere, each with the
    reason: they are no part of it either, and are told again until they have gone from the log."""

    snapshot: bytes
    keep: Sequence[int]
    dropped: Sequence[tuple[int, str]] = ()


class RoundTripFailed(Exception):
    """The document reads, and its encoding would not read the same: nothing may take the place of its updates."""


class Documents(Protocol):
    """See above. `kind`: of the document's root, which is named as the field. `since`, `seq`: where the caller has it;
    `seq` 0 is a document that has taken no update yet, and is not loaded.

    All raise `DocumentUnreadable`, and `ShuttingDown` once closed.
    """

    async def check(
        self, key: DocumentKey, kind: DocumentKind, since: int, seq: int, load: Load, updates: Sequence[bytes]
    ) -> Sequence[Verdict]:
        """A verdict for each update, in order, each judged after those before it that were fine.

        The document is then held at `seq` and as many as were fine.
        """
        ...

    async def view(self, key: DocumentKey, kind: DocumentKind, since: int, seq: int, load: Load) -> JsonValue:
        """The content as JSON."""
        ...

    async def diff(
        self, key: DocumentKey, kind: DocumentKind, since: int, seq: int, load: Load, state_vector: bytes
    ) -> bytes:
        """One update with all that a replica with this state vector may lack, and every delete. What waits is left out.

        Raises `InvalidMessage` for bytes that are no state vector.
        """
        ...

    async def revert(
        self, key: DocumentKey, kind: DocumentKind, since: int, seq: int, load: Load, earlier: Sequence[bytes]
    ) -> bytes:
        """One update that leads from what it says to what it said after these updates, from its first one on; b"" if
        that is the same. What all have written since goes, and nothing else.
        """
        ...

    async def squash(self, key: DocumentKey, kind: DocumentKind, since: int, seq: int, load: Load) -> Squash:
        """What may replace the updates so far, after it has been encoded, decoded, read and compared.

        Raises `RoundTripFailed`: then the updates are what there is, and the document is served from them. One of more
        than `LARGE_BYTES` is read from what `load` gives, and nobody who asks for it meanwhile waits: so the caller
        need not hold it either.
        """
        ...
