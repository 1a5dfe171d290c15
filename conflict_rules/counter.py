"""Rule `counter`: increments add up, in whatever order they come. For likes, stocks and votes.

A change offers `{"increment": k}`; law 3 sees to it that each counts once.
"""

from __future__ import annotations

from conflict_rules.algebra import Algebra
from conflict_rules.field_rule import Fate, Held, Offer, Settled
from conflict_rules.guide import Guide
from conflict_rules.record_rule import RecordRule
from conflict_rules.rule import register_rule
from conflict_rules.several import shared_mark
from conflict_rules.values import MAX_INTEGER, InvalidValue, JsonValue

__all__ = ["COUNTER", "Adds"]


class Adds:
    """A whole number; a repeat would count twice, so the numbers of changes are what makes it safe."""

    name = "counter"
    asks = False
    replaced_in_sight = False
    algebra = Algebra(commutative=True, associative=True, idempotent=False)
    guide = Guide(
        good_for="Likes, votes, stocks: what several people add to at once.",
        offers='An increment, `{"increment": k}`, k a whole number within ±(2^53-1); a create or a restore may bring '
        "the plain number.",
        example={"increment": 1},
        in_sight="It is added.",
        concurrently="It is added: neither base nor stamp matter, and none is lost. A repeat is known by its number "
        "(law 3), not by the rule.",
        codes=("invalid_increment", "counter_out_of_range"),
    )

    def merge(self, held: Held | None, offer: Offer) -> Settled:
        """See `FieldRule.merge`."""
        increment = _increment(offer)
        if held is None:
            return Settled(Fate.TAKEN, Held(increment, offer.mark))
        before = held.value if isinstance(held.value, int) and not isinstance(held.value, bool) else 0
        total = before + increment
        if abs(total) > MAX_INTEGER:
            raise InvalidValue(
                "counter_out_of_range", offer.name, f"{offer.name}: the sum would lie beyond 2^53-1; add less"
            )
        return Settled(Fate.TAKEN, Held(total, shared_mark(held.mark, offer)))

    def preview(self, value: JsonValue) -> JsonValue:
        """See `FieldRule.preview`."""
        return value["increment"] if isinstance(value, dict) and value.keys() == {"increment"} else value


def _increment(offer: Offer) -> int:
    value = offer.value
    if isinstance(value, dict) and value.keys() == {"increment"}:
        value = value["increment"]
    elif not offer.makes_new:
        value = None
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidValue(
            "invalid_increment",
            offer.name,
            f'{offer.name}: it is a counter; say by how much it changes, such as {{"increment": 1}}',
        )
    return value


COUNTER = register_rule(RecordRule("counter", Adds()))
