"""Documents on the path of a push: their updates are judged before the transaction, which only sees that it still holds
(law 12). So an update that hangs, ends or poisons whoever reads it holds no lock of the database.

While a push is judged and committed, its documents are its own: two pushes to one document go one after the other.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakValueDictionary

import structlog

from conflict_rules import Change, InvalidValue, Op
from conflict_rules.crdt import Collaborative, DocumentKind, Marker, update_of
from syncd.app import App
from syncd.documents.protocol import Documents, Verdict
from syncd.engine.hook_documents import MOST_BYTES, Content, Position, contents_of, size_of
from syncd.engine.incoming import Incoming
from syncd.errors import DocumentUnreadable
from syncd.store.protocol import Commit, DocumentHead, DocumentKey, Store, StoredDocument

__all__ = ["DocumentJudge", "Judged", "StaleDocument", "document_fields", "kind_of"]

log = structlog.get_logger(__name__)

_MAX_KNOWN: Final = 10_000
"""Documents of which it is remembered where they stand."""

OfferId = tuple[int, bytes, str]
"""The number and the digest of a change, and the field: a number may come twice in a push, with other content."""


_Offers = dict[tuple[DocumentKey, bool], tuple[DocumentKind, list[tuple[OfferId, bytes]]]]
"""The updates for each document, and for each that begins anew behind a delete."""


class StaleDocument(Exception):
    """What was judged is not what would be written: judge again. Nothing was applied."""


@dataclass(slots=True)
class _Line:
    """The updates of one push to one document, in order, judged over `base` (None: there is none yet)."""

    base: Marker | None
    fine: list[OfferId] = field(default_factory=list)


_NO_LINE: Final = _Line(None)


@dataclass(slots=True)
class Judged:
    """What is known of the updates in a push before it is settled. `reborn`: of documents whose resource the push
    deletes and brings back, those behind the delete. `contents`: what the hooks of their types see."""

    lines: dict[DocumentKey, _Line] = field(default_factory=dict)
    reborn: dict[DocumentKey, _Line] = field(default_factory=dict)
    verdicts: dict[OfferId, Verdict] = field(default_factory=dict)
    contents: dict[Position, Content] = field(default_factory=dict)

    @property
    def keys(self) -> set[DocumentKey]:
        """The documents that the push edits."""
        return {*self.lines, *self.reborn}

    def refusal(self, member: Incoming, name: str) -> InvalidValue | None:
        """Why the update in this field cannot be taken, if so; raises `StaleDocument` for one that was not judged."""
        verdict = self.verdicts.get(_offer_id(member, name))
        if verdict is None:
            raise StaleDocument
        return None if verdict.code is None else InvalidValue(verdict.code, f"fields.{name}", verdict.message)

    def waits(self, n: int, digest: bytes, name: str) -> bool:
        """Whether the update that change `n` has in this field was found to wait for others."""
        verdict = self.verdicts.get((n, digest, name))
        return verdict is not None and verdict.waits

    def check_heads(self, heads: Mapping[DocumentKey, DocumentHead]) -> None:
        """Raise `StaleDocument` unless the documents still stand where they were judged."""
        for key, line in self.lines.items():
            head = heads.get(key)
            if line.base != (None if head is None else Marker(head.since, head.seq)):
                raise StaleDocument

    def check_written(
        self, written: Mapping[DocumentKey, Sequence[tuple[OfferId, Marker]]], harmless: Iterable[OfferId]
    ) -> None:
        """Raise `StaleDocument` if an update is written without one that it was judged after, or to another life.

        `written`: in order, each with the marker that it led to. `harmless`: repeats of what took effect long ago, and
        so is in the document anyway.
        """
        left_out = set(harmless)
        for key in self.keys:
            rows = written.get(key, ())
            reborn = self.reborn.get(key, _NO_LINE)
            _check_line(reborn, [row for row in rows if row[0] in reborn.fine], left_out)
            _check_line(self.lines.get(key, _NO_LINE), [row for row in rows if row[0] not in reborn.fine], left_out)


class DocumentJudge:
    """Judges updates in the order of their push. One for each server; `documents` is None where no app has any."""

    def __init__(self, app: App, store: Store, documents: Documents | None) -> None:
        self._app = app
        self._store = store
        self._documents = documents
        self._turns: WeakValueDictionary[DocumentKey, asyncio.Lock] = WeakValueDictionary()
        self._heads: OrderedDict[DocumentKey, Marker] = OrderedDict()

    def written(self, commit: Commit) -> None:
        """Remember where the documents stand that were written last. All who write any in this process say so; a commit
        that meets another head is refused, and then the store is asked. Of several processes that write the same
        documents, whoever judges would have to hear of it too: it holds the content that it was asked about.
        """
        for key in commit.dropped:
            self._heads.pop(key, None)
        for row in commit.updates:
            self._heads[row.key] = Marker(row.since, row.seq)
            self._heads.move_to_end(row.key)
        while len(self._heads) > _MAX_KNOWN:
            self._heads.popitem(last=False)

    def forget(self, incoming: Iterable[Incoming]) -> None:
        """Look in the store where the documents stand that these changes are about."""
        for member in incoming:
            if isinstance(member.change, Change):
                for key, _, _ in document_fields(self._app, member.change):
                    self._heads.pop(key, None)

    def concerns(self, incoming: Iterable[Incoming]) -> bool:
        """Whether any of these changes may bring an update of a document."""
        types = {member.change.type for member in incoming if isinstance(member.change, Change)}
        return any(found.may_hold_documents for name in types if (found := self._app.type(name)) is not None)

    @asynccontextmanager
    async def judged(self, incoming: Sequence[Incoming], *, reborn: bool = False) -> AsyncIterator[Judged]:
        """What is to be known of these changes; until the block is left, their documents are nobody else's.

        `reborn`: as if each delete among them took the documents of its resource along, so that what comes behind it
        begins anew. Nobody knows that before the delete was settled: a commit tries one and then the other.
        """
        offers = self._offers(incoming, reborn)
        judged = Judged()
        if not offers:
            yield judged
            return
        async with AsyncExitStack() as held:
            # In one order, so that no two pushes wait for each other.
            for key in sorted({key for key, _ in offers}):
                await held.enter_async_context(self.turn(key))
            for (key, anew), (kind, updates) in offers.items():
                lines = judged.reborn if anew else judged.lines
                line = lines[key] = await self._judge(key, kind, updates, judged.verdicts, anew=anew)
                if self._app.hooks(key.type):
                    await self._read(key, kind, updates, line, judged, anew=anew)
            yield judged

    def turn(self, key: DocumentKey) -> asyncio.Lock:
        """What is held while a document is judged and written."""
        return self._turns.setdefault(key, asyncio.Lock())

    async def _judge(
        self,
        key: DocumentKey,
        kind: DocumentKind,
        updates: Sequence[tuple[OfferId, bytes]],
        verdicts: dict[OfferId, Verdict],
        *,
        anew: bool,
    ) -> _Line:
        assert self._documents is not None, "an app with documents is served with something that can read them"
        head = None if anew else self._heads.get(key) or await self._head(key)

        async def load() -> StoredDocument | None:
            # Seldom: whoever reads it holds it still, as a rule. If it has moved on by now, the commit will see that.
            return None if anew else await self._stored(key)

        since, seq = (0, 0) if head is None else (head.since, head.seq)
        told: Sequence[Verdict]
        try:
            told = await self._documents.check(key, kind, since, seq, load, [update for _, update in updates])
        except DocumentUnreadable as error:
            # Its changes wait in the quarantine until it is mended; all others go on (invariant 12).
            log.exception("document_unreadable", type=key.type, id=key.id, field=key.field)
            told = [Verdict(error.problem_code, f"{error.message} Nothing was added to it.")] * len(updates)
        line = _Line(head)
        for (offer, _), verdict in zip(updates, told, strict=True):
            verdicts[offer] = verdict
            if verdict.code is None:
                line.fine.append(offer)
        return line

    async def _read(
        self,
        key: DocumentKey,
        kind: DocumentKind,
        updates: Sequence[tuple[OfferId, bytes]],
        line: _Line,
        judged: Judged,
        *,
        anew: bool,
    ) -> None:
        """What its hooks will be shown of the document, after each update that was found fine."""
        assert self._documents is not None
        fine = [update for offer, update in updates if judged.verdicts[offer].code is None]
        room = MOST_BYTES - size_of(judged.contents)

        async def load() -> StoredDocument | None:
            return None if anew else await self._stored(key)

        try:
            found = await contents_of(self._documents, key, kind, line.base, load, fine, room)
        except DocumentUnreadable:
            # Whoever asks for it will be told.
            return
        judged.contents.update(found)
        if len(found) < len(fine) and len(fine) > 1:
            # Change by change there is room.
            raise StaleDocument

    async def _head(self, key: DocumentKey) -> Marker | None:
        async with self._store.snapshot() as snapshot:
            head = (await snapshot.document_heads([key])).get(key)
        return None if head is None else Marker(head.since, head.seq)

    async def _stored(self, key: DocumentKey) -> StoredDocument | None:
        async with self._store.snapshot() as snapshot:
            return await snapshot.document(key)

    def _offers(self, incoming: Sequence[Incoming], reborn: bool) -> _Offers:
        offers: _Offers = {}
        deleted: set[tuple[str, str]] = set()
        for member in incoming:
            if member.refused is not None or not isinstance(member.change, Change):
                continue
            if member.change.op is Op.DELETE:
                deleted.add((member.change.type, member.change.id))
            for key, kind, value in document_fields(self._app, member.change):
                try:
                    update = update_of(key.field, value)
                except InvalidValue:
                    # The rule will say so.
                    continue
                offer = (_offer_id(member, key.field), update)
                line = offers.setdefault((key, reborn and (key.type, key.id) in deleted), (kind, []))[1]
                if offer not in line:
                    line.append(offer)
        return offers


def kind_of(app: App, key: DocumentKey) -> DocumentKind | None:
    """The kind of a document, by what the app declares of its field; None if that holds none."""
    resource_type = app.type(key.type)
    rule = None if resource_type is None else resource_type.rule.field_rule(key.field)
    return rule.kind if isinstance(rule, Collaborative) else None


def document_fields(app: App, change: Change) -> Iterator[tuple[DocumentKey, DocumentKind, object]]:
    """The fields of a change that hold documents: of which, of what kind, and what is offered."""
    resource_type = app.type(change.type) if change.fields else None
    if resource_type is None or not resource_type.may_hold_documents:
        return
    for name, value in change.fields.items():
        rule = resource_type.rule.field_rule(name)
        if isinstance(rule, Collaborative):
            yield DocumentKey(change.type, change.id, name), rule.kind, value


def _offer_id(member: Incoming, name: str) -> OfferId:
    return member.change.n or 0, member.digest, name


def _check_line(line: _Line, rows: Sequence[tuple[OfferId, Marker]], left_out: set[OfferId]) -> None:
    offers = [offer for offer, _ in rows]
    judged = [offer for offer in line.fine if offer in offers or offer not in left_out]
    if offers != judged[: len(offers)]:
        raise StaleDocument
    for place, (_, marker) in enumerate(rows, 1):
        base = line.base or Marker(rows[0][1].since, 0)
        if marker != Marker(base.since, base.seq + place):
            raise StaleDocument
