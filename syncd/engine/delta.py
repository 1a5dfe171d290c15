"""A delta: the newest states of one scope in a range of versions, as watchers get them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgpack

from syncd.engine.cursor import Cursor
from syncd.store.protocol import Commit, ResourceKey

__all__ = ["Delta", "deltas_of", "encode_delta", "pack_frame"]


@dataclass(frozen=True, slots=True)
class Delta:
    """States in (after, upto], encoded, in version order. What was superseded inside the range is left out."""

    scope: str
    after: int
    upto: int
    entries: Mapping[ResourceKey, bytes]

    def then(self, later: Delta) -> Delta:
        """This delta and the one that follows it, as one."""
        assert later.scope == self.scope
        assert later.after == self.upto
        entries = {key: body for key, body in self.entries.items() if key not in later.entries}
        return Delta(self.scope, self.after, later.upto, {**entries, **later.entries})


def deltas_of(commit: Commit, heads_before: Mapping[str, int]) -> list[Delta]:
    """One delta for each scope that a commit wrote to."""
    entries: dict[str, dict[ResourceKey, bytes]] = {scope: {} for scope in commit.scopes}
    for row in commit.states:
        entries[row.scope][row.type, row.id] = row.body
    return [Delta(scope, heads_before.get(scope, 0), upto, entries[scope]) for scope, upto in commit.scopes.items()]


def encode_delta(scope: str, after: Cursor, upto: Cursor, bodies: Iterable[bytes]) -> bytes:
    """The live frame of a delta, as JSON; bodies go in as they are stored. Scope names need no escaping."""
    head = f'{{"type":"delta","scope":"{scope}","after":"{after}","upto":"{upto}","entries":['
    return head.encode() + b",".join(bodies) + b"]}"


def pack_frame(frame: bytes) -> bytes:
    """A JSON frame as MessagePack. States are stored as JSON, so each is decoded and encoded: done once for all."""
    encoded: bytes = msgpack.packb(json.loads(frame))
    return encoded
