"""Field rules: how one field merges. A record rule asks one of them for each field that a change brings.

Pure, like everything here. What is the same for every field of every rule is in `record_rule`.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple, Protocol, runtime_checkable

from conflict_rules.algebra import Algebra
from conflict_rules.change import Change, Op
from conflict_rules.guide import Guide
from conflict_rules.stamp import Stamp
from conflict_rules.state import Mark
from conflict_rules.values import JsonValue, same_value

__all__ = ["Fate", "FieldRule", "Held", "Offer", "Settled", "overwrite", "same_or_lost"]


class Fate(Enum):
    """What became of one field of a change."""

    TAKEN = "taken"
    """The field holds something of it."""
    SAME = "same"
    """The field held that already."""
    LOST = "lost"
    """Another change stands."""
    ASKED = "asked"
    """Another change stands until a person has chosen."""


class Held(NamedTuple):
    """What a field holds: its value, its mark, and what its rule keeps beside them, None for nothing."""

    value: JsonValue
    mark: Mark
    data: JsonValue = None


class Offer(NamedTuple):
    """One field of a change. `version`: what the scope takes if the change has an effect. `mark`: what a field is
    marked with that takes it as it is.
    """

    name: str
    value: JsonValue
    change: Change
    version: int
    mark: Mark

    @property
    def stamp(self) -> Stamp:
        """The change's effective stamp."""
        return self.change.stamp

    @property
    def makes_new(self) -> bool:
        """Whether the change brings a whole resource, so that a field may be given its first value plainly."""
        return self.change.op in (Op.CREATE, Op.RESTORE)

    def has_seen(self, mark: Mark) -> bool:
        """Law 1: by base, or by origin."""
        return mark.seen_by(self.change)


class Settled(NamedTuple):
    """What a field rule decided. `held`: what the field holds from now on. `code`, `why`: of a loss."""

    fate: Fate
    held: Held
    code: str = ""
    why: str = ""


@runtime_checkable
class FieldRule(Protocol):
    """How concurrent changes to one field are merged."""

    @property
    def name(self) -> str:
        """The name under which apps and documents know it."""
        ...

    @property
    def algebra(self) -> Algebra:
        """What it promises of concurrent changes."""
        ...

    @property
    def asks(self) -> bool:
        """Whether it may ask a person; then changes say what they were made over (`Change.was`)."""
        ...

    @property
    def replaced_in_sight(self) -> bool:
        """Whether an edit by somebody who has seen the value takes its place (law 2), rather than joining it."""
        ...

    @property
    def guide(self) -> Guide:
        """What it says of itself to whoever chooses among rules."""
        ...

    def merge(self, held: Held | None, offer: Offer) -> Settled:
        """Merge what is offered into what the field holds, None if it was never set.

        Raises `InvalidValue` for an offer that the rule cannot take; then the whole change is rejected.
        """
        ...

    def preview(self, value: JsonValue) -> JsonValue:
        """The value that a field would have if it held nothing but this offer, to be checked against a model.

        Raises nothing: an offer that the rule cannot take comes back as it is.
        """
        ...


def overwrite(held: Held | None, offer: Offer) -> Settled:
    """The offered value takes the field.

    Its mark lies above the one it replaces, so that a slow clock's correction is not lost again to a change that
    arrives later (counterexample 4). This very change, told again, raises nothing: it would win more than it did.
    """
    if held is None:
        return Settled(Fate.TAKEN, Held(offer.value, offer.mark))
    old = held.mark.stamp
    if old == offer.stamp and same_value(held.value, offer.value):
        return Settled(Fate.SAME, held)
    stamp = offer.stamp if offer.stamp > old else old.next(offer.stamp.replica)
    return Settled(Fate.TAKEN, Held(offer.value, Mark(offer.version, stamp), held.data))


def same_or_lost(held: Held, offer: Offer, code: str, why: str) -> Settled:
    """The held value stands; nothing is lost where the offered one is the same."""
    if same_value(held.value, offer.value):
        return Settled(Fate.SAME, held)
    return Settled(Fate.LOST, held, code, why)
