"""`conflict_rules.extremes`: the greatest, or the least, value stands."""

from __future__ import annotations

from itertools import permutations

import pytest

from conflict_rules import MAX, MIN, JsonValue, Kind, Rule
from tests.conflict_rules.make import change, only, play


@pytest.mark.parametrize(
    ("rule", "values", "stands"),
    [(MAX, [3, 7, 5], 7), (MIN, [3, 7, 5], 3), (MAX, ["b", "ä", "B"], "ä"), (MIN, [0.5, 1, -2.5], -2.5)],
)
def test_the_extreme_stands_in_any_order(rule: Rule, values: list[JsonValue], stands: JsonValue) -> None:
    offers = [change(name, "create", at, x=value) for name, at, value in zip("abc", (10, 5, 7), values, strict=True)]
    for order in permutations(offers):
        assert only(play(rule, *order)[-1].state) == {"x": stands}


@pytest.mark.parametrize(
    ("rule", "value", "code"), [(MAX, 1, "a_greater_value_stands"), (MIN, 9, "a_lesser_value_stands")]
)
def test_having_seen_the_extreme_changes_nothing(rule: Rule, value: int, code: str) -> None:
    created, lost = play(rule, change("a", "create", 10, x=5), change("a", "update", 20, n=2, base=1, x=value))
    assert lost.state is created.state
    assert (lost.outcome.kind, lost.outcome.code, lost.outcome.lost) == (Kind.OVERRULED, code, ("x",))


@pytest.mark.parametrize("value", [None, True, [1], {"increment": 1}, "text"])
def test_a_value_of_another_kind_is_rejected(value: JsonValue) -> None:
    _, refused = play(MAX, change("a", "create", 10, x=5), change("b", "update", 20, base=1, x=value))
    assert (refused.outcome.kind, refused.outcome.code) == (Kind.REJECTED, "invalid_field")


def test_the_same_value_again_is_nothing_and_lost_by_nobody() -> None:
    created, same = play(MAX, change("a", "create", 10, x=5), change("b", "update", 20, x=5))
    assert same.state is created.state
    assert same.outcome.kind.took_effect
