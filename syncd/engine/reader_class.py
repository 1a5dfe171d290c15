"""Reader classes: all readers with the same rights, who are sent the same (law 6).

Pure. Hiding is not a gap: every class gets every version, and of one that shows it nothing an empty page or delta. What
a class sees is told from a state's type, without decoding it; only what has fields to be left out is decoded, and
conflicts, which are seen by those who may write what they are about (law 8).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import starmap
from typing import Any, Final, NamedTuple

import orjson

from conflict_rules import CONFLICT_TYPE, dispute_of
from conflict_rules.values import JsonValue, canonical_json, valid_type
from syncd.errors import InvalidMessage

__all__ = ["MAX_TYPES", "SEES_ALL", "ReaderClass", "Redaction", "check_types", "redacted"]

MAX_TYPES: Final = 200
"""That one request may name."""

_TAG_DIGITS: Final = 8
_RULE_DATA: Final = b'"rule_data":'
"""In an encoded state that has some; inside of a text the quotation marks would be escaped."""


class Redaction(NamedTuple):
    """What is left out of the resources of a type: the fields in `hidden`, and, unless it is None, all but `only`."""

    type: str
    hidden: frozenset[str] = frozenset()
    only: frozenset[str] | None = None

    def shows(self, name: str) -> bool:
        """Whether a field is left in."""
        return name not in self.hidden and (self.only is None or name in self.only)


@dataclass(frozen=True, slots=True)
class ReaderClass:
    """`types`: of the resources that it sees; None for all. `schema`: the version of the app that it is served by.
    `redactions`: what is left out of some types, in the order of their names. `about`: of which types it sees the
    conflicts; None for all. Of a type whose conflicts it does not see it is not shown either which fields are, or were,
    in dispute.

    Two readers of equal classes are sent the same bytes; a cursor and a digest belong to one class.
    """

    types: frozenset[str] | None = None
    schema: int = 1
    redactions: tuple[Redaction, ...] = ()
    about: frozenset[str] | None = None

    @property
    def sees_all(self) -> bool:
        """Whether stored states go out to it whole, all of them."""
        return self.types is None and not self.looks_inside

    @property
    def looks_inside(self) -> bool:
        """Whether what it sees cannot be told from the types of states alone."""
        return bool(self.redactions) or self.about is not None

    @property
    def tag(self) -> str:
        """What its cursors carry, so that one of another class is noticed; "" for who sees all of version 1."""
        return _tag(self)

    def asking_for(self, types: frozenset[str] | None, schema: int) -> ReaderClass:
        """This class, for a reader who wants only some types (None: all that it sees), under a version of the app."""
        if types is None or self.types is None:
            return replace(self, types=self.types if types is None else types, schema=schema)
        return replace(self, types=types & self.types, schema=schema)

    def sees(self, type: str) -> bool:
        """Whether resources of this type are shown to it."""
        return self.types is None or type in self.types

    def sees_field(self, type: str, name: str) -> bool:
        """Whether this field of resources of this type is shown to it."""
        return self.sees(type) and all(each.shows(name) for each in self.redactions if each.type == type)

    def shown(self, states: Iterable[tuple[str, bytes]]) -> list[bytes]:
        """What goes out to it of encoded states, each with its type."""
        if self.looks_inside:
            return [body for body in starmap(self.shown_state, states) if body is not None]
        if self.types is None:
            return [body for _, body in states]
        return [body for type_, body in states if type_ in self.types]

    def shown_state(self, type: str, body: bytes) -> bytes | None:
        """What goes out to it of one encoded state; None: nothing."""
        if not self.sees(type):
            return None
        if type == CONFLICT_TYPE and self.about is not None:
            return body if self._sees_conflict(orjson.loads(body)) else None
        redaction = self._redaction(type)
        if redaction is None and (self._sees_disputes(type) or _RULE_DATA not in body):
            return body
        return orjson.dumps(self._left_of(type, orjson.loads(body), redaction))

    def shown_value(self, type: str, state: dict[str, JsonValue]) -> dict[str, JsonValue] | None:
        """The same, of one in wire form."""
        if not self.sees(type) or (type == CONFLICT_TYPE and self.about is not None and not self._sees_conflict(state)):
            return None
        return self._left_of(type, state, self._redaction(type))

    def _left_of(self, type: str, state: dict[str, Any], redaction: Redaction | None) -> dict[str, Any]:
        left = state if redaction is None else redacted(state, redaction)
        return left if self._sees_disputes(type) or "rule_data" not in left else _without_disputes(left)

    def _sees_disputes(self, type: str) -> bool:
        return self.about is None or type in self.about

    def _redaction(self, type: str) -> Redaction | None:
        return next((each for each in self.redactions if each.type == type), None)

    def _sees_conflict(self, state: Mapping[str, Any]) -> bool:
        assert self.about is not None
        fields = (state.get("kept") or state).get("fields")
        if not fields:
            # A tombstone tells no more than that something was asked here once.
            return True
        about = [fields["about"], *fields.get("others", ())]
        return all(each["type"] in self.about for each in about) and (
            fields.get("field") is None or self.sees_field(fields["about"]["type"], fields["field"])
        )


def redacted(state: Mapping[str, Any], redaction: Redaction) -> dict[str, Any]:
    """A state in wire form (`conflict_rules.wire.encode_state`) without what `redaction` leaves out."""
    shown = {**state}
    if "fields" in shown:
        shown["fields"], shown["marks"] = _redacted_fields(shown["fields"], shown["marks"], redaction)
    if "kept" in shown:
        fields, marks = _redacted_fields(shown["kept"]["fields"], shown["kept"]["marks"], redaction)
        shown["kept"] = {"fields": fields, "marks": marks}
    if "rule_data" in shown:
        shown["rule_data"] = {name: data for name, data in shown["rule_data"].items() if redaction.shows(name)}
        if not shown["rule_data"]:
            del shown["rule_data"]
    return shown


def _without_disputes(state: Mapping[str, Any]) -> dict[str, Any]:
    left = {name: data for name, data in state["rule_data"].items() if dispute_of(data) is None}
    return {**state, "rule_data": left} if left else {key: each for key, each in state.items() if key != "rule_data"}


def _redacted_fields(
    fields: Mapping[str, Any], marks: Sequence[Sequence[Any]], redaction: Redaction
) -> tuple[dict[str, Any], list[Any]]:
    left = {name: value for name, value in fields.items() if redaction.shows(name)}
    kept: list[Any] = []
    for mark in marks:
        # The one that names no fields covers those that no other names: it stays, and covers what is left of them.
        names = [name for name in mark[2] if name in left] if len(mark) > 2 else None
        if names is None:
            kept.append(mark)
        elif names:
            kept.append([*mark[:2], names])
    return left, kept


SEES_ALL: Final = ReaderClass()
"""Who sees every type, of version 1 of an app."""


def check_types(types: Collection[str] | None) -> frozenset[str] | None:
    """The types that a request names, None for all; raises `InvalidMessage` for what cannot be their names.

    A type that the app does not have (yet, or any more) is allowed: it only shows nothing.
    """
    if types is None:
        return None
    if not 1 <= len(types) <= MAX_TYPES:
        raise InvalidMessage(f"types: 1 to {MAX_TYPES} names, or leave the key out to see every type", field="types")
    for name in types:
        if not valid_type(name):
            raise InvalidMessage(
                f"types: {name[:80]!r} is no type: lower-case letters, digits and _, a letter first, at most 64",
                field="types",
            )
    return frozenset(types)


@lru_cache(maxsize=1024)
def _tag(reader: ReaderClass) -> str:
    if reader == SEES_ALL:
        return ""
    content: list[JsonValue] = [reader.schema, _sorted(reader.types)]
    if reader.looks_inside:
        redactions: list[JsonValue] = [
            [each.type, _sorted(each.hidden), _sorted(each.only)] for each in reader.redactions
        ]
        content += [redactions, _sorted(reader.about)]
    content_bytes = canonical_json(content)
    return hashlib.sha256(content_bytes).hexdigest()[:_TAG_DIGITS]


def _sorted(names: frozenset[str] | None) -> JsonValue:
    return None if names is None else sorted(names)
