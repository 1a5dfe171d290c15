"""`conflict_rules.counter`: increments add up."""

from __future__ import annotations

from itertools import permutations

import pytest

from conflict_rules import COUNTER, JsonValue, Kind
from conflict_rules.values import MAX_INTEGER
from tests.conflict_rules.make import change, only, play


def test_increments_that_have_not_seen_each_other_add_up_in_any_order() -> None:
    concurrent = [change(name, "update", at, base=1, x={"increment": k}) for name, at, k in (("b", 9, 2), ("c", 5, -3))]
    for order in permutations(concurrent):
        *_, last = play(COUNTER, change("a", "create", 10, x=10), *order)
        assert only(last.state) == {"x": 9}
        assert last.outcome.lost == ()


@pytest.mark.parametrize("value", [5, None, True, "1", {}, {"increment": 1.5}, {"increment": True}, {"add": [1]}])
def test_an_update_says_by_how_much_or_is_rejected(value: JsonValue) -> None:
    created, refused = play(COUNTER, change("a", "create", 10, x=1), change("b", "update", 20, base=1, x=value))
    assert refused.state is created.state
    assert (refused.outcome.kind, refused.outcome.code) == (Kind.REJECTED, "invalid_increment")


@pytest.mark.parametrize("sign", [1, -1])
def test_a_sum_that_not_every_language_holds_is_rejected(sign: int) -> None:
    start = change("a", "create", 10, x=sign * MAX_INTEGER)
    _, refused = play(COUNTER, start, change("b", "update", 20, base=1, x={"increment": sign}))
    assert (refused.outcome.kind, refused.outcome.code) == (Kind.REJECTED, "counter_out_of_range")


def test_a_sum_that_several_have_made_is_nobodys_own_until_somebody_has_seen_it() -> None:
    """Law 1: else a delete by the last of them would have seen what the others added."""
    _, joined, seen = play(
        COUNTER,
        change("a", "create", 10, x=1),
        change("b", "update", 20, base=0, x={"increment": 1}),
        change("c", "update", 30, base=2, x={"increment": 1}),
    )
    assert joined.state is not None
    assert seen.state is not None
    assert not joined.state.marks["x"].seen_by(change("b", "update", 40, base=1))
    assert seen.state.marks["x"].seen_by(change("c", "update", 40, base=0))
