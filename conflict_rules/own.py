"""An author's own rule: a pure function of three values, registered under a name of its own."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Final

from conflict_rules.algebra import Algebra
from conflict_rules.field_rule import Fate, Held, Offer, Settled
from conflict_rules.guide import Guide
from conflict_rules.manual import Asks, ask
from conflict_rules.record_rule import RecordRule
from conflict_rules.rule import register_rule
from conflict_rules.several import shared_mark
from conflict_rules.values import InvalidValue, JsonValue, clean_value, same_value

__all__ = ["ASK", "MergeFunction", "own_rule"]


class _Ask:
    """The type of `ASK`."""

    def __repr__(self) -> str:
        return "ASK"


ASK: Final = _Ask()
"""What a function returns that will not choose: the values become a conflict, as under `manual`."""

MergeFunction = Callable[[JsonValue, JsonValue, JsonValue], "JsonValue | _Ask"]
"""`(base, mine, theirs)`: what the person was shown (None if he did not say), what arrives, what is held."""

ARBITRATED: Final = Algebra(commutative=False, associative=False, idempotent=False, arbitrated=True)


class Own(Asks):
    """Asked only where the values differ and neither has seen the other; in sight an edit is an edit."""

    guide = Guide(
        good_for="Whatever no other rule says.",
        offers="Any JSON value; `was` may say what the person was shown in the field.",
        example="Ada",
        in_sight="It takes the field; the function is not asked.",
        concurrently="The function `(base, mine, theirs)` gets what the person was shown (`None` if that was not "
        "told), the arriving and the held value, and returns the one to hold; or `rules.ASK`, and the field is "
        "in conflict as under `manual`. It is pure: the server and every device run it.",
        codes=("rule_chose_the_other",),
    )

    def __init__(self, name: str, function: MergeFunction, algebra: Algebra) -> None:
        self.name = name
        self.algebra = algebra
        self._function = function

    def disagree(self, held: Held, offer: Offer) -> Settled:
        """Let the author's function choose."""
        # Copies: a function that changes what it is given must not change what is held.
        base, mine, theirs = deepcopy((offer.change.was.get(offer.name), offer.value, held.value))
        chosen = self._function(base, mine, theirs)
        if isinstance(chosen, _Ask):
            return ask(held, offer)
        try:
            value = clean_value(chosen, offer.name)
        except InvalidValue as invalid:
            message = f"{offer.name}: the rule {self.name} made what cannot be kept ({invalid})"
            raise InvalidValue("check_failed", offer.name, message) from invalid
        if same_value(value, held.value):
            return Settled(Fate.LOST, held, "rule_chose_the_other", f"the rule {self.name} chose the other value")
        return Settled(Fate.TAKEN, Held(value, shared_mark(held.mark, offer), held.data))


def own_rule(name: str, function: MergeFunction, algebra: Algebra = ARBITRATED) -> RecordRule:
    """Register `function` as the rule `name`; raises ValueError if the name is taken.

    What `function` raises is raised by `apply_change`: the server rejects the change as `check_failed`.
    `algebra`: what the author promises; `conflict_rules` has no way to check it, the author's tests have.
    """
    rule = RecordRule(name, Own(name, function, algebra))
    register_rule(rule)
    return rule
