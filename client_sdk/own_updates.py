"""What was edited here of documents and is in nothing confirmed, read off the outbox and the echoes.

Thousands may be pending while one edits on. So what is known of a resource is carried on as entries are added at the
end of the outbox, and looked up anew only when anything else happens to them.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from client_sdk.document_rows import DocumentKey, EchoRow
from client_sdk.outbox import Entry, Outbox, ResourceKey
from conflict_rules import Change, InvalidValue, Op
from conflict_rules.crdt import Collaborative, update_of
from conflict_rules.values import JsonValue

__all__ = ["NOTHING_OWN", "Own", "OwnUpdates", "as_value", "own_update"]

_OUTDATED: Final = -1
_generations = count(1)


@dataclass(slots=True)
class Own:
    """The updates of one document that were made here, by their place in the outbox, rising. `generation`: another one
    whenever anything else has happened to them than that more were added at the end.
    """

    generation: int = field(default_factory=lambda: next(_generations))
    updates: dict[int, bytes] = field(default_factory=dict)

    @property
    def last(self) -> int:
        """The place of the last; 0 if there is none."""
        return next(reversed(self.updates), 0)

    @property
    def state(self) -> tuple[int, int]:
        """Two equal ones, and nothing has happened in between."""
        return self.generation, self.last

    def after(self, place: int) -> dict[int, bytes]:
        """Those made after that."""
        found: list[tuple[int, bytes]] = []
        for one in reversed(self.updates.items()):
            if one[0] <= place:
                break
            found.append(one)
        return dict(reversed(found))


NOTHING_OWN: Final = Own(0)
"""Of a document of which nothing is pending."""


@dataclass(frozen=True, slots=True)
class _Read:
    """What a change says of documents. `updates`: by field. `only_edits`: whether there is nothing else in it."""

    change: Change
    updates: Mapping[str, bytes]
    only_edits: bool


@dataclass(slots=True)
class _Known:
    """What is known of a resource. `upto`: the entries up to this place are in it. `last`: by field, the last entry
    that edits it.
    """

    revision: int
    upto: int = 0
    read: dict[int, _Read] = field(default_factory=dict)
    documents: dict[str, Own] = field(default_factory=dict)
    last: dict[str, Entry] = field(default_factory=dict)
    only_edits: bool = True


class OwnUpdates:
    """Of one replica. `outbox` gives it; `rule` that of a field, if it holds a document.

    Echoes are the updates of changes that the outbox no longer shows, since the confirmed marker counts them, and that
    are not in what is confirmed of the document yet.
    """

    def __init__(
        self, outbox: Callable[[], Outbox], rule: Callable[[str, str], Collaborative | None], types: set[str]
    ) -> None:
        self._outbox = outbox
        self._rule = rule
        self._types = types
        self._echoes: dict[ResourceKey, dict[str, dict[int, EchoRow]]] = {}
        self._known: dict[ResourceKey, _Known] = {}

    def of(self, key: DocumentKey) -> Own:
        """All there are of a document."""
        known = self._look((key.type, key.id))
        return NOTHING_OWN if known is None else known.documents.get(key.field, NOTHING_OWN)

    def only_edits(self, resource: ResourceKey) -> Mapping[str, Entry] | None:
        """By field, the last edit of each document of a resource, if nothing else of it is pending; else None."""
        known = self._look(resource)
        if known is None:
            return {}
        return known.last if known.only_edits else None

    def in_entry(self, entry: Entry) -> list[tuple[DocumentKey, bytes]]:
        """The documents that a change edits, and how."""
        if (entry.meaning or entry.change).type not in self._types:
            return []
        known = self._known.get(entry.key)
        read = self._read_once(entry, {} if known is None else known.read)
        change = read.change
        return [(DocumentKey(change.type, change.id, name), update) for name, update in read.updates.items()]

    # Echoes

    def echoes(self, key: DocumentKey) -> dict[int, EchoRow]:
        """The echoes of a document, by place in the outbox."""
        return dict(self._echoes.get(key[:2], {}).get(key.field, {}))

    def took(self, echoes: Iterable[EchoRow]) -> None:
        """These are in the file."""
        for echo in echoes:
            resource = echo.key[:2]
            self._echoes.setdefault(resource, {}).setdefault(echo.key.field, {})[echo.change] = echo
            self._outdate(resource)

    def dropped(self, key: DocumentKey, place: int | None = None) -> None:
        """The echoes of a document are gone, or that at one place."""
        resource = key[:2]
        fields = self._echoes.get(resource, {})
        left = fields.pop(key.field, {})
        left.pop(place, None) if place is not None else left.clear()
        if left:
            fields[key.field] = left
        if not fields:
            self._echoes.pop(resource, None)
        self._outdate(resource)

    def _outdate(self, resource: ResourceKey) -> None:
        if resource in self._known:
            self._known[resource].revision = _OUTDATED

    # Looking

    def _look(self, resource: ResourceKey) -> _Known | None:
        outbox = self._outbox()
        revision = outbox.revision(resource)
        if not revision and resource not in self._echoes:
            self._known.pop(resource, None)
            return None
        known = self._known.get(resource)
        if known is None or known.revision != revision:
            known = self._anew(resource, revision, {} if known is None else known.read)
        for entry in outbox.shown_after(resource, known.upto):
            self._take(known, entry, self._read(entry))
        return known

    def _anew(self, resource: ResourceKey, revision: int, read: Mapping[int, _Read]) -> _Known:
        known = self._known[resource] = _Known(revision)
        own: dict[str, list[tuple[int, bytes]]] = {}
        for name, echoes in self._echoes.get(resource, {}).items():
            own[name] = [(echo.change, echo.update) for echo in echoes.values()]
        for entry in self._outbox().shown_of(resource):
            self._take(known, entry, self._read_once(entry, read))
        for name, some in own.items():
            shown = known.documents.get(name, NOTHING_OWN).updates
            known.documents[name] = Own(updates=dict(sorted([*some, *shown.items()])))
        return known

    @staticmethod
    def _take(known: _Known, entry: Entry, read: _Read) -> None:
        known.upto = entry.seq
        known.read[entry.seq] = read
        known.only_edits = known.only_edits and read.only_edits
        for name, update in read.updates.items():
            known.last[name] = entry
            known.documents.setdefault(name, Own()).updates[entry.seq] = update

    def _read_once(self, entry: Entry, read: Mapping[int, _Read]) -> _Read:
        kept = read.get(entry.seq)
        return self._read(entry) if kept is None or kept.change is not (entry.meaning or entry.change) else kept

    def _read(self, entry: Entry) -> _Read:
        change = entry.meaning or entry.change
        if change.type not in self._types:
            return _Read(change, {}, only_edits=False)
        found = {name: own_update(entry, name) for name in change.fields if self._rule(change.type, name) is not None}
        updates = {name: update for name, update in found.items() if update is not None}
        edits = change.op is Op.UPDATE and len(updates) == len(change.fields) and entry.meaning is not None
        return _Read(change, updates, only_edits=edits)


def own_update(entry: Entry, name: str) -> bytes | None:
    """The update of a field that a change brings, if it does."""
    change = entry.meaning or entry.change
    if name not in change.fields or change.op not in (Op.CREATE, Op.UPDATE, Op.RESTORE):
        return None
    try:
        return update_of(name, change.fields[name])
    except InvalidValue:
        return None


def as_value(update: bytes) -> dict[str, JsonValue]:
    """An update as a change brings it, in base64."""
    return {"update": base64.b64encode(update).decode()}
