"""Loading a document from what is stored of it and what was edited here, however large it is. Runs pycrdt."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final, TypeVar

from client_sdk.errors import DocumentUnreadable
from conflict_rules import InvalidValue
from conflict_rules.crdt import DocumentKind
from conflict_rules.documents.document import Document as MergedDocument
from conflict_rules.documents.document import MergeFailed, Unreadable
from conflict_rules.documents.waiting_room import WaitingRoomFull
from conflict_rules.documents.yjs_update import MalformedUpdate, read_update

__all__ = ["beside", "invalid_update", "load", "loaded", "squashed"]

log = logging.getLogger(__name__)

_AT_ONCE_BYTES: Final = 64 * 1024
"""What is read within milliseconds; more is read beside the event loop."""
_EACH_BYTES: Final = 64
"""What an update costs beyond its bytes, as bytes."""

T = TypeVar("T")


def load(kind: DocumentKind, field: str, updates: Iterable[bytes], own: Iterable[bytes] = ()) -> MergedDocument:
    """The document of what is stored, and of what was made here. Raises `DocumentUnreadable`; `InvalidValue` for what
    was made here and fits nowhere."""
    stored = list(updates)
    try:
        # A snapshot needs nothing, and may have more structs than an update may bring.
        whole = bool(stored) and not read_update(stored[0], max_structs=None).needs
        merged = MergedDocument.load(kind, field, stored[0] if whole else b"", stored[whole:])
        _offer(merged, own)
    except InvalidValue:
        raise
    except (Unreadable, MalformedUpdate, MergeFailed, WaitingRoomFull) as failure:
        raise DocumentUnreadable(f"what is stored of the document {field!r} does not load: {failure}") from failure
    except BaseException as failure:
        if type(failure).__name__ != "PanicException":
            raise
        raise DocumentUnreadable(f"what is stored of the document {field!r} does not load: {failure}") from failure
    return merged


def _offer(merged: MergedDocument, own: Iterable[bytes]) -> None:
    try:
        for update in own:
            merged.offer(update, trusted=True)
    except MalformedUpdate as failure:
        raise invalid_update(merged.field, failure) from failure


async def loaded(
    kind: DocumentKind, field: str, updates: Sequence[bytes], own: Collection[bytes] = ()
) -> MergedDocument:
    """The same, without keeping the event loop from anybody, however large the document is."""
    return await beside(load, kind, field, updates, own, size=_size(updates) + _size(own))


async def beside(work: Callable[..., T], *arguments: Any, size: int) -> T:
    """Do it in a thread of its own, if so many bytes take long. pycrdt lets another thread use what one has made, as
    long as they do not at one time."""
    if size <= _AT_ONCE_BYTES:
        return work(*arguments)
    return await asyncio.to_thread(work, *arguments)


def invalid_update(field: str, failure: Exception) -> InvalidValue:
    """What is said of an update that the document of a field cannot take."""
    return InvalidValue("invalid_document_update", field, f"{field}: {failure}")


def _size(updates: Collection[bytes]) -> int:
    return sum(len(update) + _EACH_BYTES for update in updates)


def squashed(kind: DocumentKind, field: str, updates: Iterable[bytes]) -> list[bytes] | None:
    """The same document in few bytes: a snapshot that has passed a round trip, and what waits; None if it did not."""
    try:
        snapshot, waiting = load(kind, field, updates).snapshot()
    except (DocumentUnreadable, MergeFailed) as failure:
        log.warning("the document %s keeps its single updates: %s", field, failure)
        return None
    return [snapshot, *waiting]
