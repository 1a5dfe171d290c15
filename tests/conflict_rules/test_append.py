"""Rule `append`: insert-only facts."""

from __future__ import annotations

from typing import Any

import pytest

from conflict_rules import Kind, RecordRule, rule_by_name
from tests.conflict_rules.make import change, play

APPEND = rule_by_name("append")
GOAL: dict[str, Any] = {"kind": "goal", "minute": 36}


def test_it_is_registered_and_its_changes_are_patches() -> None:
    assert isinstance(APPEND, RecordRule)
    assert not APPEND.whole_record


@pytest.mark.parametrize("at", [9, 11])
def test_a_fact_told_by_two_people_is_one_fact_and_both_are_told_it_is_applied(at: int) -> None:
    first, again = play(APPEND, change("a", "create", 10, **GOAL), change("b", "create", at, **GOAL))
    assert [first.outcome.kind, again.outcome.kind] == [Kind.APPLIED, Kind.APPLIED]
    assert again.state is not None
    assert again.state.fields == GOAL


def test_a_fact_told_again_with_less_is_still_the_same_fact() -> None:
    *_, merged = play(APPEND, change("a", "create", 10, **GOAL), change("b", "create", 9, kind="goal"))
    assert merged.outcome.kind is Kind.APPLIED
    assert merged.state is not None
    assert merged.state.fields == GOAL


def test_two_tellings_that_differ_are_merged_field_by_field_and_the_loser_is_named() -> None:
    *_, merged = play(APPEND, change("a", "create", 10, **GOAL), change("b", "create", 9, kind="goal", minute=37))
    assert merged.outcome.kind is Kind.MERGED
    assert merged.outcome.lost == ("minute",)
    assert merged.state is not None
    assert merged.state.fields == GOAL


def test_one_is_not_the_same_fact_as_true() -> None:
    *_, merged = play(APPEND, change("a", "create", 10, seen=True), change("b", "create", 9, seen=1))
    assert merged.outcome.kind is Kind.OVERRULED


def test_two_facts_are_two_resources_however_alike_they_are() -> None:
    one, other = change("a", "create", 10, **GOAL), change("b", "create", 10, id="y", **GOAL)
    assert [play(APPEND, fact)[0].outcome.kind for fact in (one, other)] == [Kind.APPLIED, Kind.APPLIED]


def test_a_correction_is_a_field_merge() -> None:
    *_, merged = play(APPEND, change("a", "create", 10, **GOAL), change("b", "update", 5, base=1, minute=37))
    assert merged.outcome.kind is Kind.APPLIED
    assert merged.state is not None
    assert merged.state.fields == {"kind": "goal", "minute": 37}
