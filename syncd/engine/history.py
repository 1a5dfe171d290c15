"""History: what happened to a resource, why it says what it says, and the change that takes it back.

Each answer is of one snapshot. The resource's changes are read from the first one on and laid over one another again,
so that each line can say what it took the place of; nothing is kept of them but what is told.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Sequence
from functools import partial
from typing import Final

from conflict_rules import Rule, State
from conflict_rules.crdt import Collaborative, Marker, marker_of, update_of
from conflict_rules.field_rule import FieldRule
from conflict_rules.values import JsonValue, valid_id, valid_type
from conflict_rules.wire import decode_state
from syncd.app import App
from syncd.documents.protocol import Documents, Load
from syncd.engine.admission import is_denied
from syncd.engine.entry import read_entry
from syncd.engine.explain import Explainer
from syncd.engine.retrace import Lift, Retrace, Step
from syncd.engine.sight import EVERYTHING, Sight, shown_line
from syncd.engine.undo import compose_undo, turned_documents
from syncd.errors import DocumentUnreadable, InvalidMessage
from syncd.store.protocol import DocumentKey, LedgerRow, ResourceKey, Snapshot, Store, StoredDocument

__all__ = ["MAX_PAGE", "History", "Lines"]

MAX_PAGE: Final = 500
"""Changes in one page of a history."""
_ROWS: Final = 500
_ROW_BYTES: Final = 1024 * 1024
_PAGE_BYTES: Final = 1024 * 1024


class Lines:
    """Lines of a history, each with what it took the place of, or what stands instead. Pure.

    `denied`: whether there are lines of what was sent by those who might not write there.
    """

    def __init__(
        self, rule: Rule | None, *, field: str | None = None, lift: Lift | None = None, denied: bool = True
    ) -> None:
        self._retrace = Retrace(rule, lift)
        self._only = field
        self._denied = denied
        self._who: dict[int, tuple[str, int]] = {}

    def take(self, row: LedgerRow) -> dict[str, JsonValue] | None:
        """The line of the next row, the oldest first; None if it has none, or is not about the field."""
        entry = read_entry(row)
        if not self._denied and is_denied(entry.outcome):
            return None
        step = self._retrace.take(entry)
        line = self._line(step) if self._only is None or self._concerns(step, self._only) else None
        if step.moved:
            self._who[step.entry.outcome.version] = (step.entry.replica, step.entry.n)
        return line

    def _line(self, step: Step) -> dict[str, JsonValue]:
        line, lost = step.entry.as_dict(), step.entry.outcome.lost
        untaken = {*lost, *step.entry.outcome.told}
        over = {name: self._held(step, name) for name in step.entry.fields if step.moved and name not in untaken}
        instead = {name: self._held(step, name) for name in lost}
        for key, held in (("over", over), ("stands_instead", instead)):
            known = {name: value for name, value in held.items() if value is not None}
            if known:
                line[key] = known
        return line

    def _held(self, step: Step, name: str) -> dict[str, JsonValue] | None:
        """What the field held before the step, and whether whoever made the change knew that."""
        mark = None if step.before is None else step.before.marks.get(name)
        if step.before is None or mark is None or step.change is None:
            return None
        held: dict[str, JsonValue] = {"value": step.before.fields[name], "seen": mark.seen_by(step.change)}
        setter = self._who.get(mark.version)
        return held if setter is None else {"replica": setter[0], "n": setter[1], **held}

    @staticmethod
    def _concerns(step: Step, name: str) -> bool:
        """Whether it sets the field, or makes the resource live or end."""
        return name in step.entry.fields or step.entry.op in ("create", "delete", "restore")


class History:
    """The use case. `app`: whose rules hold. `documents`: reads them, for what is to be taken back."""

    def __init__(self, store: Store, app: App, documents: Documents | None = None) -> None:
        self._store = store
        self._app = app
        self._documents = documents
        self._lift = app.upgrades.lift

    async def page(
        self,
        type_name: str,
        resource_id: str,
        *,
        field: str | None = None,
        after: int = 0,
        limit: int = 100,
        sight: Sight = EVERYTHING,
    ) -> dict[str, JsonValue]:
        """Lines above `after`, oldest first; `next` is where to go on, None at the end. Raises `InvalidMessage`.

        `sight`: of whoever asks.
        """
        key = _key(type_name, resource_id)
        # Members are not told what outsiders have sent: that would be a way to write to them.
        lines = Lines(self._rule(type_name), field=field, lift=self._lift, denied=sight.is_whole)
        found: list[JsonValue] = []
        room, following = _PAGE_BYTES, None
        async with self._store.snapshot() as snapshot:
            seen = await sight.of(snapshot, key)
            if seen is None or not seen.shows(type_name, field):
                return {"type": type_name, "id": resource_id, "changes": [], "next": None}
            async for rows in self._rows(snapshot, key):
                for row in rows:
                    line = lines.take(row)
                    if line is None or row.no <= after or not seen.includes(row.settled.scope):
                        continue
                    room -= len(row.settled.change)
                    if found and (len(found) == min(limit, MAX_PAGE) or room < 0):
                        return {"type": type_name, "id": resource_id, "changes": found, "next": following}
                    found.append(shown_line(line, type_name, seen.rights))
                    following = row.no
        return {"type": type_name, "id": resource_id, "changes": found, "next": None}

    async def document(self, key: DocumentKey, version: int) -> tuple[Marker, list[bytes]] | None:
        """The updates that the document of a field had taken at `version` of its scope, and its marker then; None if
        there was none. Raises `InvalidMessage` ("not_in_history") if they are not all in the history any more.
        """
        retrace = Retrace(self._rule(key.type), self._lift)
        updates: list[bytes] = []
        marker: Marker | None = None
        async with self._store.snapshot() as snapshot:
            async for rows in self._rows(snapshot, _key(key.type, key.id)):
                for row in rows:
                    step = retrace.take(read_entry(row))
                    if not step.moved or step.after is None or step.after.version > version:
                        continue
                    before, marker = marker, marker_of(step.after.fields.get(key.field))
                    if marker is None or before is None or marker.since != before.since:
                        updates.clear()
                    if marker is not None and marker != before and step.change is not None:
                        updates.append(update_of(key.field, step.change.fields.get(key.field)))
        if marker is not None and len(updates) != marker.seq:
            raise InvalidMessage(
                f"version: not all that led to {version} is in the history any more", code="not_in_history"
            )
        return None if marker is None else (marker, updates)

    async def explain(
        self, type_name: str, resource_id: str, *, field: str | None = None, sight: Sight = EVERYTHING
    ) -> dict[str, JsonValue]:
        """Why it says what it says; see `Explainer`. Documents are told by their content, as far as they can be read.
        Raises `InvalidMessage`.
        """
        key, rule = _key(type_name, resource_id), self._rule(type_name)
        async with self._store.snapshot() as snapshot:
            seen = await sight.of(snapshot, key)
            if seen is None or not seen.shows(type_name, field):
                return Explainer(rule).told(key, None)
            tells_why = partial(seen.tells_why, type_name)
            explainer = Explainer(rule, field=field, lift=self._lift, tells_why=tells_why)
            state = await _state(snapshot, key)
            async for rows in self._rows(snapshot, key):
                explainer.take([row for row in rows if seen.includes(row.settled.scope)])
        told = explainer.told(key, state, seen.rights.of(type_name).shows)
        if self._documents is not None and state is not None:
            await self._tell_contents(told, state, self._documents)
        return told

    async def _tell_contents(self, told: dict[str, JsonValue], state: State, documents: Documents) -> None:
        rule, fields = self._rule(state.type), told["fields"]
        assert isinstance(fields, list)
        for field in fields:
            assert isinstance(field, dict)
            key = DocumentKey(state.type, state.id, str(field["field"]))
            kind = None if rule is None else rule.field_rule(key.field)
            if not isinstance(kind, Collaborative) or marker_of(field.get("value")) is None:
                continue
            stored, load = await self._stored(key)
            if stored is not None:
                field |= await _content(documents.view(key, kind.kind, stored.since, stored.seq, load))

    async def _stored(self, key: DocumentKey) -> tuple[StoredDocument | None, Load]:
        async with self._store.snapshot() as snapshot:
            stored = await snapshot.document(key)

        async def load() -> StoredDocument | None:
            return stored

        return stored, load

    async def undo(
        self,
        type_name: str,
        resource_id: str,
        *,
        version: int | None = None,
        change: tuple[str, int] | None = None,
        field: str | None = None,
        sight: Sight = EVERYTHING,
    ) -> dict[str, JsonValue]:
        """The change that brings back what stood at `version` of the scope, or what (replica, n) took the place of.

        `field`: only this one. Raises `InvalidMessage` ("not_in_history", "nothing_to_undo").
        """
        key = _key(type_name, resource_id)
        rule = self._rule(type_name)
        if rule is None:
            raise InvalidMessage(f"type: this app has no type {type_name!r}", field="type")
        retrace = Retrace(rule, self._lift)
        then: State | None = None
        only = None if field is None else {field}
        found = False
        async with self._store.snapshot() as snapshot:
            seen = await sight.of(snapshot, key)
            if seen is None or not seen.shows(type_name, field):
                raise _not_in_history()
            now = await _state(snapshot, key)
            async for rows in self._rows(snapshot, key):
                for row in rows:
                    step = retrace.take(read_entry(row))
                    if change == (step.entry.replica, step.entry.n) and step.moved:
                        then, found = step.before, True
                        if only is None and step.before is not None and step.after is not None:
                            only = _touched(step)
                    elif version is not None and step.after is not None and step.after.version <= version:
                        then, found = step.after, True
        if version is not None and retrace.state is not None and version < retrace.state.version:
            # Otherwise before it was made.
            found = True
        if not found or not retrace.exact:
            raise _not_in_history()
        if seen.rights.of(type_name).redacts:
            touched = _fields_of(now, then) if only is None else only
            only = {name for name in touched if seen.shows(type_name, name)}
        edits: dict[str, bytes] = {}
        for name in turned_documents(rule, now, then, only):
            assert then is not None
            if edit := await self._edit_back(DocumentKey(*key, name), rule.field_rule(name), then):
                edits[name] = edit
        return compose_undo(rule, now, then, only, edits, seen.rights.of(type_name).shows).as_dict()

    async def _edit_back(self, key: DocumentKey, rule: FieldRule, then: State) -> bytes:
        """The update that makes a document say what it said then, b"" if it does. Raises `InvalidMessage`,
        `DocumentUnreadable`."""
        assert isinstance(rule, Collaborative)
        assert self._documents is not None, "an app with documents is served with something that can read them"
        known = await self.document(key, then.version) if key.field in then.fields else None
        stored, load = await self._stored(key)
        since, seq = (0, 0) if stored is None else (stored.since, stored.seq)
        return await self._documents.revert(key, rule.kind, since, seq, load, [] if known is None else known[1])

    async def _rows(self, snapshot: Snapshot, key: ResourceKey) -> AsyncIterator[Sequence[LedgerRow]]:
        after, more = 0, True
        while more:
            page = await snapshot.history(key, after=after, limit=_ROWS, limit_bytes=_ROW_BYTES)
            more = page.more
            if page.rows:
                after = page.rows[-1].no
                yield page.rows
                # A long history must not keep live frames and pushes waiting.
                await asyncio.sleep(0)

    def _rule(self, type_name: str) -> Rule | None:
        declared = self._app.type(type_name)
        return None if declared is None else declared.rule


def _fields_of(*states: State | None) -> set[str]:
    return {name for state in states if state is not None for name in state.fields}


def _not_in_history() -> InvalidMessage:
    return InvalidMessage(
        "what it said then cannot be told from the history: there is no such change of it, it had no effect, "
        "or the beginning is not kept any more",
        code="not_in_history",
        hint="GET /sync/v1/history shows what there is; the value can be set by hand.",
    )


def _touched(step: Step) -> set[str] | None:
    """The fields that a step has changed; None where it made the resource live or end."""
    assert step.before is not None
    assert step.after is not None
    if (step.before.deleted is None) != (step.after.deleted is None):
        return None
    return {name for name, mark in step.after.marks.items() if step.before.marks.get(name) != mark}


async def _content(view: Awaitable[JsonValue]) -> dict[str, JsonValue]:
    try:
        return {"value": await view}
    except DocumentUnreadable:
        # Why it is so can be told all the same.
        return {}


async def _state(snapshot: Snapshot, key: ResourceKey) -> State | None:
    row = (await snapshot.states([key])).get(key)
    return None if row is None else decode_state(json.loads(row.body), row.scope)


def _key(type_name: str, resource_id: str) -> ResourceKey:
    if not valid_type(type_name):
        raise InvalidMessage(
            "type: lower-case letters, digits and underscores, a letter first, at most 64", field="type"
        )
    if not valid_id(resource_id):
        raise InvalidMessage("id: 1 to 128 characters of A-Z a-z 0-9 _ . : ~ @ -", field="id")
    return (type_name, resource_id)
