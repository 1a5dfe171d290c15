"""Rules that are wrong on purpose: each is a mistake that looks right, and the properties must find it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

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
    Op,
    Origin,
    Outcome,
    RecordRule,
    Stamp,
    State,
    dispute_of,
)
from conflict_rules.add_wins import AddWins
from conflict_rules.counter import Adds
from conflict_rules.extremes import Greatest
from conflict_rules.field_rule import Fate, Held, Offer, Settled, overwrite
from conflict_rules.later_stamp import LATER_STAMP
from conflict_rules.manual import Asks
from conflict_rules.server_wins import FirstCommitted

__all__ = [
    "AddsTakeAll",
    "AddsUp",
    "ArrivalSettles",
    "ArrivalWins",
    "BaseOffByOne",
    "ComparesStamps",
    "CountsFromNothing",
    "CountsWhatIsLater",
    "EverySecondEditSettles",
    "FieldByField",
    "ForgetsItself",
    "GreaterUnlessSeen",
    "LosesQuietly",
    "MarksARepeat",
    "NeverRaises",
    "PatchesAsRecords",
    "RemovalsComeLast",
    "RemovesWhatItHasNotSeen",
    "StampsOnly",
    "TakesAndAsks",
    "TakesTheLastNumber",
    "TakesWhatIsLater",
    "TiesGoToTheLast",
    "TurnsAwaySilently",
    "WholeRowsSettle",
    "broken",
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
        merged = State(
            change.scope, change.type, change.id, version, fields, marks, origin, floor=state.floor if state else None
        )
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


# Field rules. Each is right but for the decision that it takes another way.


def broken(rule: FieldRule) -> RecordRule:
    """A record of such fields."""
    return RecordRule(type(rule).__name__, rule)


class CountsFromNothing(Adds):
    """An increment that has not seen the others starts at nought: they are gone."""

    def merge(self, held: Held | None, offer: Offer) -> Settled:
        return super().merge(held if held is not None and offer.has_seen(held.mark) else None, offer)


class CountsWhatIsLater(Adds):
    """Asks for a later stamp before it counts."""

    def merge(self, held: Held | None, offer: Offer) -> Settled:
        if held is not None and not offer.has_seen(held.mark) and offer.stamp < held.mark.stamp:
            return Settled(Fate.LOST, held, "late", "late")
        return super().merge(held, offer)


class TakesTheLastNumber(Greatest):
    """Forgets to compare."""

    def _beats(self, offered: JsonValue, held: JsonValue) -> bool:
        return True


class GreaterUnlessSeen(Greatest):
    """Lets whoever has seen the greatest value lower it."""

    def merge(self, held: Held | None, offer: Offer) -> Settled:
        if held is not None and offer.has_seen(held.mark):
            return overwrite(held, offer)
        return super().merge(held, offer)


class ComparesStamps(Greatest):
    """Takes the later value for the greater one: in any order the same, and wrong."""

    def merge(self, held: Held | None, offer: Offer) -> Settled:
        return LATER_STAMP.merge(held, offer)


class _TwoSteps(AddWins):
    """A set that removes and adds in two steps, each with a base of its own."""

    _removal_sees_all = False
    _addition_sees_all = False
    _removal_first = True

    def merge(self, held: Held | None, offer: Offer) -> Settled:
        edit = cast(dict[str, Any], {"add": offer.value} if isinstance(offer.value, list) else offer.value)
        steps = [({"remove": edit.get("remove", [])}, self._removal_sees_all)]
        steps.insert(1 if self._removal_first else 0, ({"add": edit.get("add", [])}, self._addition_sees_all))
        fates = set()
        for value, sees_all in steps:
            change = replace(offer.change, base=1_000_000) if sees_all else offer.change
            settled = super().merge(held, offer._replace(value=value, change=change))
            held = settled.held
            fates.add(settled.fate)
        assert held is not None
        return Settled(Fate.TAKEN if Fate.TAKEN in fates else Fate.SAME, held)


class RemovesWhatItHasNotSeen(_TwoSteps):
    """Takes an element away with all of its dots."""

    _removal_sees_all = True


class AddsTakeAll(_TwoSteps):
    """An addition leaves one dot, its own, whoever else has added the element."""

    _addition_sees_all = True


class RemovalsComeLast(_TwoSteps):
    """Of a change that removes and adds an element nothing is left."""

    _removal_first = False


class TakesWhatIsLater(FirstCommitted):
    """Lets stamps decide where arrival was to."""

    def merge(self, held: Held | None, offer: Offer) -> Settled:
        return LATER_STAMP.merge(held, offer)


class TurnsAwaySilently(FirstCommitted):
    """Says that all is well."""

    def merge(self, held: Held | None, offer: Offer) -> Settled:
        settled = super().merge(held, offer)
        return settled._replace(fate=Fate.SAME) if settled.fate is Fate.LOST else settled


class LosesQuietly(Asks):
    """Lets the first value stand, and asks nobody."""

    def disagree(self, held: Held, offer: Offer) -> Settled:
        return Settled(Fate.LOST, held, "lost", "lost")


class TakesAndAsks(Asks):
    """Asks, and holds the new value meanwhile: what was accepted is nowhere."""

    def disagree(self, held: Held, offer: Offer) -> Settled:
        asked = super().disagree(held, offer)
        return asked._replace(held=asked.held._replace(value=offer.value))


class WholeRowsSettle(Asks):
    """Takes the accepted value, written back with a whole record, for an answer (law 8)."""

    def merge(self, held: Held | None, offer: Offer) -> Settled:
        settled = super().merge(held, offer)
        return _closed(settled) if settled.fate is Fate.SAME else settled


class EverySecondEditSettles(Asks):
    """Takes an edit for an answer, though its author had not seen the question (law 8)."""

    def merge(self, held: Held | None, offer: Offer) -> Settled:
        settled = super().merge(held, offer)
        return _closed(settled) if settled.fate is Fate.TAKEN else settled


class ArrivalSettles(Asks):
    """Of two settlements the last to arrive stands."""

    def merge(self, held: Held | None, offer: Offer) -> Settled:
        if offer.change.op is Op.SETTLE:
            offer = offer._replace(change=replace(offer.change, base=1_000_000))
        return super().merge(held, offer)


def _closed(settled: Settled) -> Settled:
    dispute = dispute_of(settled.held.data)
    if dispute is None:
        return settled
    return Settled(Fate.TAKEN, settled.held._replace(data=replace(dispute, open=False).data()))
