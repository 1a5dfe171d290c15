"""Documents as hooks are shown them: by their content, as JSON, as views and REST show them.

A hook runs inside of the transaction, where nothing may wait for whoever reads what clients have sent (law 12). So what
it is shown is read before: what a push brings, while it is judged; any other document once a hook has asked for it. The
run then goes on without, to find out what else is asked for, and is done again, as for a lock that is missing (law 5).
Nothing is read for types without hooks, and of other types only what a hook looks at.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Final

from conflict_rules import State
from conflict_rules.crdt import Collaborative, DocumentKind, Marker, marker_of
from conflict_rules.values import JsonValue
from syncd.app import App
from syncd.documents.protocol import Documents, Load
from syncd.engine.workspace import Workspace
from syncd.errors import AppError, DocumentUnreadable, SyncdError
from syncd.store.protocol import DocumentKey, Store, StoredDocument

__all__ = ["MOST_BYTES", "Content", "HookDocuments", "Position", "Shown", "contents_of", "size_of"]

MOST_BYTES: Final = 16 << 20
"""Of content, that one run is shown: what is pushed must not fill the server's memory."""
_KEPT_BYTES: Final = 8 << 20
_NOTHING: Final = StoredDocument(0, 0, b"", 0, [])

Content = bytes | SyncdError
"""JSON text, which whoever is shown it reads anew and may change, or why it cannot be read."""


@dataclass(frozen=True, slots=True)
class Position:
    """A document, as it stands in the store at `base` (None: in no way), with these `updates` laid over it."""

    key: DocumentKey
    kind: DocumentKind
    base: Marker | None
    updates: tuple[bytes, ...] = ()


class Shown:
    """Resources for the hooks of one run. `missing`: what is asked for and has not been read; then nothing of the run
    is committed. With `may_miss` false there were runs enough.
    """

    def __init__(self, app: App, workspace: Workspace, read: Mapping[Position, Content], *, may_miss: bool) -> None:
        self._app = app
        self._workspace = workspace
        self._read = read
        self._may_miss = may_miss
        self.missing: set[Position] = set()

    def fields(self, state: State, only: Collection[str] | None = None) -> dict[str, JsonValue]:
        """The fields of a resource, with the content of its documents; only of these, if `only` is given.

        Raises `DocumentUnreadable`, and `AppError` if a hook looks at more than there is room for.
        """
        resource_type = self._app.type(state.type)
        shown = dict(state.fields)
        for name, value in state.fields.items():
            marker = marker_of(value)
            if marker is None or resource_type is None or (only is not None and name not in only):
                continue
            rule = resource_type.rule.field_rule(name)
            if isinstance(rule, Collaborative):
                shown[name] = self._content(DocumentKey(state.type, state.id, name), rule, marker)
        return shown

    def _content(self, key: DocumentKey, rule: Collaborative, marker: Marker) -> JsonValue:
        written = self._workspace.appended(key)
        updates = tuple(row.update for row, _ in written if row.since == marker.since and row.seq <= marker.seq)
        before = marker.seq - len(updates)
        position = Position(key, rule.kind, Marker(marker.since, before) if before else None, updates)
        content = self._read.get(position)
        if isinstance(content, SyncdError):
            raise content
        if content is None:
            if not self._may_miss:
                raise AppError(f"each run of the hooks looks at further documents, {'/'.join(key)} for one")
            self.missing.add(position)
            content = json.dumps(rule.preview(None)).encode()
        value: JsonValue = json.loads(content)
        return value


class HookDocuments:
    """Reads documents outside of transactions, and keeps what was read last. One for each server."""

    def __init__(self, store: Store, documents: Documents | None) -> None:
        self._store = store
        self._documents = documents
        self._kept: OrderedDict[Position, bytes] = OrderedDict()
        self._kept_bytes = 0
        self._lives = count(1)

    async def read(self, positions: Collection[Position], room: int) -> dict[Position, Content]:
        """The content of each, up to `room` bytes; those are absent that have moved on, which the next run will see."""
        found: dict[Position, Content] = {}
        for position in positions:
            try:
                content = await self._content(position) if room > 0 else None
            except DocumentUnreadable as error:
                found[position] = error
                continue
            if content is not None:
                found[position] = content
                room -= len(content)
            elif room <= 0:
                found[position] = AppError(f"a hook looks at more than {MOST_BYTES:,} bytes of documents in one push")
        return found

    async def _content(self, position: Position) -> bytes | None:
        if position in self._kept:
            self._kept.move_to_end(position)
            return self._kept[position]
        assert self._documents is not None, "an app with documents is served with something that can read them"
        async with self._store.snapshot() as snapshot:
            stored = await snapshot.document(position.key)
        if position.base is None:
            stored = _NOTHING
        elif stored is None or Marker(stored.since, stored.seq) != position.base:
            return None
        if position.updates:
            # A life of its own, for this is tried only: under its own name another content may come to stand there.
            stored = replace(_laid_over(stored, position.updates), since=-next(self._lives))

        async def load() -> StoredDocument | None:
            return stored

        content = _text(await self._documents.view(position.key, position.kind, stored.since, stored.seq, load))
        if not position.updates:
            self._keep(position, content)
        return content

    def _keep(self, position: Position, content: bytes) -> None:
        self._kept[position] = content
        self._kept_bytes += len(content)
        while self._kept_bytes > _KEPT_BYTES:
            _, oldest = self._kept.popitem(last=False)
            self._kept_bytes -= len(oldest)


async def contents_of(
    documents: Documents,
    key: DocumentKey,
    kind: DocumentKind,
    base: Marker | None,
    load: Load,
    fine: Sequence[bytes],
    room: int,
) -> dict[Position, Content]:
    """The content after each of these updates, all of which were just found fine over `base`, until there are more than
    `room` bytes of it.

    For whoever has the document for himself. Raises `DocumentUnreadable`.
    """
    since, seq = (0, 0) if base is None else (base.since, base.seq)
    found: dict[Position, Content] = {}

    async def loaded(updates: Sequence[bytes]) -> StoredDocument | None:
        stored = _NOTHING if base is None else await load()
        return None if stored is None else _laid_over(stored, updates)

    for place in range(1, len(fine) + 1):
        before, after = fine[: place - 1], fine[:place]
        if len(fine) > 1:
            (verdict,) = await documents.check(key, kind, since, seq + place - 1, partial(loaded, before), after[-1:])
            if verdict.code is not None:
                break
        text = _text(await documents.view(key, kind, since, seq + place, partial(loaded, after)))
        found[Position(key, kind, base, tuple(after))] = text
        room -= len(text)
        if room < 0:
            break
    return found


def size_of(contents: Mapping[Position, Content]) -> int:
    """In bytes."""
    return sum(len(content) for content in contents.values() if isinstance(content, bytes))


def _laid_over(stored: StoredDocument, updates: Sequence[bytes]) -> StoredDocument:
    further = list(enumerate(updates, stored.seq + 1))
    return replace(stored, seq=stored.seq + len(updates), updates=[*stored.updates, *further])


def _text(content: JsonValue) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode()
