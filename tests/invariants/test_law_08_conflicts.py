"""Law 8, conflicts: a settlement names its conflict; a whole-row write never settles one by accident."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from conflict_rules import MANUAL, Change, Kind, Rule, State, apply_change, conflict_id, dispute_of
from conflict_rules.manual import Asks
from tests.conflict_rules.make import change, only, play
from tests.properties import broken_rules as broken


def disputed(rule: Rule) -> State:
    """A has 1-0 at version 1; B, who has not seen it, says 0-1: the question is asked at version 2."""
    state = play(rule, change("a", "create", 10, score="1-0"), change("b", "update", 20, score="0-1"))[-1].state
    assert state is not None
    return state


def is_open(state: State | None) -> bool:
    assert state is not None
    dispute = dispute_of(state.rule_data.get("score"))
    return dispute is not None and dispute.open


def a_whole_row_write_leaves_the_question_open(rule: Rule) -> bool:
    row = change("c", "update", 30, base=2, score="1-0", note="typed")
    return is_open(apply_change(rule, disputed(rule), row, 3).state)


def an_edit_that_has_not_seen_the_question_leaves_it_open(rule: Rule) -> bool:
    """C saw the value at version 1, and nothing of the dispute."""
    return is_open(apply_change(rule, disputed(rule), change("c", "update", 30, base=1, score="2-0"), 3).state)


def of_two_settlements_the_later_stands(rule: Rule) -> bool:
    def settles(replica: str, at: int, score: str) -> Change:
        return replace(change(replica, "settle", at, base=2, score=score), conflict=conflict_id("thing", "x", "score"))

    one, other = settles("c", 40, "2-0"), settles("d", 30, "0-2")
    ends = [
        only(play(rule, *order, start=disputed(rule), version=3)[-1].state) for order in ((one, other), (other, one))
    ]
    return ends == [{"score": "2-0"}] * 2


HELD: list[Callable[[Rule], bool]] = [
    a_whole_row_write_leaves_the_question_open,
    an_edit_that_has_not_seen_the_question_leaves_it_open,
    of_two_settlements_the_later_stands,
]


@pytest.mark.parametrize("holds", HELD, ids=lambda holds: holds.__name__)
def test_it_holds(holds: Callable[[Rule], bool]) -> None:
    assert holds(MANUAL)


@pytest.mark.parametrize(
    ("mistake", "holds"),
    list(zip([broken.WholeRowsSettle(), broken.EverySecondEditSettles(), broken.ArrivalSettles()], HELD, strict=True)),
    ids=lambda each: getattr(each, "__name__", type(each).__name__),
)
def test_without_its_branch_it_does_not(mistake: Asks, holds: Callable[[Rule], bool]) -> None:
    assert not holds(broken.broken(mistake))


def test_a_later_edit_that_has_seen_the_question_answers_it() -> None:
    answered = apply_change(MANUAL, disputed(MANUAL), change("c", "update", 5, base=2, score="1-1"), 3)
    assert answered.outcome.kind is Kind.APPLIED
    assert only(answered.state) == {"score": "1-1"}
    assert not is_open(answered.state)


def test_a_settlement_of_another_conflict_settles_nothing() -> None:
    wrong = replace(change("c", "settle", 30, base=2, score="1-1"), conflict="c-other")
    refused = apply_change(MANUAL, disputed(MANUAL), wrong, 3)
    assert (refused.outcome.kind, refused.outcome.code) == (Kind.REJECTED, "no_such_conflict")
    assert is_open(refused.state)
