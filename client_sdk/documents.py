"""Documents: what several people edit at once, character by character, as one edits it here, with or without a network.

    doc = await client.document("note", note_id, field="notes")
    await doc.edit(lambda text: text.insert(3, "नमस्ते"))
    str(doc)

An edit is one transaction and one change, in one local commit; edits that were never sent are joined to one change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from client_sdk.document_rows import DocumentKey
from client_sdk.drafts import Draft, GroupDraft
from client_sdk.edits import Edits
from client_sdk.errors import Closed, NotHere, Unfit
from client_sdk.grouped_documents import draft_edits
from client_sdk.handles import ChangeHandle
from client_sdk.observers import changed_pairs
from client_sdk.outbox import Entry
from client_sdk.own_updates import as_value, own_update
from client_sdk.rebase import ABOVE_ALL, base_of
from client_sdk.replica import Replica
from conflict_rules import Op, State
from conflict_rules.values import JsonValue
from syncd.app import ResourceType

if TYPE_CHECKING:
    from client_sdk.document_parts import ArrayPart, MapPart, TextPart
    from client_sdk.open_document import DocumentChange, OpenDocument

__all__ = ["Document", "open_document"]

_MOST_JOINED_BYTES: Final = 48 * 1024
"""A change that was never sent takes up no further edit beyond this: it is written anew with each."""

_AT_ONCE: Final = 64
"""So many updates are merged before others may use the event loop."""

_Act = Callable[["OpenDocument"], Awaitable[list[bytes]]]
"""Does something to a document; the updates that this made."""


async def open_document(
    replica: Replica,
    resource_type: ResourceType,
    resource_id: str,
    field: str | None,
    to_handle: Callable[[Draft], ChangeHandle],
    group: Callable[[], GroupDraft | None],
) -> Document:
    """The document of a field; None for the only one of its type. Raises `Unfit`, `NotHere`, `DocumentUnreadable`."""
    declared = () if resource_type.model is None else tuple(resource_type.model.model_fields)
    known = [name for name in declared if replica.documents.rule(resource_type.name, name) is not None]
    if field is None and len(known) == 1:
        field = known[0]
    if field is None:
        raise Unfit(f"say which field of {resource_type.name}: its documents are {', '.join(known) or 'none'}")
    if replica.documents.rule(resource_type.name, field) is None:
        raise Unfit(f"the field {field!r} of {resource_type.name} is no document: its rule is not crdt")
    key = DocumentKey(resource_type.name, resource_id, field)
    async with replica.reading():
        _, _, shown = await replica.look((key.type, key.id), group())
        _living(shown, key)
        opened = await replica.documents.open(key)
    return Document(replica, key, opened, to_handle, group)


class Document:
    """One document. It shows what is confirmed and what was done here since, and follows both.

    `close` lets go of it, as does the end of `async with`; it may be left open as long as the client.
    """

    def __init__(
        self,
        replica: Replica,
        key: DocumentKey,
        opened: OpenDocument,
        to_handle: Callable[[Draft], ChangeHandle],
        group: Callable[[], GroupDraft | None],
    ) -> None:
        self._replica = replica
        self._key = key
        self._opened: OpenDocument | None = opened
        self._to_handle = to_handle
        self._group = group

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of it; may be called twice."""
        if self._opened is not None:
            self._opened = None
            self._replica.documents.close(self._key)

    def __repr__(self) -> str:
        return f"<Document {self._key.field} of {self._key.type} {self._key.id}>"

    def __str__(self) -> str:
        """The text; of a map or a list, its JSON form as Python writes it."""
        return str(self.to_json())

    def to_json(self) -> JsonValue:
        """The content as JSON, as collections and views show it."""
        return self._here().view()

    @property
    def text(self) -> TextPart:
        """The text, to read; `Unfit` if it is none."""
        return self._part("text")  # type: ignore[no-any-return]

    @property
    def map(self) -> MapPart:
        """The map, to read; `Unfit` if it is none."""
        return self._part("map")  # type: ignore[no-any-return]

    @property
    def array(self) -> ArrayPart:
        """The list, to read; `Unfit` if it is none."""
        return self._part("array")  # type: ignore[no-any-return]

    @property
    def current(self) -> bool:
        """Whether all is here that the server is known to have of it."""
        return self._key not in self._replica.documents.wanted

    @property
    def can_undo(self) -> bool:
        """Whether there is an edit to undo."""
        return self._here().can_undo

    @property
    def can_redo(self) -> bool:
        """Whether there is something undone to redo."""
        return self._here().can_redo

    async def edit(self, change: Callable[[Any], object]) -> ChangeHandle | None:
        """Run `change` on the text, map or list: one transaction, one change, one local commit. Works offline.

        Returns the change, which may be one that was never sent and has taken up this edit; None if nothing changed.
        What `change` raises comes out, and then nothing of it was done. Raises `NotHere` if the resource was deleted.
        """
        return await self._make_one(lambda opened: opened.edit(change))

    async def undo(self) -> ChangeHandle | None:
        """Undo the last `edit` made through this client since the document was opened, leaving alone what others did;
        None if there is none. That is a change like any other. Inside of a group, it undoes what was edited there."""
        return await self._make_one(lambda opened: opened.undo())

    async def redo(self) -> ChangeHandle | None:
        """Redo what was undone last; None if there is nothing, or something else was edited since."""
        return await self._make_one(lambda opened: opened.redo())

    async def apply(self, update: bytes) -> ChangeHandle:
        """Merge a Yjs update (version 1) that was made elsewhere, and send it on as a change of its own.

        What it needs may come later. Raises `conflict_rules.InvalidValue` for what is none, or no document takes.
        """
        return (await self.apply_all([update]))[0]

    async def apply_all(self, updates: Iterable[bytes]) -> list[ChangeHandle]:
        """Merge many, in one local commit: a change for each, in this order. All or, if one is refused here, none."""
        given = [bytes(update) for update in updates]

        async def take(opened: OpenDocument) -> list[bytes]:
            for place, update in enumerate(given, 1):
                opened.take(update)
                opened.unsaved = True
                if place % _AT_ONCE == 0:
                    await asyncio.sleep(0)
            return given

        return await self._make(take, foreign=True)

    def on_change(self, callback: Callable[[DocumentChange], object]) -> Callable[[], None]:
        """Call it whenever the document shows differently, edited here or elsewhere; returns what ends that.

        It runs in the event loop, once the file has the change, and cannot wait. Of what is edited inside of a group it
        is told when the group is done.
        """
        return self._shared().observe(callback)

    def _part(self, kind: str) -> Any:
        opened = self._here()
        if opened.kind != kind:
            raise Unfit(f"the document {self._key.field!r} of {self._key.type} is a {opened.kind}, not a {kind}")
        return opened.content

    def _here(self) -> OpenDocument:
        shared, group = self._shared(), self._group()
        inside = None if group is None or group.done else group.documents.get(self._key)
        return inside or shared

    def _shared(self) -> OpenDocument:
        if self._opened is None or self._replica.closed:
            raise Closed
        return self._opened

    async def _make_one(self, act: Callable[[OpenDocument], bytes | None]) -> ChangeHandle | None:
        async def edit(opened: OpenDocument) -> list[bytes]:
            update = act(opened)
            return [] if update is None else [update]

        return next(iter(await self._make(edit)), None)

    async def _make(self, act: _Act, *, foreign: bool = False) -> list[ChangeHandle]:
        made: list[Draft] = []
        group = self._group()

        async def commit() -> None:
            opened = self._here()
            if group is not None:
                made.extend(await draft_edits(self._replica, group, self._key, act))
                return
            await self._replica.documents.refresh(self._key)
            try:
                made.extend(await self._commit(opened, act, foreign))
            except BaseException:
                # What is in memory must not be more than what the file has.
                opened.outdated = opened.outdated or opened.unsaved
                if opened.spoilt or opened.outdated:
                    await self._replica.documents.refresh(self._key)
                raise

        await self._replica.write(commit)
        return [self._to_handle(draft) for draft in made]

    async def _commit(self, opened: OpenDocument, act: _Act, foreign: bool) -> list[Draft]:
        replica, resource = self._replica, (self._key.type, self._key.id)
        living, base = await self._stands()
        observed = [resource] if resource[0] in replica.observers.types else []
        before = await replica.look_at(observed)
        updates = await act(opened)
        if not updates:
            return []
        opened.unsaved = opened.mine = True
        joined = None if foreign else self._joined(opened, base)
        if joined is None:
            made = [
                Draft(living.scope, *resource, Op.UPDATE, base, {self._key.field: as_value(update)})
                for update in updates
            ]
            opened.own.update(enumerate(updates, replica.next_seq))
            await Edits(replica).queue(made)
        else:
            opened.own[joined[0].seq] = joined[1]
            made = [await self._rewrite(*joined)]
            await replica.documents.refresh(self._key)
            opened.tell()
            if before:
                replica.observers.tell(changed_pairs(before, await replica.look_at(before)))
        opened.unsaved = False
        return made

    async def _stands(self) -> tuple[State, int]:
        """The resource as it is shown, with markers for its documents, and the base of an edit of this one (law 1).
        Raises `NotHere`.

        Thousands of edits may be pending: where there is nothing else, only the last of each document counts.
        """
        replica, resource, field = self._replica, (self._key.type, self._key.id), self._key.field
        confirmed = await replica.confirmed(resource)
        edits = replica.documents.only_edits(resource)
        if edits is not None and confirmed is not None and confirmed.deleted is None and confirmed.floor is None:
            base = confirmed.version
            return confirmed, min(base, edits[field].change.base) if field in edits else base
        shown = await replica.replayed(resource)
        living = _living(shown, self._key)
        # Of what is pending, a base asks only for the first, and for what hides this field.
        mark, outbox = living.marks.get(field), replica.outbox
        hides = None if mark is None else outbox.get(mark.version - ABOVE_ALL)
        asked = [outbox.first_pending(resource), None if hides is None else hides.pending]
        return living, base_of(confirmed, [one for one in asked if one is not None], living, {field})

    def _joined(self, opened: OpenDocument, base: int) -> tuple[Entry, bytes] | None:
        """The last change of the resource, and what it says with this edit, if that may still be said (law 3)."""
        last = self._replica.outbox.last_shown((self._key.type, self._key.id))
        if last is None or not self._takes_up(last, base):
            return None
        earlier = own_update(last, self._key.field)
        if earlier is None or len(earlier) > _MOST_JOINED_BYTES:
            return None
        update = opened.joined(earlier)
        return None if update is None else (last, update)

    def _takes_up(self, last: Entry, base: int) -> bool:
        change = last.change
        return (
            last.waiting
            and not last.sent
            and last.meaning is change
            and change.op is Op.UPDATE
            and change.group is None
            and change.fields.keys() == {self._key.field}
            and change.base == base
            and change.replica == self._replica.id
        )

    async def _rewrite(self, last: Entry, update: bytes) -> Draft:
        replica = self._replica
        change = replace(last.change, fields={self._key.field: as_value(update)})
        entry = Entry.of(last.seq, change, last.made_ms)
        async with replica.store.transaction():
            await replica.store.renumber([entry.row()])
        last.become(entry)
        return Draft(change.scope, change.type, change.id, change.op, change.base, change.fields, last)


def _living(shown: State | None, key: DocumentKey) -> State:
    if shown is None:
        raise NotHere(f"there is no {key.type} {key.id!r} in this replica")
    if shown.deleted is not None:
        raise NotHere(f"the {key.type} {key.id!r} was deleted")
    return shown
