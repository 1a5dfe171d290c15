"""Holding an author's function to what its rule declares, in the app's own tests. Pure: every case, none at random."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations, product
from typing import NamedTuple

from conflict_rules.own import ASK, Own
from conflict_rules.record_rule import RecordRule
from conflict_rules.values import JsonValue, canonical_json, clean_value, same_value

__all__ = ["BrokenPromise", "check_algebra"]


class BrokenPromise(AssertionError):
    """A rule declares what is not so. `promise`: which one; `values`: of what it is not true; the text shows both."""

    def __init__(self, rule: str, promise: str, values: tuple[JsonValue, ...], how: str) -> None:
        super().__init__(f"the rule {rule!r} is declared {promise}, but {how}")
        self.promise = promise
        self.values = values


class _Told(NamedTuple):
    """A value that arrives. `shown`: what its author saw before, None for nothing."""

    value: JsonValue
    shown: JsonValue = None

    @property
    def values(self) -> tuple[JsonValue, ...]:
        return (self.value,) if self.shown is None else (self.value, self.shown)

    def __str__(self) -> str:
        shown = f" in place of {_text(self.shown)}" if self.shown is not None else ""
        return _text(self.value) + shown


def check_algebra(rule: RecordRule, values: Iterable[JsonValue]) -> None:
    """Hold a rule of `own_rule` to its algebra, on every pair and triple of `values`, whatever was shown before each.

    Raises `BrokenPromise` with the smallest case in which it does not hold, and whatever the function raises; TypeError
    if the rule is none of an author's; ValueError if it declares nothing, or fewer than two values are given. For n
    values the function is called about 2 n⁵ times: half a dozen that differ in kind and size tell most.
    """
    own = rule.default
    if not isinstance(own, Own):
        raise TypeError(f"{rule.name!r} is not an author's own rule; the others are held to theirs already")
    if not (own.algebra.commutative or own.algebra.idempotent):
        raise ValueError(f"the rule {rule.name!r} declares nothing, so there is nothing to check")
    cleaned = {canonical_json(value): value for value in map(clean_value, values)}
    if len(cleaned) < 2:
        raise ValueError("give at least two different values")
    given = [cleaned[text] for text in sorted(cleaned, key=lambda text: (len(text), text))]
    told = [_Told(value, shown) for shown in (None, *given) for value in given]
    for broken in (_in_another_order(own, given, told), _told_again(own, given, told)):
        smallest = min(broken, key=_size, default=None)
        if smallest is not None:
            raise smallest


def _in_another_order(own: Own, given: list[JsonValue], told: list[_Told]) -> Iterator[BrokenPromise]:
    if not own.algebra.commutative:
        return
    for one, other in combinations(map(_Told, given), 2):
        there, back = _join(own, one.value, other), _join(own, other.value, one)
        if not _same(there, back):
            how = f"{one}, then {other}, comes to {_text(there)}, and {other}, then {one}, to {_text(back)}"
            yield BrokenPromise(own.name, "commutative", (one.value, other.value), how)
    for held, (one, other) in product(given, combinations(told, 2)):
        there, back = _join(own, _join(own, held, one), other), _join(own, _join(own, held, other), one)
        if not _same(there, back):
            how = (
                f"over {_text(held)}, {one}, then {other}, comes to {_text(there)}, "
                f"and {other}, then {one}, to {_text(back)}"
            )
            yield BrokenPromise(own.name, "associative", (held, *one.values, *other.values), how)


def _told_again(own: Own, given: list[JsonValue], told: list[_Told]) -> Iterator[BrokenPromise]:
    if not own.algebra.idempotent:
        return
    for held, one in product(given, told):
        once = _join(own, held, one)
        again = _join(own, once, one)
        if once is not ASK and not _same(once, again):
            how = f"over {_text(held)}, {one} comes to {_text(once)}, and told again to {_text(again)}"
            yield BrokenPromise(own.name, "idempotent", (held, *one.values), how)


def _join(own: Own, held: JsonValue, told: _Told) -> JsonValue:
    """What the field holds after that, as `Own` has it between those who have not seen each other."""
    if held is ASK or (own.replaced_in_sight and same_value(held, told.value)):
        return held
    return own.choose(told.shown, told.value, held)


def _same(one: JsonValue, other: JsonValue) -> bool:
    """Two questions are not the same: what is held until somebody answers is what came first."""
    return ASK not in (one, other) and same_value(one, other)


def _text(value: JsonValue) -> str:
    return "a question" if value is ASK else canonical_json(value).decode()


def _size(broken: BrokenPromise) -> tuple[int, int, list[bytes]]:
    """Fewest values, then shortest, then first: one order for all, so that the least case is the same each time."""
    texts = [canonical_json(value) for value in broken.values]
    return len(texts), sum(map(len, texts)), texts
