"""Field rule `lww` (law 2): seen beats stamped; of two that have not seen each other the later stamp wins."""

from __future__ import annotations

from conflict_rules.algebra import Algebra
from conflict_rules.field_rule import Held, Offer, Settled, overwrite, same_or_lost
from conflict_rules.guide import Guide
from conflict_rules.values import JsonValue

__all__ = ["LATER_STAMP", "LaterStamp"]


class LaterStamp:
    """What most fields want: the last word stands, whatever the order in which it was heard."""

    name = "lww"
    asks = False
    replaced_in_sight = True
    algebra = Algebra(commutative=True, associative=True, idempotent=True)
    guide = Guide(
        good_for="Names, texts, settings: whatever one person at a time sets as a whole.",
        offers="Any JSON value.",
        example="Ada",
        in_sight="It takes the field, whatever its author's clock says (law 2).",
        concurrently="The later stamp stands; the other value is kept in the history.",
        codes=("later_change_stands",),
    )

    def merge(self, held: Held | None, offer: Offer) -> Settled:
        """See `FieldRule.merge`."""
        if held is None or offer.has_seen(held.mark) or offer.stamp > held.mark.stamp:
            return overwrite(held, offer)
        return same_or_lost(
            held, offer, "later_change_stands", "a later change, made without having seen this one, stands"
        )

    def preview(self, value: JsonValue) -> JsonValue:
        """See `FieldRule.preview`."""
        return value


LATER_STAMP = LaterStamp()
