"""`conflict_rules.add_wins`: the addition stands against a removal that has not seen it."""

from __future__ import annotations

from itertools import permutations

import pytest

from conflict_rules import MERGE, SET, Deletes, JsonValue, Kind
from tests.conflict_rules.make import change, only, play


def test_an_addition_stands_against_a_removal_that_has_not_seen_it_in_either_order() -> None:
    again = change("b", "update", 5, base=1, x={"add": ["a"]})
    removal = change("c", "update", 99, base=1, x={"remove": ["a"]})
    for order in permutations([again, removal]):
        assert only(play(SET, change("a", "create", 10, x=["a"]), *order)[-1].state) == {"x": ["a"]}


def test_a_removal_takes_away_what_it_has_seen_and_an_element_may_come_back() -> None:
    *_, gone, back = play(
        SET,
        change("a", "create", 10, x=["b", "a", "b"]),
        change("b", "update", 5, base=1, x={"remove": ["a"]}),
        change("c", "update", 4, base=2, x={"add": ["a"]}),
    )
    assert only(gone.state) == {"x": ["b"]}
    assert only(back.state) == {"x": ["a", "b"]}


def test_in_one_change_the_removal_comes_first() -> None:
    *_, both = play(
        SET, change("a", "create", 10, x=["a"]), change("b", "update", 5, base=1, x={"add": ["a"], "remove": ["a"]})
    )
    assert only(both.state) == {"x": ["a"]}


def test_true_and_one_and_its_text_are_three_elements() -> None:
    (made,) = play(SET, change("a", "create", 10, x=[True, 1, "1"]))
    assert repr(only(made.state)["x"]) == "['1', 1, True]"


def test_a_repeat_changes_nothing_though_others_have_added_the_element_since() -> None:
    told = change("b", "update", 20, base=1, x={"add": ["a"]})
    *_, once, again = play(
        SET, change("a", "create", 10, x=[]), told, change("c", "update", 30, base=1, x={"add": ["a"]}), told
    )
    assert again.state is once.state


def test_two_who_remove_the_same_are_two_whom_a_delete_has_to_have_seen_in_either_order() -> None:
    rule = SET.having(deletes=Deletes.UPDATE_WINS)
    mine = change("a", "update", 20, base=1, x={"remove": ["a"]})
    other = change("b", "update", 21, base=1, x={"remove": ["a"]})
    for order in permutations([mine, other]):
        *_, kept = play(rule, change("c", "create", 10, x=["a"]), *order, change("a", "delete", 30, base=1, n=2))
        assert (kept.outcome.kind, kept.outcome.code) == (Kind.OVERRULED, "updated_meanwhile")
        assert only(kept.state) == {"x": []}


def test_an_edit_that_names_nothing_is_none_wherever_it_comes() -> None:
    *_, before, after = play(
        SET,
        change("a", "create", 10, x=["a"]),
        change("b", "update", 20, base=1, x={"add": ["b"]}),
        change("c", "update", 30, base=1, x={"remove": []}),
    )
    assert after.state is before.state


def test_a_list_that_another_rule_left_is_a_set_from_then_on() -> None:
    (left,) = play(MERGE, change("a", "create", 10, x=["a", "b"]))
    (edited,) = play(
        SET, change("b", "update", 20, base=1, x={"add": ["c"], "remove": ["a"]}), start=left.state, version=2
    )
    assert only(edited.state) == {"x": ["b", "c"]}


@pytest.mark.parametrize(
    "value",
    [["a"], {}, None, 1, {"add": "a"}, {"add": [None]}, {"add": [["a"]]}, {"put": ["a"]}, {"add": list(range(1001))}],
)
def test_an_update_says_what_comes_and_goes_or_is_rejected(value: JsonValue) -> None:
    created, refused = play(SET, change("a", "create", 10, x=["a"]), change("b", "update", 20, base=1, x=value))
    assert refused.state is created.state
    assert (refused.outcome.kind, refused.outcome.code) == (Kind.REJECTED, "invalid_set_edit")
