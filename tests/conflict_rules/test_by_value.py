"""A base by value: what a client believed, taken field by field."""

from __future__ import annotations

from typing import Any

import pytest

from conflict_rules import COUNTER, MERGE, SET, State
from conflict_rules.by_value import Part, parts_by_value
from tests.conflict_rules.make import change, play

RULE = MERGE.having({"likes": COUNTER.default, "tags": SET.default})


def held(**fields: Any) -> State:
    (merged,) = play(RULE, change("s", "create", 1, **fields), version=7)
    assert merged.state is not None
    return merged.state


def test_a_field_that_was_believed_right_has_been_seen_and_another_has_not() -> None:
    state = held(name="Ann", bio="new")
    parts = parts_by_value(RULE, state, {"name": "Ann", "bio": "old"}, {"name": "Anna", "bio": "mine"})
    assert parts == [Part(7, {"name": "Anna"}), Part(0, {"bio": "mine"})]


def test_what_is_wanted_as_it_was_believed_was_not_edited() -> None:
    assert parts_by_value(RULE, held(bio="new"), {"bio": "old"}, {"bio": "old"}) == []


def test_a_field_that_nobody_has_set_is_simply_set() -> None:
    assert parts_by_value(RULE, held(name="Ann"), {}, {"bio": "mine"}) == [Part(7, {"bio": "mine"})]


@pytest.mark.parametrize(("believed", "wanted", "step"), [(5, 6, 1), (5, 2, -3), (None, 4, 4)])
def test_the_absolute_value_of_a_counter_becomes_a_difference(believed: int | None, wanted: int, step: int) -> None:
    assumed = {} if believed is None else {"likes": believed}
    assert parts_by_value(RULE, held(likes=9), assumed, {"likes": wanted}) == [Part(0, {"likes": {"increment": step}})]


def test_the_list_of_a_set_becomes_what_was_added_and_removed() -> None:
    parts = parts_by_value(RULE, held(tags=["a", "b"]), {"tags": ["a", "b"]}, {"tags": ["b", "c"]})
    assert parts == [Part(7, {"tags": {"add": ["c"], "remove": ["a"]}})]


def test_true_is_not_one() -> None:
    assert parts_by_value(RULE, held(flag=1), {"flag": True}, {"flag": False}) == [Part(0, {"flag": False})]
