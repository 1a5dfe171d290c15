"""One change of a push on its way through the engine: as it was read, and as it was sent. Pure."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import orjson

from conflict_rules import Change, Kind, Outcome
from conflict_rules.quick_to_make import quick_to_make
from conflict_rules.values import RepeatedKeys
from conflict_rules.wire import MalformedChange

__all__ = ["SCATTERED", "Incoming", "kept", "rejected", "rejected_as", "scope_of"]

SCATTERED: Final = Outcome(
    Kind.REJECTED, 0, "invalid_group", "group: its changes stand apart in the push; put them side by side", "group"
)
"""What becomes of a change whose group does not stand in one piece."""


@quick_to_make
@dataclass(frozen=True, slots=True)
class Incoming:
    """One change of a push. `raw`: as it was sent, with the app version that its push named. `digest`: of what was
    sent, tells a repeat from another change (law 3).

    `refused`: what it is settled with, whatever it says, for the sake of its group. `waits`: why it cannot be settled
    yet; what follows it then waits too. `spelling`: of `raw`, if it has one (`spelling_of`).
    """

    change: Change | MalformedChange
    raw: object
    digest: bytes
    refused: Outcome | None = None
    waits: Outcome | None = None
    spelling: bytes | None = None


def scope_of(member: Incoming) -> str:
    """The scope that a change is settled in: "" for one that names none that can be found."""
    return member.change.scope if isinstance(member.change, Change) else ""


def kept(member: Incoming) -> bytes:
    """A change as it was sent, as far as JSON can hold it, whatever the order of its keys: what cannot be read is kept
    all the same."""
    raw = member.raw
    if isinstance(member.change, MalformedChange):
        raw = _spelt_out(raw)
    elif member.spelling is not None:
        return member.spelling
    else:
        with suppress(TypeError):
            return orjson.dumps(raw)
    return json.dumps(raw, ensure_ascii=True, default=repr, separators=(",", ":")).encode()


def _spelt_out(raw: object) -> object:
    """`raw` with what an object says twice under one key as pairs, since a dict would keep neither."""
    if isinstance(raw, RepeatedKeys):
        return {"repeated_key": [[key, _spelt_out(value)] for key, value in raw.pairs]}
    if isinstance(raw, dict):
        # MessagePack has keys of any type.
        return {key if isinstance(key, str) else repr(key): _spelt_out(value) for key, value in raw.items()}
    return [_spelt_out(item) for item in raw] if isinstance(raw, list) else raw


def rejected(code: str, message: str, field: str | None) -> Outcome:
    """A change that cannot be applied, and why."""
    return Outcome(Kind.REJECTED, 0, code, message, field)


def rejected_as(malformed: MalformedChange) -> Outcome:
    """What becomes of a change that cannot be read."""
    return rejected(malformed.code, malformed.message, malformed.field)
