"""One document in memory: what is confirmed and what was made here, merged, with its undo stack and its callbacks.

Runs pycrdt, as do `document_loading` and `said_again`. Each opening has a fresh random Yjs client id, since the
same one in two copies divides them for ever. What pycrdt fails at spoils the object; its owner opens it anew from the
file. Knows no file, outbox or network.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from pycrdt import UndoManager

from client_sdk.document_loading import invalid_update, loaded
from client_sdk.document_parts import Part, as_part, plain
from client_sdk.errors import DocumentUnreadable, Unfit
from client_sdk.own_updates import NOTHING_OWN, Own
from client_sdk.text_delta import text_delta
from conflict_rules import InvalidValue
from conflict_rules.crdt import DocumentKind
from conflict_rules.documents.document import Document as MergedDocument
from conflict_rules.documents.document import MergeFailed
from conflict_rules.documents.waiting_room import WaitingRoomFull
from conflict_rules.documents.yjs_update import MalformedUpdate, read_update, with_deletes
from conflict_rules.values import JsonValue

__all__ = ["DocumentChange", "OpenDocument"]

log = logging.getLogger(__name__)

LOCAL: Final = "local"
"""The origin of edits made here: what undo undoes."""


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
            raise invalid_update(self.field, failure) from failure
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
            before, last = read_update(earlier), read_update(self._last)
            for client, ranges in before.ranges.items():
                if state.get(client, 0) < ranges[-1][1]:
                    return None
                since[client] = ranges[0][0]
            for client, ranges in last.ranges.items():
                since[client] = min(since[client], ranges[0][0])
            return with_deletes(self._merged.diff(since), (before.deletes, last.deletes))

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
        delta = text_delta(before, self._told) if isinstance(before, str) and isinstance(self._told, str) else None
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
                raise invalid_update(self.field, failure) from failure
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
