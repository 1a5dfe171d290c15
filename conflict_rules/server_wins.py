"""Rule `server_wins`: a change made on a stale base is turned away with the server's data. For availability."""

from __future__ import annotations

from conflict_rules.algebra import Algebra
from conflict_rules.field_rule import Held, Offer, Settled, overwrite, same_or_lost
from conflict_rules.guide import Guide
from conflict_rules.record_rule import RecordRule
from conflict_rules.rule import register_rule
from conflict_rules.values import JsonValue

__all__ = ["SERVER_WINS", "FirstCommitted"]


class FirstCommitted:
    """Whoever has seen what the field holds may change it; anybody else is shown it first. Arrival decides."""

    name = "server_wins"
    asks = False
    replaced_in_sight = True
    algebra = Algebra(commutative=False, associative=False, idempotent=True, arbitrated=True)
    guide = Guide(
        good_for="Places, bookings, availability: what must not be decided by somebody who has not seen it.",
        offers="Any JSON value.",
        example="free",
        in_sight="It takes the field.",
        concurrently="What the server holds stands, whatever the stamps say; the reply shows it, and the person "
        "decides anew.",
        codes=("stale_base",),
    )

    def merge(self, held: Held | None, offer: Offer) -> Settled:
        """See `FieldRule.merge`."""
        if held is None or offer.has_seen(held.mark):
            return overwrite(held, offer)
        return same_or_lost(held, offer, "stale_base", "it was made without having seen what the server holds")

    def preview(self, value: JsonValue) -> JsonValue:
        """See `FieldRule.preview`."""
        return value


SERVER_WINS = register_rule(RecordRule("server_wins", FirstCommitted()))
