"""What a worker's reply may be. Its memory may be spoilt, so each is checked against what was asked, and becomes a
value of ours; anything else is `Garbled`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from conflict_rules.values import JsonValue
from syncd.documents.frames import Garbled
from syncd.documents.protocol import Squash, Verdict

__all__ = ["Cold", "Done", "Judgement", "Operation", "Refused", "read_reply"]

Operation = Literal["check", "view", "diff", "squash", "revert"]

_CODES: Final = frozenset({"invalid_document_update", "document_update_failed", "document_too_large"})
_MAX_SENTENCE: Final = 400


@dataclass(frozen=True, slots=True)
class Cold:
    """The document is not held at that place: send it along."""


@dataclass(frozen=True, slots=True)
class Refused:
    """`what`: what is stored does not load, or not again from its encoding, or what was asked makes no sense."""

    why: str
    what: Literal["unreadable", "unproven", "invalid"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """`verdicts`: of the first updates that were sent, as many as there was time for. `next_count`: to send next."""

    next_count: int
    verdicts: list[Verdict]


@dataclass(frozen=True, slots=True)
class Done:
    """`size`: of the document, in bytes. `value`: a `Judgement`, JSON, bytes or a `Squash`."""

    size: int
    value: Any


Reply = Cold | Refused | Done


def read_reply(operation: Operation, reply: object, *, count: int, seq: int, cold: bool) -> Reply:
    """`count`: of the updates that were sent. `seq`: where the document was asked for. `cold`: whether it may say that
    it does not hold it."""
    match reply:
        case ["cold"] if cold:
            return Cold()
        case ["unreadable" | "unproven" | "invalid" as what, str(why)]:
            return Refused(why[:_MAX_SENTENCE], what)
        case ["done", int(size), *values] if size >= 0:
            return Done(size, _VALUES[operation](values, count, seq))
    raise Garbled("a reply of no known form")


def _judgement(values: list[Any], count: int, seq: int) -> Judgement:
    match values:
        case [int(next_count), list(told)] if len(told) <= count and (told or 0 < next_count < count):
            return Judgement(max(1, next_count), [_verdict(one) for one in told])
    raise Garbled("no verdicts")


def _verdict(told: object) -> Verdict:
    match told:
        case [None, "", bool(waits)]:
            return Verdict(waits=waits)
        case [str(code), str(message), False] if code in _CODES:
            return Verdict(code, message[:_MAX_SENTENCE])
    raise Garbled("no verdict")


def _view(values: list[Any], count: int, seq: int) -> JsonValue:
    if len(values) != 1 or not _is_json(values[0]):
        raise Garbled("no JSON")
    return cast(JsonValue, values[0])


def _diff(values: list[Any], count: int, seq: int) -> bytes:
    match values:
        case [bytes(update)]:
            return update
    raise Garbled("no update")


def _squash(values: list[Any], count: int, seq: int) -> Squash:
    match values:
        case [bytes(snapshot), list(keep), list(dropped)] if all(type(one) is int and 0 < one <= seq for one in keep):
            return Squash(snapshot, keep, [_dropped(one, seq) for one in dropped])
    raise Garbled("no snapshot")


def _dropped(told: object, seq: int) -> tuple[int, str]:
    match told:
        case [int(one), str(why)] if 0 < one <= seq:
            return one, why[:_MAX_SENTENCE]
    raise Garbled("no update that was dropped")


_VALUES: Final[Mapping[Operation, Callable[[list[Any], int, int], Any]]] = {
    "check": _judgement,
    "view": _view,
    "diff": _diff,
    "squash": _squash,
    "revert": _diff,
}


def _is_json(value: object) -> bool:
    """Whether it can be written as JSON. Level by level: nothing here depends on how deep it is."""
    level = [value]
    while level:
        further: list[object] = []
        for one in level:
            if isinstance(one, dict):
                if not all(isinstance(name, str) for name in one):
                    return False
                further += one.values()
            elif isinstance(one, list):
                further += one
            elif isinstance(one, float):
                if not math.isfinite(one):
                    return False
            elif not (one is None or isinstance(one, (str, int))):
                return False
        level = further
    return True
