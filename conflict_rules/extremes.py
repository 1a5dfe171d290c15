"""Rules `max` and `min`: the greatest, or the least, value ever offered stands. For clocks and read marks."""

from __future__ import annotations

from conflict_rules.algebra import Algebra
from conflict_rules.field_rule import Fate, Held, Offer, Settled
from conflict_rules.guide import Guide
from conflict_rules.record_rule import RecordRule
from conflict_rules.rule import register_rule
from conflict_rules.values import InvalidValue, JsonValue

__all__ = ["MAX", "MIN", "Greatest", "Least"]


class Greatest:
    """A number, or a text compared by code point; of one kind for ever. Having seen a greater value changes nothing."""

    name = "max"
    asks = False
    replaced_in_sight = False
    algebra = Algebra(commutative=True, associative=True, idempotent=True)
    guide = Guide(
        good_for="Best times, clocks, read marks: what only ever rises.",
        offers="A number, or a text (compared by code point); of one kind for ever.",
        example=7,
        in_sight="It takes the field if it is greater; having seen a greater value changes nothing.",
        concurrently="The greater value stands.",
        codes=("a_greater_value_stands",),
    )

    def merge(self, held: Held | None, offer: Offer) -> Settled:
        """See `FieldRule.merge`."""
        kind = _kind(offer.value)
        if kind is None or (held is not None and _kind(held.value) not in (kind, None)):
            raise InvalidValue(
                "invalid_field", offer.name, f"{offer.name}: a number or a text, and the same of both for ever"
            )
        if held is None or _kind(held.value) is None or self._beats(offer.value, held.value):
            return Settled(Fate.TAKEN, Held(offer.value, offer.mark))
        if offer.value == held.value:
            return Settled(Fate.SAME, held)
        return self._lost(held)

    def preview(self, value: JsonValue) -> JsonValue:
        """See `FieldRule.preview`."""
        return value

    def _beats(self, offered: JsonValue, held: JsonValue) -> bool:
        return bool(offered > held)  # type: ignore[operator]  # of one kind, number or text

    def _lost(self, held: Held) -> Settled:
        return Settled(Fate.LOST, held, "a_greater_value_stands", "a greater value stands")


class Least(Greatest):
    """The other way round."""

    name = "min"
    guide = Guide(
        good_for="Lowest prices, earliest dates: what only ever falls.",
        offers="A number, or a text (compared by code point); of one kind for ever.",
        example=7,
        in_sight="It takes the field if it is less; having seen a lesser value changes nothing.",
        concurrently="The lesser value stands.",
        codes=("a_lesser_value_stands",),
    )

    def _beats(self, offered: JsonValue, held: JsonValue) -> bool:
        return bool(offered < held)  # type: ignore[operator]  # of one kind, number or text

    def _lost(self, held: Held) -> Settled:
        return Settled(Fate.LOST, held, "a_lesser_value_stands", "a lesser value stands")


def _kind(value: JsonValue) -> str | None:
    if isinstance(value, str):
        return "text"
    return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else None


MAX = register_rule(RecordRule("max", Greatest()))
MIN = register_rule(RecordRule("min", Least()))
