"""Documents as they are shown: what is confirmed of each, and what was edited here, merged; open ones follow both.

pycrdt is loaded when the first document is opened, and not before.

Every coroutine runs inside a write or a read of the replica.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from client_sdk.document_rows import DocumentKey
from client_sdk.errors import DocumentUnreadable
from client_sdk.held_documents import HeldDocuments, marker_in
from client_sdk.outbox import ResourceKey
from client_sdk.own_updates import OwnUpdates
from client_sdk.rebase import show
from conflict_rules import InvalidValue, State
from conflict_rules.crdt import Collaborative, Marker, marker_of
from conflict_rules.values import JsonValue

if TYPE_CHECKING:
    from client_sdk.open_document import OpenDocument
    from client_sdk.replica import Replica

__all__ = ["ShownDocuments"]

log = logging.getLogger(__name__)

_KEPT_VIEWS: Final = 1024
_AT_ONCE: Final = 64
"""So many updates are merged before others may use the event loop."""


class ShownDocuments:
    """Of one replica."""

    def __init__(self, replica: Replica, held: HeldDocuments, own: OwnUpdates) -> None:
        self._replica = replica
        self._held = held
        self._own = own
        self._open: dict[DocumentKey, OpenDocument] = {}
        self._views: OrderedDict[DocumentKey, tuple[object, JsonValue]] = OrderedDict()

    async def open(self, key: DocumentKey) -> OpenDocument:
        """The document in memory; whoever asks for it calls `close` when done. Raises `DocumentUnreadable`."""
        from client_sdk.open_document import OpenDocument

        rule = self._held.rule(key.type, key.field)
        assert rule is not None
        document = self._open.get(key) or OpenDocument(rule.kind, key.field)
        await self._follow(key, document)
        self._open[key] = document
        document.uses += 1
        return document

    async def apart(self, key: DocumentKey) -> OpenDocument:
        """The document in memory once more, for who asks alone. Raises `DocumentUnreadable`."""
        from client_sdk.open_document import OpenDocument

        rule = self._held.rule(key.type, key.field)
        assert rule is not None
        document = OpenDocument(rule.kind, key.field)
        await self._follow(key, document)
        return document

    def mine(self, keys: Iterable[DocumentKey]) -> None:
        """What is told next of these was edited here."""
        for key in keys:
            if key in self._open:
                self._open[key].mine = True

    def close(self, key: DocumentKey) -> None:
        """One user less."""
        document = self._open[key]
        document.uses -= 1
        if not document.uses:
            del self._open[key]

    def outdate(self, key: DocumentKey) -> None:
        """What is in memory is no longer what is stored: something that was made here does not count."""
        self._views.pop(key, None)
        document = self._open.get(key)
        if document is not None:
            document.outdated = True

    async def refresh(self, key: DocumentKey) -> None:
        """Bring an open document to what the file and the outbox hold."""
        document = self._open.get(key)
        if document is not None:
            await self._follow(key, document)

    async def show_again(self, resources: Collection[ResourceKey]) -> None:
        """These resources may have changed: the open documents show it."""
        for key, document in list(self._open.items()):
            if (key.type, key.id) in resources:
                try:
                    await self._follow(key, document)
                except DocumentUnreadable as failure:
                    log.warning("%s %s: %s", key.type, key.id, failure.message)
                else:
                    document.tell()

    async def take(self, key: DocumentKey, updates: Iterable[bytes]) -> None:
        """These are new in what is confirmed of a document."""
        document = self._open.get(key)
        if document is not None and not (document.spoilt or document.outdated):
            try:
                await _merge(document, updates)
            except (DocumentUnreadable, InvalidValue) as failure:
                log.warning("%s %s: %s", key.type, key.id, failure)
                document.spoilt = True

    async def spliced(self, state: State | None, confirmed: State | None) -> State | None:
        """`state` with the content of its documents in the place of their markers."""
        if state is None or state.deleted is not None:
            return state
        fields: dict[str, JsonValue] = {}
        for name, value in state.fields.items():
            rule = self._held.rule(state.type, name) if marker_of(value) is not None else None
            if rule is not None:
                fields[name] = await self._content(DocumentKey(state.type, state.id, name), rule, confirmed, value)
        return replace(state, fields={**state.fields, **fields}) if fields else state

    async def _content(
        self, key: DocumentKey, rule: Collaborative, confirmed: State | None, marker: JsonValue
    ) -> JsonValue:
        from client_sdk.document_loading import loaded
        from client_sdk.document_parts import plain

        own, head, life = self._own.of(key), self._held.head(key), self._held.life(key, confirmed)
        if _is_another_life(confirmed, key.field, marker_of(marker)):
            life = None
        if life is None and not own.updates:
            return rule.preview(marker)
        state = (life, None if head is None else head.seq, own.state)
        kept = self._views.get(key)
        if kept is not None and kept[0] == state:
            self._views.move_to_end(key)
            return kept[1]
        opened = self._open.get(key)
        try:
            if opened is not None and not opened.outdated and opened.holds(life, own):
                view = opened.view()
            else:
                updates = await self._held.updates(key, life)
                # The names in a map in one order, whichever pycrdt has them in here.
                view = plain((await loaded(rule.kind, key.field, [*updates, *own.updates.values()])).view())
        except DocumentUnreadable as failure:
            # Never an empty document in its place (invariant 12).
            log.warning("%s %s: %s", key.type, key.id, failure.message)
            await self._held.bring_anew(key)
            return marker
        self._views[key] = (state, view)
        self._views.move_to_end(key)
        if len(self._views) > _KEPT_VIEWS:
            self._views.popitem(last=False)
        return view

    async def _follow(self, key: DocumentKey, document: OpenDocument) -> None:
        own = self._own.of(key)
        confirmed = await self._replica.confirmed((key.type, key.id))
        life = self._held.life(key, confirmed)
        if life is not None and self._own.only_edits((key.type, key.id)) is None:
            pending = self._replica.outbox.pending((key.type, key.id))
            shown = show(self._replica.rule(key.type), confirmed, pending)
            if shown is not None and shown.deleted is None:
                life = None if _is_another_life(confirmed, key.field, marker_in(shown, key.field)) else life
        try:
            if not document.spoilt and not document.outdated and document.base is None and life is not None:
                # All that was in it was made here, and is in what is confirmed, or still own.
                await _merge(document, await self._held.updates(key, life))
                document.base = life
            if document.spoilt or document.outdated or document.base != life:
                await document.reopen(life, await self._held.updates(key, life), own)
            await _merge(document, document.lacks(own))
            document.followed(own)
        except InvalidValue as failure:
            document.spoilt = True
            raise DocumentUnreadable(f"the document {key.field!r} does not load: {failure}") from failure
        except DocumentUnreadable:
            document.spoilt = True
            await self._held.bring_anew(key)
            raise


def _is_another_life(confirmed: State | None, field: str, shown: Marker | None) -> bool:
    """Whether what was done here since has ended the life that is confirmed of a document, and begun another one."""
    marker = marker_in(confirmed, field)
    return marker is not None and (shown is None or shown.since != marker.since)


async def _merge(document: OpenDocument, updates: Iterable[bytes]) -> None:
    """Merge updates, in the order given; raises what `OpenDocument.take` does."""
    for place, update in enumerate(updates, 1):
        document.take(update)
        if place % _AT_ONCE == 0:
            await asyncio.sleep(0)
