"""Rules that are wrong on purpose: each is a mistake that looked right once, and the properties must find it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from conflict_rules import (
    MERGE,
    Algebra,
    Change,
    Deletes,
    FieldRule,
    JsonValue,
    Kind,
    Mark,
    Merged,
    Origin,
    Outcome,
    Stamp,
    State,
)

__all__ = [
    "AddsUp",
    "ArrivalWins",
    "BaseOffByOne",
    "FieldByField",
    "ForgetsItself",
    "MarksARepeat",
    "NeverRaises",
    "PatchesAsRecords",
    "StampsOnly",
    "TiesGoToTheLast",
]


class FieldByField:
    """A field merge of its own, right as it stands, with each decision in a method to get wrong."""

    name = "broken"
    algebra = Algebra(commutative=True, associative=True, idempotent=True)
    whole_record = False
    deletes = Deletes.DELETE_WINS

    def field_rule(self, name: str) -> FieldRule:
        return MERGE.field_rule(name)

    def merge(self, state: State | None, change: Change, version: int) -> Merged:
        fields = dict(state.fields) if state is not None else {}
        marks = dict(state.marks) if state is not None else {}
        for name, value in change.fields.items():
            mark = marks.get(name)
            if mark is None:
                fields[name], marks[name] = value, Mark(version, change.stamp)
            elif not self.is_repeat(mark, change, fields[name], value) and self.takes(mark, change):
                fields[name], marks[name] = self.value(fields[name], value), Mark(version, self.stamp(mark, change))
        kind = Kind.APPLIED if state is None or state.seen_by(change) else Kind.MERGED
        origin = Origin(change.replica, change.n)
        merged = State(change.scope, change.type, change.id, version, fields, marks, origin)
        return Merged(Outcome(kind, version), merged)

    def is_repeat(self, mark: Mark, change: Change, held: JsonValue, value: JsonValue) -> bool:
        return mark.stamp == change.stamp and held == value

    def takes(self, mark: Mark, change: Change) -> bool:
        return self.seen(mark, change) or self.later(mark, change)

    def seen(self, mark: Mark, change: Change) -> bool:
        return mark.seen_by(change)

    def later(self, mark: Mark, change: Change) -> bool:
        return change.stamp > mark.stamp

    def stamp(self, mark: Mark, change: Change) -> Stamp:
        return change.stamp if change.stamp > mark.stamp else mark.stamp.next(change.replica)

    def value(self, held: JsonValue, value: JsonValue) -> JsonValue:
        return value


class ArrivalWins(FieldByField):
    """Ignores stamps: whatever comes last stands."""

    def later(self, mark: Mark, change: Change) -> bool:
        return True


class TiesGoToTheLast(FieldByField):
    """Compares wall clocks only, so that of two changes in one millisecond the last to arrive stands."""

    def later(self, mark: Mark, change: Change) -> bool:
        return change.stamp.wall_ms >= mark.stamp.wall_ms


class StampsOnly(FieldByField):
    """Ignores what was seen: a wrong clock can never be corrected (counterexample 3)."""

    def seen(self, mark: Mark, change: Change) -> bool:
        return False


class ForgetsItself(FieldByField):
    """Goes by base alone: a replica's second edit is in conflict with its first (counterexample 2)."""

    def seen(self, mark: Mark, change: Change) -> bool:
        return mark.version <= change.base


class BaseOffByOne(FieldByField):
    """Takes the first commit after the base for seen."""

    def seen(self, mark: Mark, change: Change) -> bool:
        return mark.version <= change.base + 1

    def stamp(self, mark: Mark, change: Change) -> Stamp:
        return change.stamp


class NeverRaises(FieldByField):
    """Stores a slow clock's correction under its slow stamp (counterexample 4)."""

    def stamp(self, mark: Mark, change: Change) -> Stamp:
        return change.stamp


class MarksARepeat(FieldByField):
    """Raises the stamp each time a change is told again, until it beats a concurrent one that was later."""

    def is_repeat(self, mark: Mark, change: Change, held: JsonValue, value: JsonValue) -> bool:
        return False


class AddsUp(FieldByField):
    """Adds instead of setting: a repeat counts twice."""

    def is_repeat(self, mark: Mark, change: Change, held: JsonValue, value: JsonValue) -> bool:
        return False

    def value(self, held: JsonValue, value: JsonValue) -> JsonValue:
        return int(str(held)) + int(str(value))


class PatchesAsRecords(FieldByField):
    """The later stamp wins the whole record, but changes carry patches (counterexample 5)."""

    def merge(self, state: State | None, change: Change, version: int) -> Merged:
        if state is None:
            return super().merge(None, change, version)
        newest = max(mark.stamp for mark in state.marks.values())
        if change.stamp < newest:
            return Merged(Outcome(Kind.OVERRULED, state.version), state)
        fields: Mapping[str, JsonValue] = dict(state.fields) | dict(change.fields)
        mark = Mark(version, change.stamp)
        merged = replace(state, version=version, fields=fields, marks=dict.fromkeys(fields, mark))
        return Merged(Outcome(Kind.APPLIED, version), merged)
