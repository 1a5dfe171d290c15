"""Rule `manual`: values that disagree are a question for a person. For scores of games.

The field holds the accepted value, the first to arrive, until somebody chooses. What is asked, and of which values,
is kept by the conflict (see `conflict`); the field only remembers that, and since which version, it is in dispute.
"""

from __future__ import annotations

from conflict_rules.algebra import Algebra
from conflict_rules.change import Op
from conflict_rules.dispute import Dispute, conflict_id, dispute_of
from conflict_rules.field_rule import Fate, Held, Offer, Settled, overwrite, same_or_lost
from conflict_rules.guide import Guide
from conflict_rules.record_rule import RecordRule
from conflict_rules.rule import register_rule
from conflict_rules.values import InvalidValue, JsonValue, same_value

__all__ = ["MANUAL", "Asks", "ask"]


def ask(held: Held, offer: Offer) -> Settled:
    """The held value stands, and the field is in dispute from now on."""
    change = offer.change
    dispute = Dispute(conflict_id(change.type, change.id, offer.name), offer.version, open=True)
    return Settled(
        Fate.ASKED,
        held._replace(data=dispute.data()),
        "values_differ",
        f"another {offer.name} was saved without either having seen the other; somebody has to choose",
    )


def choose(held: Held | None, offer: Offer) -> Settled:
    """A settlement: it names its conflict, and ends it; of two that disagree the later stamp stands."""
    dispute = None if held is None else dispute_of(held.data)
    if held is None or dispute is None or dispute.conflict != offer.change.conflict:
        raise InvalidValue(
            "no_such_conflict", "conflict", f"conflict: {offer.name} has no conflict {offer.change.conflict!r}"
        )
    if not dispute.open and not offer.has_seen(held.mark) and offer.stamp <= held.mark.stamp:
        return same_or_lost(held, offer, "settled_otherwise", "somebody else has settled it, later")
    return _ended(overwrite(held, offer), dispute, offer)


def _ended(settled: Settled, dispute: Dispute, offer: Offer) -> Settled:
    data = Dispute(dispute.conflict, offer.version, open=False).data()
    return Settled(Fate.TAKEN, settled.held._replace(data=data))


class Asks:
    """Whoever has seen what the field holds may change it; what disagrees without having seen it asks."""

    name = "manual"
    asks = True
    replaced_in_sight = True
    algebra = Algebra(commutative=False, associative=False, idempotent=True, arbitrated=True)
    guide = Guide(
        good_for="Scores of games, results, prices: where a wrong value is worse than a question.",
        offers="Any JSON value; `was` may say what the person was shown in the field.",
        example="2-1",
        in_sight="It takes the field. If the field is in dispute, it settles the dispute where its author had seen "
        "that too, unless it repeats the accepted value: a record written back as a whole chooses nothing (law 8).",
        concurrently="A value that differs opens a conflict, or joins it: the first to arrive is the accepted one "
        "until somebody chooses, and every other one is a candidate. An op `settle` that names the conflict chooses; "
        "of two settlements that have not seen each other the later stamp stands, and both are told.",
        codes=("values_differ", "settled_otherwise", "no_such_conflict"),
    )

    def merge(self, held: Held | None, offer: Offer) -> Settled:
        """See `FieldRule.merge`."""
        if offer.change.op is Op.SETTLE:
            return choose(held, offer)
        if held is None:
            return overwrite(held, offer)
        if offer.has_seen(held.mark):
            return edit_in_sight(held, offer)
        if same_value(held.value, offer.value):
            return Settled(Fate.SAME, held)
        return self.disagree(held, offer)

    def disagree(self, held: Held, offer: Offer) -> Settled:
        """The values differ, and neither has seen the other."""
        return ask(held, offer)

    def preview(self, value: JsonValue) -> JsonValue:
        """See `FieldRule.preview`."""
        return value


def edit_in_sight(held: Held, offer: Offer) -> Settled:
    """An edit by somebody who has seen the value. Law 8: one that has seen the dispute too, and changes it, settles."""
    dispute = dispute_of(held.data)
    if dispute is None or not dispute.open:
        return overwrite(held, offer)
    if same_value(held.value, offer.value):
        # A whole record that is written back with the accepted value in it has chosen nothing.
        return Settled(Fate.SAME, held)
    settled = overwrite(held, offer)
    return _ended(settled, dispute, offer) if dispute.version <= offer.change.base else settled


MANUAL = register_rule(RecordRule("manual", Asks()))
