"""One document in memory: what is confirmed and what was made here, merged, with its undo stack and its callbacks.

The only module here that runs pycrdt on what the server sent. Each opening has a fresh random Yjs client id, since the
same one in two copies divides them for ever. What pycrdt fails at spoils the object; its owner opens it anew from the
file. Knows no file, outbox or network.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pycrdt import UndoManager

from client_sdk.document_difference import become
from client_sdk.document_parts import Part, as_part, plain
from client_sdk.errors import DocumentUnreadable, Unfit
from client_sdk.own_updates import NOTHING_OWN, Own
from conflict_rules import InvalidValue
from conflict_rules.crdt import DocumentKind
from conflict_rules.documents.document import Document as MergedDocument
from conflict_rules.documents.document import MergeFailed, Unreadable
from conflict_rules.documents.waiting_room import WaitingRoomFull
from conflict_rules.documents.yjs_update import MalformedUpdate, read_update
from conflict_rules.values import JsonValue

__all__ = ["DocumentChange", "OpenDocument", "beside", "edited_after", "load", "loaded", "said_again", "squashed"]

log = logging.getLogger(__name__)

LOCAL: Final = "local"
"""The origin of edits made here: what undo undoes."""

_REFUSED: Final = "refused"

_AT_ONCE_BYTES: Final = 64 * 1024
"""What is read within milliseconds; more is read beside the event loop."""
_EACH_BYTES: Final = 64
"""What an update costs beyond its bytes, as bytes."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DocumentChange:
    """A document shows differently. `mine`: edited here, by this client. `delta`: of a text, what leads from the one
    before to this one, as [{"retain": 3}, {"delete": 1}, {"insert": "…"}] in code points; None for maps and lists.
    """

    mine: bool
    delta: Sequence[Mapping[str, JsonValue]] | None


class OpenDocument:
    """`base`: which confirmed content it was opened with. `own`: by place in the outbox, the updates made here that are
    in it. `uses`: how many hold it. `spoilt`: it cannot be read and is to be opened
    anew. `outdated`: it can be read until it is. `unsaved`: it has more than the file. `mine`:
    what is to be told next was edited here.
    """

    def __init__(self, kind: DocumentKind, field: str) -> None:
        self.kind: DocumentKind = kind
        self.field = field
        self.base: object = None
        self.own: dict[int, bytes] = {}
        self.uses = 0
        self.spoilt = True
        self.outdated = False
        self.unsaved = False
        self.mine = False
        self._followed = NOTHING_OWN.state
        self._editing = False
        self._callbacks: dict[object, Callable[[DocumentChange], object]] = {}
        self._told: JsonValue = None
        self._view: JsonValue = None
        self._viewed = False
        self._made: list[bytes] = []
        self._last = b""
        self._merged: MergedDocument
        self._undo: UndoManager
        self._subscription: object = None

    async def reopen(self, base: object, confirmed: Sequence[bytes], own: Own) -> None:
        """Take this content, in the place of whatever was here; the undo stack is empty then.

        What was here can be read until then. Raises `DocumentUnreadable`, and then nothing can.
        """
        try:
            merged = await loaded(self.kind, self.field, confirmed, own.updates.values())
        except BaseException:
            self.spoilt = True
            raise
        self.spoilt = True
        self._merged, self.base = merged, base
        with self._native():
            self._subscription = merged.doc.observe(lambda event: self._made.append(event.update))
            self._undo = UndoManager(scopes=[merged.root], capture_timeout_millis=0)
            self._undo.include_origin(LOCAL)
        self._editing, self._viewed = False, False
        self.spoilt = self.outdated = self.unsaved = False
        self.own, self._followed = dict(own.updates), own.state

    def lacks(self, own: Own) -> list[bytes]:
        """Those of the updates made here that are not in it yet."""
        return [update for place, update in self._news(own).items() if self.own.get(place) != update]

    def followed(self, own: Own) -> None:
        """All of these are in it now."""
        if own.generation == self._followed[0]:
            self.own.update(self._news(own))
        else:
            self.own = dict(own.updates)
        self._followed = own.state

    def holds(self, life: object, own: Own) -> bool:
        """Whether it shows this content and these updates, and nothing beyond."""
        if self.spoilt or self.base != life:
            return False
        return (self._followed == own.state and len(self.own) == len(own.updates)) or self.own == own.updates

    def _news(self, own: Own) -> Mapping[int, bytes]:
        generation, upto = self._followed
        return own.after(upto) if own.generation == generation else own.updates

    # Reading

    @property
    def content(self) -> Part:
        """The root, to read, and to edit inside of `edit`."""
        self._check()
        part: Part = as_part(self._merged.root, lambda: self._editing)
        return part

    def view(self) -> JsonValue:
        """The content as JSON."""
        self._check()
        if not self._viewed:
            with self._native():
                self._view = plain(self._merged.view())
            self._viewed = True
        return self._view

    @property
    def can_undo(self) -> bool:
        """Whether an edit made here, since it was opened, can be undone."""
        return not self.spoilt and self._undo.can_undo()

    @property
    def can_redo(self) -> bool:
        """Whether something undone can be redone."""
        return not self.spoilt and self._undo.can_redo()

    # Changing

    def edit(self, change: Callable[[Any], object]) -> bytes | None:
        """Run `change` on the content, as one transaction; the update that it made, None if it changed nothing.

        What `change` raises comes out; if it had changed something by then, the document is outdated.
        """
        self._check()
        self._made.clear()
        self._editing = True
        try:
            with self._native(ours=True), self._merged.doc.transaction(origin=LOCAL):
                returned = change(self.content)
                if hasattr(returned, "__await__"):
                    getattr(returned, "close", lambda: None)()
                    raise Unfit("an edit of a document cannot wait for anything: give a function, not a coroutine")
        finally:
            self._editing = False
        return self._collect()

    def undo(self) -> bytes | None:
        """Undo the last edit made here; the update that does so, None if there is none."""
        return self._travel(lambda: self._undo.undo())

    def redo(self) -> bytes | None:
        """Redo what was undone last."""
        return self._travel(lambda: self._undo.redo())

    def take(self, update: bytes) -> None:
        """Merge an update made elsewhere, or keep it until what it needs has come; repeats change nothing.

        Raises `InvalidValue` for what no document takes.
        """
        self._check()
        self._viewed = False
        try:
            with self._native():
                arrival = self._merged.offer(update)
        except (MalformedUpdate, WaitingRoomFull) as failure:
            raise _invalid(self.field, failure) from failure
        for dropped in arrival.dropped:
            log.warning("an update of %s fits nowhere and is left out: %s", self.field, dropped.why)

    def joined(self, earlier: bytes) -> bytes | None:
        """All that was made from `earlier` on, an update of this device's, as one update; None if that cannot be told.

        By state vectors: joining the bytes themselves would leave every keystroke for itself.
        """
        self._check()
        with self._native():
            if self._merged.waiting:
                return None
            state = dict(self._merged.state_vector())
            since = dict(state)
            for client, ranges in read_update(earlier).ranges.items():
                if state.get(client, 0) < ranges[-1][1]:
                    return None
                since[client] = ranges[0][0]
            for client, ranges in read_update(self._last).ranges.items():
                since[client] = min(since[client], ranges[0][0])
            return self._merged.diff(since)

    # Callbacks

    def observe(self, callback: Callable[[DocumentChange], object]) -> Callable[[], None]:
        """Call it whenever it shows differently; returns what ends that."""
        key = object()
        if not self._callbacks:
            self._told = self.view()
        self._callbacks[key] = callback

        def remove() -> None:
            self._callbacks.pop(key, None)

        return remove

    def tell(self) -> None:
        """The file has what is here now: tell whoever wants to know, if it shows differently."""
        mine, self.mine = self.mine, False
        if not self._callbacks:
            return
        before, self._told = self._told, self.view()
        if before == self._told:
            return
        delta = _delta(before, self._told) if isinstance(before, str) and isinstance(self._told, str) else None
        for callback in list(self._callbacks.values()):
            try:
                callback(DocumentChange(mine, delta))
            except Exception:
                log.exception("a callback for changes of a document failed")

    def _travel(self, step: Callable[[], bool]) -> bytes | None:
        self._check()
        self._made.clear()
        with self._native():
            step()
        return self._collect()

    def _collect(self) -> bytes | None:
        if not self._made:
            return None
        self._viewed = False
        with self._native():
            if len(self._made) > 1:
                raise RuntimeError("one transaction made more than one update")
            try:
                self._merged.edited(self._made[0])
            except MalformedUpdate as failure:
                self.spoilt = True
                raise _invalid(self.field, failure) from failure
        self._last = self._made[0]
        return self._last

    def _check(self) -> None:
        if self.spoilt:
            raise DocumentUnreadable(f"the document {self.field} has failed; open it again")

    @contextmanager
    def _native(self, *, ours: bool = False) -> Iterator[None]:
        """What pycrdt fails at is told as an exception: its panics are none. `ours`: code of the user's runs inside,
        whose exceptions come out as they are."""
        try:
            yield
        except (InvalidValue, MalformedUpdate, WaitingRoomFull):
            self.outdated = self.outdated or (ours and bool(self._made))
            raise
        except Exception as failure:
            if ours and not isinstance(failure, MergeFailed):
                self.outdated = self.outdated or bool(self._made)
                raise
            self.spoilt = True
            raise DocumentUnreadable(f"the document {self.field} could not be merged: {failure}") from failure
        except BaseException as failure:
            self.spoilt = True
            if type(failure).__name__ != "PanicException":
                raise
            raise DocumentUnreadable(f"the document {self.field} could not be merged: {failure}") from failure


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
        raise _invalid(merged.field, failure) from failure


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


def _invalid(field: str, failure: Exception) -> InvalidValue:
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


def _delta(before: str, after: str) -> list[Mapping[str, JsonValue]]:
    start = _common(before, after)
    end = min(_common(before[::-1], after[::-1]), len(before) - start, len(after) - start)
    steps: list[Mapping[str, JsonValue]] = []
    if start:
        steps.append({"retain": start})
    if gone := len(before) - start - end:
        steps.append({"delete": gone})
    if come := after[start : len(after) - end]:
        steps.append({"insert": come})
    return steps


def _common(one: str, other: str) -> int:
    """How long the beginning is that both share."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def edited_after(own: Mapping[int, bytes], refused: Collection[int]) -> list[int]:
    """Which of the updates made here, by place, cannot be merged without the refused ones."""
    lacking: set[int] = set()
    behind: list[int] = []
    for seq, update in sorted(own.items()):
        extent = read_update(update)
        if seq in refused:
            lacking |= extent.ranges.keys()
        elif lacking & extent.needs.keys():
            behind.append(seq)
            lacking |= extent.ranges.keys()
    return behind


def said_again(
    kind: DocumentKind,
    field: str,
    confirmed: Sequence[bytes],
    own: Mapping[int, bytes],
    refused: Collection[int],
    stays: Mapping[int, bytes],
) -> bytes | None:
    """An update, by a client that nobody has heard of, after which `confirmed` and `stays` say what `confirmed` and
    `own` say once the `refused` ones of these are undone. None if they do already. Raises `DocumentUnreadable`.
    """
    meant = load(kind, field, confirmed)
    undo = UndoManager(scopes=[meant.root], capture_timeout_millis=0)
    undo.include_origin(_REFUSED)
    for seq, update in sorted(own.items()):
        if seq in refused:
            with meant.doc.transaction(origin=_REFUSED):
                meant.doc.apply_update(update)
            meant.edited(update)
        else:
            meant.offer(update)
    while undo.can_undo():
        undo.undo()
    again = load(kind, field, [*confirmed, *(update for _, update in sorted(stays.items()))])
    made: list[bytes] = []
    subscription = again.doc.observe(lambda event: made.append(event.update))
    with again.doc.transaction(origin=LOCAL):
        become(again.root, meant.root)
    again.doc.unobserve(subscription)
    return made[0] if made else None
