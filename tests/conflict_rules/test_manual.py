"""`conflict_rules.manual`: values that disagree stand open until somebody chooses, and only a choice ends it (law 8).

What the conflict itself then holds is in tests/properties and tests/engine/test_conflicts.py.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from conflict_rules import (
    MANUAL,
    Change,
    Dispute,
    JsonValue,
    Kind,
    Merged,
    State,
    apply_change,
    conflict_id,
    dispute_of,
)
from tests.conflict_rules.make import change, only, play, stamp

CREATED = change("a", "create", 10, score="0-0")
FIRST = change("b", "update", 20, base=1, score="1-0")
SECOND = change("c", "update", 30, base=1, score="0-1")
CONFLICT = conflict_id("thing", "x", "score")


def dispute(state: State | None) -> Dispute | None:
    assert state is not None
    return dispute_of(state.rule_data.get("score"))


def settlement(replica: str, at: int, value: JsonValue, *, base: int = 0, conflict: str = CONFLICT) -> Change:
    return replace(change(replica, "settle", at, base=base, score=value), conflict=conflict)


@pytest.fixture
def disputed() -> State:
    """Version 3: "1-0" is accepted, since version 2; "0-1" disagrees."""
    state = play(MANUAL, CREATED, FIRST, SECOND)[-1].state
    assert state is not None
    return state


def after(state: State, made: Change) -> Merged:
    return apply_change(MANUAL, state, made, state.version + 1)


# Values.


def test_the_first_to_arrive_is_accepted_whatever_the_clocks_and_the_field_is_in_dispute() -> None:
    for first, second in permutations([FIRST, SECOND]):
        *_, accepted, met = play(MANUAL, CREATED, first, second)
        assert only(met.state) == dict(first.fields)
        assert (dispute(accepted.state), dispute(met.state)) == (None, Dispute(CONFLICT, 3, open=True))


def test_a_question_leaves_the_mark_of_the_accepted_value_so_that_whoever_saw_it_has_seen_it(disputed: State) -> None:
    assert disputed.version == 3
    assert disputed.marks["score"].version == 2
    assert disputed.marks["score"].stamp == stamp("b", 20)


def test_a_third_value_widens_the_dispute_and_opens_no_other(disputed: State) -> None:
    asked = after(disputed, change("d", "update", 5, base=1, score="2-0"))
    assert asked.outcome.conflicts == (CONFLICT,)
    assert dispute(asked.state) == Dispute(CONFLICT, 4, open=True)


def test_two_who_say_the_same_disagree_about_nothing() -> None:
    *_, first, same = play(MANUAL, CREATED, FIRST, change("c", "update", 30, base=1, score="1-0"))
    assert same.state is first.state
    assert (same.outcome.kind, same.outcome.lost) == (Kind.MERGED, ())


@pytest.mark.parametrize(("held", "offered"), [(1, True), ([0], [False]), (None, 0), ("1", 1)])
def test_values_that_are_not_the_same_json_disagree(held: Any, offered: Any) -> None:
    _, asked = play(MANUAL, change("a", "create", 10, score=held), change("b", "update", 20, score=offered))
    assert asked.outcome.kind is Kind.CONFLICT


def test_a_queue_of_edits_on_one_base_asks_nothing() -> None:
    """Counterexample 2: a scorer without signal is not in conflict with himself."""
    *_, last = play(MANUAL, CREATED, FIRST, change("b", "update", 15, n=2, base=1, score="2-0"))
    assert (last.outcome.kind, only(last.state)) == (Kind.APPLIED, {"score": "2-0"})
    assert dispute(last.state) is None


# Edits of a field in dispute, by somebody who has seen its value.


def test_another_value_from_somebody_who_has_seen_the_dispute_settles_it(disputed: State) -> None:
    settled = after(disputed, change("d", "update", 5, base=3, score="1-1"))
    assert (settled.outcome.kind, only(settled.state)) == (Kind.APPLIED, {"score": "1-1"})
    assert dispute(settled.state) == Dispute(CONFLICT, 4, open=False)


def test_one_who_has_seen_the_value_only_replaces_it_and_leaves_the_question(disputed: State) -> None:
    edited = after(disputed, change("d", "update", 5, base=2, score="2-0"))
    assert only(edited.state) == {"score": "2-0"}
    assert dispute(edited.state) == dispute(disputed)


@pytest.mark.parametrize("base", [2, 3])
def test_the_accepted_value_written_back_with_the_record_chooses_nothing(disputed: State, base: int) -> None:
    written_back = after(disputed, change("d", "update", 99, base=base, score="1-0"))
    assert written_back.state is disputed
    assert written_back.outcome.lost == ()


def test_an_edit_of_another_field_chooses_nothing(disputed: State) -> None:
    edited = after(disputed, change("d", "update", 99, base=3, note="rain"))
    assert edited.outcome.kind is Kind.APPLIED
    assert dispute(edited.state) == dispute(disputed)


def test_what_had_seen_neither_value_nor_settlement_opens_the_same_conflict_anew(disputed: State) -> None:
    settled = after(disputed, settlement("d", 40, "0-1", base=3)).state
    assert settled is not None
    asked = after(settled, change("e", "update", 99, base=1, score="3-0"))
    assert (asked.outcome.kind, only(asked.state)) == (Kind.CONFLICT, {"score": "0-1"})
    assert dispute(asked.state) == Dispute(CONFLICT, 5, open=True)


# Settlements.


@pytest.mark.parametrize("at", [5, 99])
@pytest.mark.parametrize("value", ["1-0", "0-1", "1-1"])
def test_while_it_is_open_a_settlement_chooses_any_value_whatever_its_clock_and_base(
    disputed: State, value: str, at: int
) -> None:
    settled = after(disputed, settlement("d", at, value))
    assert settled.state is not None
    assert only(settled.state) == {"score": value}
    assert dispute(settled.state) == Dispute(CONFLICT, 4, open=False)
    assert settled.outcome.lost == ()


def test_of_two_settlements_the_later_stands_in_either_order_and_the_other_is_told(disputed: State) -> None:
    earlier, later = settlement("d", 40, "0-1", base=3), settlement("e", 50, "1-1", base=3)
    for first, second in permutations([earlier, later]):
        one, other = play(MANUAL, first, second, start=disputed, version=4)
        assert only(other.state) == {"score": "1-1"}
        overruled = [each.outcome for each in (one, other) if each.outcome.kind is Kind.OVERRULED]
        assert [each.code for each in overruled] == (["settled_otherwise"] if second is earlier else [])


def test_two_settlements_that_agree_are_both_right(disputed: State) -> None:
    made = [settlement("e", 50, "1-1", base=3), settlement("d", 40, "1-1", base=3)]
    one, other = play(MANUAL, *made, start=disputed, version=4)
    assert other.state is one.state
    assert other.outcome.lost == ()


def test_who_has_seen_a_settlement_may_choose_again_whatever_the_clocks(disputed: State) -> None:
    *_, again = play(
        MANUAL,
        settlement("d", 40, "0-1", base=3),
        settlement("e", 5, "1-0", base=4),
        start=disputed,
        version=4,
    )
    assert (again.outcome.kind, only(again.state)) == (Kind.APPLIED, {"score": "1-0"})
    assert dispute(again.state) == Dispute(CONFLICT, 5, open=False)


def test_a_settlement_of_what_nobody_disputes_is_rejected(disputed: State) -> None:
    agreed = play(MANUAL, CREATED)[-1].state
    assert agreed is not None
    wrong = [
        (agreed, settlement("d", 40, "1-1")),
        (disputed, settlement("d", 40, "1-1", conflict="c-another")),
        (disputed, replace(settlement("d", 40, "1-1"), conflict=None)),
        (disputed, replace(settlement("d", 40, "1-1"), fields={"note": "rain"})),
    ]
    for state, made in wrong:
        refused = after(state, made)
        assert refused.state is state
        assert (refused.outcome.kind, refused.outcome.code) == (Kind.REJECTED, "no_such_conflict")
