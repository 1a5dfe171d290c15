"""Field rule `lww` (law 2): seen beats stamped; of two that have not seen each other the later stamp wins."""

from __future__ import annotations

from conflict_rules.algebra import Algebra
from conflict_rules.field_rule import Held, Offer, Settled, overwrite, same_or_lost
from conflict_rules.values import JsonValue

__all__ = ["LATER_STAMP", "LaterStamp"]


class LaterStamp:
    """What most fields want: the last word stands, whatever the order in which it was heard."""

    name = "lww"
    asks = False
    algebra = Algebra(commutative=True, associative=True, idempotent=True)

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
