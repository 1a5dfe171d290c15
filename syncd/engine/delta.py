"""A delta: the newest states of one scope in a range of versions, as watchers get them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import msgpack

from syncd.engine.cursor import Cursor
from syncd.engine.reader_class import ReaderClass
from syncd.engine.relay import Run, encode_runs, joined, runs_of, within
from syncd.store.protocol import Commit, DocumentKey, ResourceKey

__all__ = ["Delta", "deltas_of", "encode_delta", "pack_frame"]


@dataclass(frozen=True, slots=True)
class Delta:
    """States in (after, upto], encoded, in version order. What was superseded inside the range is left out.

    `documents`: the updates that were committed in it, or some of them.
    """

    scope: str
    after: int
    upto: int
    entries: Mapping[ResourceKey, bytes]
    documents: Mapping[DocumentKey, Run] = field(default_factory=dict)

    @property
    def relayed_bytes(self) -> int:
        """Of updates of documents."""
        return sum(run.size for run in self.documents.values())

    @property
    def size(self) -> int:
        """Of its states and updates, in bytes."""
        return self.relayed_bytes + sum(map(len, self.entries.values()))

    def then(self, later: Delta) -> Delta:
        """This delta and the one that follows it, as one."""
        assert later.scope == self.scope
        assert later.after == self.upto
        entries = {key: body for key, body in self.entries.items() if key not in later.entries}
        documents = joined(self.documents, later.documents)
        return Delta(self.scope, self.after, later.upto, {**entries, **later.entries}, documents)

    def bounded(self, max_relay_bytes: int) -> Delta:
        """The same with no more updates of documents than that."""
        if self.relayed_bytes <= max_relay_bytes:
            return self
        return replace(self, documents=within(self.documents, max_relay_bytes))

    def seen_by(self, reader: ReaderClass) -> Delta:
        """What a class of readers sees of it (law 6)."""
        if reader.sees_all:
            return self
        shown = {key: reader.shown_state(key[0], body) for key, body in self.entries.items()}
        return replace(
            self,
            entries={key: body for key, body in shown.items() if body is not None},
            documents={key: run for key, run in self.documents.items() if reader.sees_field(key.type, key.field)},
        )


def deltas_of(commit: Commit, heads_before: Mapping[str, int]) -> list[Delta]:
    """One delta for each scope that a commit wrote to."""
    documents = runs_of(commit.updates)
    entries: dict[str, dict[ResourceKey, bytes]] = {scope: {} for scope in commit.scopes}
    for row in commit.states:
        entries[row.scope][row.type, row.id] = row.body
    return [
        Delta(scope, heads_before.get(scope, 0), upto, entries[scope], documents.get(scope, {}))
        for scope, upto in commit.scopes.items()
    ]


def encode_delta(
    scope: str,
    after: Cursor,
    upto: Cursor,
    bodies: Iterable[bytes],
    documents: Mapping[DocumentKey, Run] | None = None,
) -> bytes:
    """The live frame of a delta, as JSON; bodies go in as they are stored. Scope names need no escaping.

    `documents`: updates that travel with it; the key is left out if there are none.
    """
    head = f'{{"type":"delta","scope":"{scope}","after":"{after}","upto":"{upto}","entries":['
    relayed = b',"documents":' + encode_runs(documents) if documents else b""
    return b"%b%b]%b}" % (head.encode(), b",".join(bodies), relayed)


def pack_frame(frame: bytes) -> bytes:
    """A JSON frame as MessagePack. States are stored as JSON, so each is decoded and encoded: done once for all."""
    encoded: bytes = msgpack.packb(json.loads(frame))
    return encoded
