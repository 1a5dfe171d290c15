"""`conflict_rules.later_stamp`: seen beats stamped, stamps decide the rest, field by field."""

from __future__ import annotations

from typing import Any

import pytest

from conflict_rules import MERGE, Change, Kind, Mark, Origin, Stamp, State, apply_change
from tests.conflict_rules.make import change, play, stamp


def created(**fields: Any) -> State:
    """Version 1, by replica `a` at 10 ms."""
    state = MERGE.merge(None, change("a", "create", 10, **fields), 1).state
    assert state is not None
    return state


def test_a_create_marks_every_field_with_its_version_and_stamp() -> None:
    state = created(x=1, y=2)
    mark = Mark(1, stamp("a", 10))
    assert state == State("s", "thing", "x", 1, {"x": 1, "y": 2}, {"x": mark, "y": mark}, Origin("a", 1))


@pytest.mark.parametrize("at", [3, 10, 17])
def test_a_seen_value_is_overwritten_by_any_clock(at: int) -> None:
    merged = MERGE.merge(created(x=1), change("b", "update", at, base=1, x=2), 2)
    assert merged.outcome.kind is Kind.APPLIED
    assert merged.outcome.version == 2
    assert merged.state is not None
    assert merged.state.fields == {"x": 2}
    assert merged.state.origin == Origin("b", 1)


@pytest.mark.parametrize("at", [3, 10, 17])
def test_the_mark_that_a_correction_leaves_lies_above_the_one_it_replaces(at: int) -> None:
    before = created(x=1)
    merged = MERGE.merge(before, change("b", "update", at, base=1, x=2), 2)
    assert merged.state is not None
    assert merged.state.marks["x"].stamp > before.marks["x"].stamp
    assert merged.state.marks["x"].version == 2


def test_an_unseen_value_is_overwritten_by_a_later_stamp() -> None:
    merged = MERGE.merge(created(x=1), change("b", "update", 11, x=2), 2)
    assert merged.outcome.kind is Kind.MERGED
    assert merged.state is not None
    assert merged.state.fields == {"x": 2}


def test_an_unseen_value_stands_against_an_earlier_stamp_and_the_change_is_told_why() -> None:
    before = created(x=1)
    merged = MERGE.merge(before, change("b", "update", 9, x=2), 2)
    assert merged.state is before
    assert merged.outcome.kind is Kind.OVERRULED
    assert (merged.outcome.code, merged.outcome.version, merged.outcome.lost) == ("later_change_stands", 1, ("x",))
    assert merged.outcome.message


def test_in_one_millisecond_the_replica_decides_so_that_every_server_decides_alike() -> None:
    assert MERGE.merge(created(x=1), change("b", "update", 10, x=2), 2).outcome.kind is Kind.MERGED
    assert MERGE.merge(created(x=1), change("A", "update", 10, x=2), 2).outcome.kind is Kind.OVERRULED


def test_each_field_is_decided_on_its_own_and_the_lost_ones_are_named() -> None:
    *_, merged = play(
        MERGE,
        change("a", "create", 10, x=1, y=1),
        change("c", "update", 20, base=1, y=2),
        change("b", "update", 15, base=1, x=3, y=3, z=3),
    )
    assert merged.outcome.kind is Kind.MERGED
    assert merged.outcome.lost == ("y",)
    assert merged.state is not None
    assert merged.state.fields == {"x": 3, "y": 2, "z": 3}


def test_a_field_set_at_a_version_up_to_the_base_is_seen_and_one_set_later_is_not() -> None:
    _, _, state = (
        merged.state
        for merged in play(
            MERGE,
            change("a", "create", 10, x=1, y=1),
            change("c", "update", 20, base=1, x=2),
            change("c", "update", 30, n=2, base=1, y=2),
        )
    )
    low_stamp = change("b", "update", 5, base=2, x=9, y=9)
    merged = MERGE.merge(state, low_stamp, 4)
    assert merged.state is not None
    assert merged.state.fields == {"x": 9, "y": 2}


def test_the_same_value_from_two_people_is_no_loss_and_takes_no_version() -> None:
    before = created(x=1)
    merged = MERGE.merge(before, change("b", "update", 9, x=1), 2)
    assert merged.state is before
    assert (merged.outcome.kind, merged.outcome.lost) == (Kind.MERGED, ())


@pytest.mark.parametrize(("one", "other"), [(True, 1), ([0], [False]), ({"a": 1}, {"a": True})])
def test_values_that_only_python_takes_for_equal_are_different(one: object, other: object) -> None:
    merged = MERGE.merge(created(x=one), change("b", "update", 9, x=other), 2)
    assert merged.outcome.lost == ("x",)


def test_a_change_told_again_leaves_the_state_as_it_was() -> None:
    told = change("b", "update", 11, x=2)
    once = MERGE.merge(created(x=1), told, 2).state
    again = MERGE.merge(once, told, 3)
    assert again.state is once
    assert again.outcome.version == 2


def test_a_later_change_under_the_very_stamp_to_which_its_forerunner_was_raised_still_counts() -> None:
    # b corrects with a slow clock, is raised to (10 ms, 1), and its clock then reads just that.
    slow = change("b", "update", 3, base=1, x=2)
    later = Change("b", 2, "s", "thing", "x", slow.op, Stamp(10, 1, "b"), 1, {"x": 3})
    *_, merged = play(MERGE, change("a", "create", 10, x=1), slow, later)
    assert merged.state is not None
    assert merged.state.fields == {"x": 3}


def test_a_change_without_fields_changes_nothing() -> None:
    before = created(x=1)
    merged = apply_change(MERGE, before, change("b", "update", 11, base=1), 2)
    assert merged.state is before
    assert merged.outcome.kind is Kind.APPLIED


def test_merging_leaves_what_it_was_given_untouched() -> None:
    before = created(x=1)
    MERGE.merge(before, change("b", "update", 11, x=2, y=2), 2)
    assert before == created(x=1)
