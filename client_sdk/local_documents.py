"""The documents of a replica: what is confirmed of each lies in rows of its own, what was edited here in the outbox.

What is shown is both, merged. pycrdt is loaded when the first document is opened, and not before.

A field of the confirmed state holds a marker that says how far the server has the document. Where that is further than
what is here, either own updates account for the whole difference, and are taken over, or the document is `wanted` from
the server. Until an own update is in what is confirmed, it is kept: nothing is hidden in between.

Every coroutine runs inside a write or a read of the replica.
"""

from __future__ import annotations

import base64
import logging
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from client_sdk.document_rows import DocumentKey, EchoRow, HeadRow
from client_sdk.errors import DocumentUnreadable
from client_sdk.outbox import Entry, ResourceKey
from conflict_rules import InvalidValue, Kind, Op, Outcome, State
from conflict_rules.crdt import Collaborative, Marker, marker_of, update_of
from conflict_rules.values import JsonValue

if TYPE_CHECKING:
    from client_sdk.open_document import OpenDocument
    from client_sdk.replica import Replica

__all__ = ["Fetched", "LocalDocuments", "as_value", "own_update", "update_text"]

log = logging.getLogger(__name__)

_KEPT_VIEWS: Final = 1024
_SQUASH_AFTER: Final = 200
"""So many updates of one document, and a snapshot takes their place."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What the server sent of a document. `asked`: how far it was here when it was asked, None: all was asked for."""

    key: DocumentKey
    asked: Marker | None
    since: int
    seq: int
    updates: Sequence[bytes]


class LocalDocuments:
    """Of one replica. `wanted`: what is to be brought, and up to where."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._rows = replica.store.documents
        self._heads: dict[DocumentKey, HeadRow] = {}
        self._echoes: dict[DocumentKey, dict[int, EchoRow]] = defaultdict(dict)
        self._lives: dict[DocumentKey, int] = defaultdict(int)
        self._added: dict[DocumentKey, int] = defaultdict(int)
        self._open: dict[DocumentKey, OpenDocument] = {}
        self._views: OrderedDict[DocumentKey, tuple[object, JsonValue]] = OrderedDict()
        self._fields: dict[ResourceKey, set[str]] = defaultdict(set)
        self._types: set[str] = set()
        self.wanted: dict[DocumentKey, Marker] = {}

    async def begin(self) -> None:
        """Take up where the file was left."""
        self._heads = {head.key: head for head in await self._rows.heads()}
        for echo in await self._rows.echoes():
            self._echoes[echo.key][echo.change] = echo
        for key in (*self._heads, *self._echoes):
            self._fields[key.type, key.id].add(key.field)
        for name, known in self._replica.app.types.items():
            declared = () if known.model is None else known.model.model_fields
            if any(self.rule(name, field) is not None for field in declared):
                self._types.add(name)
                rows = await self._replica.store.resources(name, None)
                await self._judge([(row.type, row.id) for row in rows if '"document"' in row.body])

    # Reading

    def rule(self, type_name: str, field: str) -> Collaborative | None:
        """The rule of a field, if it holds a document."""
        rule = self._replica.rule(type_name).field_rule(field)
        return rule if isinstance(rule, Collaborative) else None

    def head(self, key: DocumentKey) -> HeadRow | None:
        """How far the confirmed part is."""
        return self._heads.get(key)

    def own(self, key: DocumentKey) -> dict[int, tuple[str, bytes]]:
        """Updates made here that are in nothing confirmed, by their place in the outbox: as they are sent, and raw."""
        found = {echo.change: (update_text(echo.update), echo.update) for echo in self._echoes.get(key, {}).values()}
        for entry in self._replica.outbox.shown_of((key.type, key.id)):
            update = own_update(entry, key.field)
            if update is not None:
                found[entry.seq] = (update_text(update), update)
        return dict(sorted(found.items()))

    async def confirmed(self, key: DocumentKey) -> tuple[object, list[bytes]]:
        """What is confirmed of a document, and which life of it that is; None if there is nothing of it here."""
        life = self._life(key, await self._replica.confirmed((key.type, key.id)))
        return life, [] if life is None else await self._rows.updates(key)

    async def spliced(self, state: State | None, confirmed: State | None) -> State | None:
        """`state` with the content of its documents in the place of their markers."""
        if state is None or state.deleted is not None:
            return state
        fields: dict[str, JsonValue] = {}
        for name, value in state.fields.items():
            rule = self.rule(state.type, name) if marker_of(value) is not None else None
            if rule is not None:
                fields[name] = await self._content(DocumentKey(state.type, state.id, name), rule, confirmed, value)
        return replace(state, fields={**state.fields, **fields}) if fields else state

    async def whole(self, key: DocumentKey) -> bytes | None:
        """All that is here of a document, as one update; None if there is nothing."""
        from client_sdk.open_document import load

        rule = self.rule(key.type, key.field)
        _, updates = await self.confirmed(key)
        updates += [update for _, update in self.own(key).values()]
        return load(rule.kind, key.field, updates).diff({}) if updates and rule is not None else None

    async def state_vector(self, key: DocumentKey) -> bytes:
        """How far the confirmed part of a document is, by Yjs client. Raises `DocumentUnreadable`."""
        from client_sdk.open_document import load
        from conflict_rules.documents.yjs_update import write_state_vector

        rule = self.rule(key.type, key.field)
        assert rule is not None
        _, updates = await self.confirmed(key)
        return write_state_vector(load(rule.kind, key.field, updates).state_vector())

    async def open(self, key: DocumentKey) -> OpenDocument:
        """The document in memory; whoever asks for it calls `close` when done. Raises `DocumentUnreadable`."""
        from client_sdk.open_document import OpenDocument

        rule = self.rule(key.type, key.field)
        assert rule is not None
        document = self._open.get(key) or OpenDocument(rule.kind, key.field)
        await self._refresh(key, document)
        self._open[key] = document
        document.uses += 1
        return document

    def close(self, key: DocumentKey) -> None:
        """One user less."""
        document = self._open[key]
        document.uses -= 1
        if not document.uses:
            del self._open[key]

    async def refresh(self, key: DocumentKey) -> None:
        """Bring an open document to what the file and the outbox hold."""
        document = self._open.get(key)
        if document is not None:
            await self._refresh(key, document)

    def outdate(self, key: DocumentKey) -> None:
        """What is in memory is no longer what is stored: something that was made here does not count."""
        document = self._open.get(key)
        if document is not None:
            document.outdated = True

    # What the network brings

    def echoes_of(self, settled: Iterable[tuple[Entry, Outcome | None]]) -> list[EchoRow]:
        """The updates of changes that the confirmed state holds from now on."""
        found: list[EchoRow] = []
        for entry, outcome in settled:
            for key, update in self.updates_in(entry):
                if outcome is None:
                    found.append(EchoRow(key, entry.seq, 0, update))
                elif _counted(outcome, key.field):
                    found.append(EchoRow(key, entry.seq, outcome.version, update))
                else:
                    self.outdate(key)
        return found

    def updates_in(self, entry: Entry) -> list[tuple[DocumentKey, bytes]]:
        """The documents that a change edits, and how."""
        change = entry.meaning or entry.change
        if change.type not in self._types:
            return []
        fields = [name for name in change.fields if self.rule(change.type, name) is not None]
        updates = [(DocumentKey(change.type, change.id, name), own_update(entry, name)) for name in fields]
        return [(key, update) for key, update in updates if update is not None]

    def took(self, echoes: Iterable[EchoRow]) -> None:
        """These are in the file."""
        for echo in echoes:
            self._echoes[echo.key][echo.change] = echo
            self._fields[echo.key.type, echo.key.id].add(echo.key.field)

    def settled(self, entry: Entry, outcome: Outcome) -> None:
        """What the server did not take into its documents is to leave those that are open here."""
        for key, _ in self.updates_in(entry):
            if not _counted(outcome, key.field):
                self._echoes.get(key, {}).pop(entry.seq, None)
                self.outdate(key)

    def resources_in(self, scope: str) -> set[ResourceKey]:
        """The resources of a scope of whose documents anything is here."""
        return {(key.type, key.id) for key, head in self._heads.items() if head.scope == scope}

    def distrust(self, scope: str) -> None:
        """The server may have another past: the file says so of every document of this scope."""
        for key, head in self._heads.items():
            if head.scope == scope:
                self._heads[key] = replace(head, stale=True)

    async def look_again(self, keys: Iterable[ResourceKey]) -> None:
        """These resources may have changed: find out what is wanted of them, and show it in what is open."""
        keys = {key for key in keys if key[0] in self._types}
        await self._judge(keys)
        for key, document in list(self._open.items()):
            if (key.type, key.id) in keys:
                try:
                    await self._refresh(key, document)
                except DocumentUnreadable as failure:
                    log.warning("%s %s: %s", key.type, key.id, failure.message)
                else:
                    document.tell()

    async def take(self, fetched: Fetched) -> bool:
        """Save what the server sent; False if it does not fit what is here any more, and is to be asked for again."""
        key = fetched.key
        confirmed = await self._replica.confirmed((key.type, key.id))
        marker, head = _marker(confirmed, key.field), self._heads.get(key)
        if confirmed is None or marker is None or marker.since != fetched.since:
            return False
        held = None if head is None or head.stale else Marker(head.since, head.seq)
        instead = fetched.asked is None or fetched.asked.since != fetched.since
        if not instead and held != fetched.asked:
            return False
        updates = [update for update in fetched.updates if update]
        # What is beyond the marker may be an own update, which must not be counted again when the marker has it.
        now = HeadRow(key, confirmed.scope, marker.since, min(fetched.seq, marker.seq))
        # Of what came while the answer was under way it cannot be told which of it the answer holds: so the echoes that
        # are left count for nothing until another answer ends them.
        left = {} if fetched.seq >= marker.seq else self._echoes.get(key, {})
        left = {place: replace(echo, version=0) for place, echo in left.items()}
        async with self._replica.store.transaction():
            await self._rows.save(now, updates, instead=instead)
            await self._rows.drop_echoes([key])
            await self._rows.add_echoes(left.values())
        self._heads[key] = now
        if instead:
            self._lives[key] += 1
        self._echoes.pop(key, None)
        if left:
            self._echoes[key] = left
        document = self._open.get(key)
        if document is not None and not instead and not (document.spoilt or document.outdated):
            try:
                for update in updates:
                    document.take(update)
            except (DocumentUnreadable, InvalidValue) as failure:
                log.warning("%s %s: %s", key.type, key.id, failure)
                document.spoilt = True
        self._added[key] += len(updates)
        if self._added[key] >= _SQUASH_AFTER:
            await self._squash(key)
        await self.look_again([(key.type, key.id)])
        return True

    async def _squash(self, key: DocumentKey) -> None:
        from client_sdk.open_document import squashed

        rule, head = self.rule(key.type, key.field), self._heads[key]
        self._added[key] = 0
        few = None if rule is None else squashed(rule.kind, key.field, await self._rows.updates(key))
        if few is not None:
            async with self._replica.store.transaction():
                await self._rows.save(head, few, instead=True)

    async def _judge(self, keys: Iterable[ResourceKey]) -> None:
        """Which of these documents are wanted, and which are what own updates have made of them."""
        taken: list[tuple[HeadRow, list[EchoRow], bool]] = []
        done: list[DocumentKey] = []
        for resource in keys:
            confirmed = await self._replica.confirmed(resource)
            for key in self._documents_of(resource, confirmed):
                marker, head = _marker(confirmed, key.field), self._heads.get(key)
                self.wanted.pop(key, None)
                if confirmed is None:
                    self._heads.pop(key, None)
                if marker is None or confirmed is None:
                    done.append(key)
                    continue
                held = None if head is None or head.stale or head.since != marker.since else head
                echoes = list(self._echoes.get(key, {}).values())
                if held is not None and held.seq >= marker.seq:
                    done.append(key)
                elif not (head is not None and head.stale) and _account_for(echoes, held, marker):
                    now = HeadRow(key, confirmed.scope, marker.since, marker.seq)
                    taken.append((now, sorted(echoes, key=lambda echo: echo.change), held is None))
                    done.append(key)
                else:
                    self.wanted[key] = marker
        done = [key for key in done if self._echoes.get(key)]
        if not taken and not done:
            return
        async with self._replica.store.transaction():
            for now, echoes, instead in taken:
                await self._rows.save(now, (echo.update for echo in echoes), instead=instead)
            await self._rows.drop_echoes(done)
        for now, echoes, instead in taken:
            known = self._heads.get(now.key)
            self._heads[now.key] = now
            self._added[now.key] += len(echoes)
            if instead and known is not None:
                self._lives[now.key] += 1
        for key in done:
            self._echoes.pop(key, None)

    def _documents_of(self, resource: ResourceKey, confirmed: State | None) -> set[DocumentKey]:
        if confirmed is not None and confirmed.deleted is None:
            for name, value in confirmed.fields.items():
                if marker_of(value) is not None and self.rule(resource[0], name) is not None:
                    self._fields[resource].add(name)
        return {DocumentKey(*resource, name) for name in self._fields.get(resource, ())}

    def _life(self, key: DocumentKey, confirmed: State | None) -> object:
        head = self._heads.get(key)
        if head is None or confirmed is None:
            return None
        if confirmed.deleted is None:
            marker = _marker(confirmed, key.field)
            if marker is None or marker.since != head.since:
                return None
        return (head.since, self._lives[key])

    async def _content(
        self, key: DocumentKey, rule: Collaborative, confirmed: State | None, marker: JsonValue
    ) -> JsonValue:
        from client_sdk.document_parts import plain
        from client_sdk.open_document import load

        own, head, life = self.own(key), self._heads.get(key), self._life(key, confirmed)
        open_here = self._open.get(key)
        if life is None and not own:
            return rule.preview(marker)
        state = (life, None if head is None else head.seq, tuple(text for text, _ in own.values()))
        kept = self._views.get(key)
        if kept is not None and kept[0] == state:
            self._views.move_to_end(key)
            return kept[1]
        try:
            if (
                open_here is not None
                and not (open_here.spoilt or open_here.outdated)
                and open_here.base == life
                and _holds(open_here, own)
            ):
                view = open_here.view()
            else:
                updates = [] if life is None else await self._rows.updates(key)
                # The names in a map in one order, whichever pycrdt has them in here.
                view = plain(load(rule.kind, key.field, [*updates, *(update for _, update in own.values())]).view())
        except DocumentUnreadable as failure:
            # Never an empty document in its place (invariant 12).
            log.warning("%s %s: %s", key.type, key.id, failure.message)
            await self._bring_anew(key)
            return marker
        self._views[key] = (state, view)
        self._views.move_to_end(key)
        if len(self._views) > _KEPT_VIEWS:
            self._views.popitem(last=False)
        return view

    async def _refresh(self, key: DocumentKey, document: OpenDocument) -> None:
        own = self.own(key)
        life = self._life(key, await self._replica.confirmed((key.type, key.id)))
        try:
            if not document.spoilt and not document.outdated and document.base is None and life is not None:
                # All that was in it was made here, and is in what is confirmed, or still own.
                for update in await self._rows.updates(key):
                    document.take(update)
                document.base = life
            if document.spoilt or document.outdated or document.base != life:
                document.reopen(life, [] if life is None else await self._rows.updates(key), own)
            for seq, (text, update) in own.items():
                if document.own.get(seq) != text:
                    document.take(update)
                    document.own[seq] = text
        except InvalidValue as failure:
            document.spoilt = True
            raise DocumentUnreadable(f"the document {key.field!r} does not load: {failure}") from failure
        except DocumentUnreadable:
            document.spoilt = True
            await self._bring_anew(key)
            raise
        document.own = {seq: text for seq, (text, _) in own.items()}

    async def _bring_anew(self, key: DocumentKey) -> None:
        head = self._heads.get(key)
        marker = _marker(await self._replica.confirmed((key.type, key.id)), key.field)
        if head is not None and not head.stale:
            self._heads[key] = replace(head, stale=True)
        if marker is not None:
            self.wanted[key] = marker


def own_update(entry: Entry, field: str) -> bytes | None:
    """The update of a field that a change brings, if it does."""
    change = entry.meaning or entry.change
    if field not in change.fields or change.op not in (Op.CREATE, Op.UPDATE, Op.RESTORE):
        return None
    try:
        return update_of(field, change.fields[field])
    except InvalidValue:
        return None


def as_value(update: bytes) -> dict[str, JsonValue]:
    """An update as a change brings it."""
    return {"update": update_text(update)}


def update_text(update: bytes) -> str:
    """An update as it is sent, in base64."""
    return base64.b64encode(update).decode()


def _marker(confirmed: State | None, field: str) -> Marker | None:
    living = confirmed is not None and confirmed.deleted is None
    return marker_of(confirmed.fields.get(field)) if confirmed is not None and living else None


def _counted(outcome: Outcome, field: str) -> bool:
    """Whether the server has the update of a field of a settled change in its document."""
    if outcome.kind is Kind.REJECTED or (outcome.code or "").startswith("group_"):
        return False
    return field not in outcome.lost


def _account_for(echoes: Sequence[EchoRow], held: HeadRow | None, marker: Marker) -> bool:
    """Whether own updates, and nothing else, lead from what is held to the marker: each was counted once."""
    if not echoes or any(echo.version < marker.since for echo in echoes):
        return False
    if held is None:
        return len(echoes) == marker.seq and min(echo.version for echo in echoes) == marker.since
    return held.seq + len(echoes) == marker.seq


def _holds(document: OpenDocument, own: Mapping[int, tuple[str, bytes]]) -> bool:
    """Whether an open document has these, and nothing that is not in the outbox yet."""
    return document.own == {seq: text for seq, (text, _) in own.items()}
