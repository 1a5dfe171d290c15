"""Rules as authors write them: what is true of each is declared. And some of which something else is declared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from conflict_rules import ASK, Algebra, Change, JsonValue, MergeFunction, RecordRule
from conflict_rules.field_rule import Held, Offer, Settled
from conflict_rules.manual import Asks
from conflict_rules.own import ARBITRATED, Own

__all__ = [
    "DIFFERENCE",
    "LAST",
    "LONGEST",
    "OWN",
    "RIVALS",
    "SWAPPED",
    "UNASKED_IN_SIGHT",
    "UNORDERED",
    "UNREPEATABLE",
    "expected",
]

JOIN = Algebra(commutative=True, associative=True, idempotent=True)
ORDERLESS = Algebra(commutative=True, associative=True, idempotent=False)
REPEATABLE = Algebra(commutative=False, associative=False, idempotent=True, arbitrated=True)


def own(function: MergeFunction, algebra: Algebra, example: JsonValue = "Ada", made: type[Own] = Own) -> RecordRule:
    """Not registered, so that nobody else meets it. `example`: a text or a number, for what is offered."""
    name = function.__name__
    rule = made(name, function, algebra)
    rule.guide = replace(rule.guide, example=example)
    return RecordRule(name, rule)


def longest(base: Any, mine: Any, theirs: Any) -> Any:
    """The longer text, and of equals the greater."""
    return max(mine, theirs, key=_length)


def _length(text: object) -> tuple[int, str]:
    return len(str(text)), str(text)


def difference(base: Any, mine: Any, theirs: Any) -> Any:
    """What each has changed is changed."""
    return theirs + mine - (base or 0)


def first(base: Any, mine: Any, theirs: Any) -> Any:
    """As `server_wins`."""
    return theirs


def last(base: Any, mine: Any, theirs: Any) -> Any:
    """Whatever comes last."""
    return mine


def rivals(base: Any, mine: Any, theirs: Any) -> Any:
    """One that goes on where the other ends stands; else somebody has to choose."""
    shorter, longer = sorted((mine, theirs), key=_length)
    return longer if str(longer).startswith(str(shorter)) else ASK


LONGEST = own(longest, JOIN)
DIFFERENCE = own(difference, ORDERLESS, example=7)
FIRST = own(first, REPEATABLE)
LAST = own(last, ARBITRATED)
RIVALS = own(rivals, ARBITRATED)

OWN = [LONGEST, DIFFERENCE, FIRST, LAST, RIVALS]


def expected(rule: Own, name: str, changes: Iterable[Change]) -> JsonValue:
    """What a field holds after all of these, in whatever order they came."""
    if rule.name == "longest":
        return max((change.fields[name] for change in changes), key=_length)
    assert rule.name == "difference"
    offered: list[tuple[Any, Any]] = [(change.fields[name], change.was.get(name)) for change in changes]
    return sum(value - (was or 0) for value, was in offered)


# Declared, and not so.


def length_only(base: Any, mine: Any, theirs: Any) -> Any:
    """Of equals the one that comes last: nearly `longest`."""
    return max(mine, theirs, key=len)


def mean(base: Any, mine: Any, theirs: Any) -> Any:
    """Commutative, and not associative."""
    return (mine + theirs) / 2


def first_twice(base: Any, mine: Any, theirs: Any) -> Any:
    """A difference, but of two that nobody was shown the first counts twice."""
    return 2 * theirs + mine if base is None else theirs + mine - base


class UnaskedInSight(Own):
    """Lets an edit in sight take away what others have joined."""

    def merge(self, held: Held | None, offer: Offer) -> Settled:
        return Asks.merge(self, held, offer)


class Swapped(Own):
    """Tells the function that what arrives is held."""

    def choose(self, base: JsonValue, mine: JsonValue, theirs: JsonValue) -> Any:
        return super().choose(base, theirs, mine)


UNASKED_IN_SIGHT = own(longest, JOIN, made=UnaskedInSight)
SWAPPED = own(last, ARBITRATED, made=Swapped)

UNORDERED = [
    own(last, ORDERLESS),
    own(length_only, JOIN),
    own(mean, ORDERLESS, example=7),
    own(first_twice, ORDERLESS, example=7),
    own(rivals, JOIN),
]
"""Declared to be commutative and associative."""
UNREPEATABLE = [own(difference, JOIN, example=7), own(difference, REPEATABLE, example=7)]
"""Declared to be idempotent."""
