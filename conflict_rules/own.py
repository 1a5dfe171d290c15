"""An author's own rule: a pure function of three values, registered under a name of its own.

What is true of the function its author may declare; `promises` holds it to that.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Final

from conflict_rules.algebra import Algebra
from conflict_rules.change import Op
from conflict_rules.field_rule import Fate, Held, Offer, Settled, same_or_lost
from conflict_rules.guide import Guide
from conflict_rules.manual import Asks, ask
from conflict_rules.record_rule import RecordRule
from conflict_rules.rule import register_rule
from conflict_rules.several import shared_mark
from conflict_rules.values import InvalidValue, JsonValue, clean_value, same_value

__all__ = ["ARBITRATED", "ASK", "MergeFunction", "Own", "own_rule"]


class _Ask:
    """The type of `ASK`."""

    def __repr__(self) -> str:
        return "ASK"


ASK: Final = _Ask()
"""What a function returns that will not choose: the values become a conflict, as under `manual`."""

MergeFunction = Callable[[JsonValue, JsonValue, JsonValue], "JsonValue | _Ask"]
"""`(base, mine, theirs)`: what the person was shown (None if he did not say), what arrives, what is held."""

ARBITRATED: Final = Algebra(commutative=False, associative=False, idempotent=False, arbitrated=True)
"""What a function promises of which nothing is declared."""

_CHOOSES: Final = Guide(
    good_for="Whatever no other rule says.",
    offers="Any JSON value; `was` may say what the person was shown in the field.",
    example="Ada",
    in_sight="It takes the field; the function is not asked.",
    concurrently="The function `(base, mine, theirs)` gets what the person was shown (`None` if that was not "
    "told), the arriving and the held value, and returns the one to hold; or `rules.ASK`, and the field is "
    "in conflict as under `manual`. It is pure: the server and every device run it.",
    codes=("rule_chose_the_other",),
)
_JOINS: Final = replace(
    _CHOOSES,
    in_sight="The function is asked, as it is concurrently: nothing that it has joined is taken back because "
    "somebody saw it.",
    concurrently="The function `(base, mine, theirs)` is asked about every value after the first: stamps do not "
    "matter, nor who has seen what. It does not ask a person.",
)


class Own(Asks):
    """Asked only where the values differ and neither has seen the other; in sight an edit is an edit.

    A function that is declared commutative and associative is asked in sight too. Else a replica's own queue would
    let the order of arrival decide: it writes "longest", then "s", beside somebody's "long", and the longer text is to
    stand. The queue first, and "long" meets "s"; "long" in between, and it is lost to "longest", over which "s" is then
    an edit in sight; "long" first, and the "longest" that has joined it is not the replica's own, so "s" is lost.
    """

    def __init__(self, name: str, function: MergeFunction, algebra: Algebra) -> None:
        if algebra.commutative != algebra.associative:
            raise ValueError(
                f"the rule {name!r}: commutative and associative are declared together or not at all; with one of them "
                "alone, three values come to something else in another order"
            )
        if algebra.arbitrated == algebra.commutative:
            raise ValueError(f"the rule {name!r}: either arrival decides, or it is commutative and associative")
        self.name = name
        self.algebra = algebra
        self.replaced_in_sight = algebra.arbitrated
        self.guide = _CHOOSES if algebra.arbitrated else _JOINS
        self.function = function

    def merge(self, held: Held | None, offer: Offer) -> Settled:
        """See `FieldRule.merge`."""
        if self.replaced_in_sight or held is None or offer.change.op is Op.SETTLE:
            return super().merge(held, offer)
        return self.disagree(held, offer)

    def disagree(self, held: Held, offer: Offer) -> Settled:
        """Let the author's function choose."""
        try:
            chosen = self.choose(offer.change.was.get(offer.name), offer.value, held.value)
        except InvalidValue as invalid:
            message = f"{offer.name}: the rule {self.name} made what cannot be kept ({invalid})"
            raise InvalidValue("check_failed", offer.name, message) from invalid
        if chosen is ASK:
            return ask(held, offer)
        if same_value(chosen, held.value):
            return same_or_lost(held, offer, "rule_chose_the_other", f"the rule {self.name} chose the other value")
        return Settled(Fate.TAKEN, Held(chosen, shared_mark(held.mark, offer), held.data))

    def choose(self, base: JsonValue, mine: JsonValue, theirs: JsonValue) -> JsonValue | _Ask:
        """What the function makes of these, cleaned, or `ASK`.

        Raises `InvalidValue` for what cannot be kept, and whatever the function raises.
        """
        # Copies: a function that changes what it is given must not change what is held.
        chosen = self.function(*deepcopy((base, mine, theirs)))
        return chosen if chosen is ASK else clean_value(chosen)


def own_rule(name: str, function: MergeFunction, algebra: Algebra = ARBITRATED) -> RecordRule:
    """Register `function` as the rule `name`; raises ValueError if the name is taken, or `algebra` makes no sense.

    What `function` raises is raised by `apply_change`: the server rejects the change as `check_failed`.
    `algebra`: what the author declares of it. `check_algebra` finds where it is not so.
    """
    rule = RecordRule(name, Own(name, function, algebra))
    register_rule(rule)
    return rule
