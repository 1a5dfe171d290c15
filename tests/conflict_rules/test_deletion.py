"""`conflict_rules.deletion`: the one door to the rules, deletes, and changes to what is gone or never was."""

from __future__ import annotations

from itertools import permutations

import pytest

from conflict_rules import MERGE, Deletes, Kind, Mark, Origin, RecordRule, Rule
from tests.conflict_rules.make import RULES, change, each, offers, only, play, stamp

each_rule = each(RULES)


@each_rule
def test_a_deleted_resource_is_a_tombstone_without_fields(rule: Rule) -> None:
    _, merged = play(rule, change("a", "create", 10, **offers(rule, "x")), change("b", "delete", 5, n=7, base=1))
    assert (merged.outcome.kind, merged.outcome.version) == (Kind.APPLIED, 2)
    assert merged.state is not None
    assert merged.state.deleted == Mark(2, stamp("b", 5))
    assert (merged.state.version, merged.state.origin) == (2, Origin("b", 7))
    assert (merged.state.fields, merged.state.marks) == ({}, {})


@each_rule
def test_a_delete_wins_against_a_concurrent_edit_in_either_order_and_whatever_the_clocks(rule: Rule) -> None:
    edit, delete = change("b", "update", 99, base=1, **offers(rule, "x")), change("c", "delete", 5, base=1)
    for order in permutations([edit, delete]):
        merged = play(rule, change("a", "create", 10, **offers(rule, "x")), *order)[-1]
        assert merged.state is not None
        assert merged.state.deleted is not None


@each_rule
def test_an_edit_that_met_a_concurrent_delete_is_overruled_and_names_what_was_lost(rule: Rule) -> None:
    *_, deleted, edited = play(
        rule,
        change("a", "create", 10, **offers(rule, "x", "y")),
        change("c", "delete", 5, base=1),
        change("b", "update", 99, base=1, **offers(rule, "x", "y")),
    )
    assert edited.state is deleted.state
    assert (edited.outcome.kind, edited.outcome.code) == (Kind.OVERRULED, "deleted")
    assert set(edited.outcome.lost) == {"x", "y"}
    assert edited.outcome.version == 2


@each_rule
@pytest.mark.parametrize("op", ["update", "create"])
def test_an_edit_by_someone_who_had_been_shown_the_delete_is_rejected(rule: Rule, op: str) -> None:
    *_, deleted, edited = play(
        rule,
        change("a", "create", 10, **offers(rule, "x")),
        change("c", "delete", 5, base=1),
        change("b", op, 99, base=2, **offers(rule, "x")),
    )
    assert edited.state is deleted.state
    assert (edited.outcome.kind, edited.outcome.code, edited.outcome.field) == (Kind.REJECTED, "deleted", "id")


@each_rule
def test_an_edit_by_the_replica_that_deleted_it_is_rejected_whatever_its_base(rule: Rule) -> None:
    *_, edited = play(
        rule,
        change("a", "create", 10, **offers(rule, "x")),
        change("c", "delete", 5, base=1),
        change("c", "update", 6, n=2, base=1, **offers(rule, "x")),
    )
    assert edited.outcome.kind is Kind.REJECTED


@each_rule
def test_a_resource_told_again_after_its_delete_stays_deleted(rule: Rule) -> None:
    *_, deleted, told = play(
        rule,
        change("a", "create", 10, **offers(rule, "x")),
        change("c", "delete", 20, base=1),
        change("b", "create", 30, **offers(rule, "x")),
    )
    assert told.state is deleted.state
    assert told.outcome.kind is Kind.OVERRULED


@each_rule
def test_deleting_twice_is_deleting_once(rule: Rule) -> None:
    *_, first, second = play(
        rule,
        change("a", "create", 10, **offers(rule, "x")),
        change("b", "delete", 20, base=1),
        change("c", "delete", 30, base=1),
    )
    assert second.state is first.state
    assert (second.outcome.kind, second.outcome.code) == (Kind.APPLIED, "nothing_to_delete")


@each_rule
def test_a_delete_that_had_not_seen_an_edit_says_that_it_met_one(rule: Rule) -> None:
    *_, merged = play(
        rule,
        change("a", "create", 10, **offers(rule, "x")),
        change("b", "update", 20, base=1, **offers(rule, "y")),
        change("c", "delete", 30, base=1),
    )
    assert merged.outcome.kind is Kind.MERGED


@each_rule
def test_deleting_what_never_was_is_done_already(rule: Rule) -> None:
    (merged,) = play(rule, change("a", "delete", 10))
    assert merged.state is None
    assert (merged.outcome.kind, merged.outcome.code) == (Kind.APPLIED, "nothing_to_delete")


# Where edits outlive deletes, and restores.


def outliving(rule: Rule) -> Rule:
    assert isinstance(rule, RecordRule)
    return rule.having(deletes=Deletes.UPDATE_WINS)


@each_rule
def test_where_updates_win_an_unseen_edit_stands_against_a_delete_in_either_order(rule: Rule) -> None:
    edit = change("b", "update", 20, base=1, **offers(rule, "y"))
    delete = change("c", "delete", 30, base=1)
    ends = []
    for order in permutations([edit, delete]):
        *_, last = play(outliving(rule), change("a", "create", 10, **offers(rule, "x")), *order)
        assert last.state is not None
        assert last.state.deleted is None
        ends.append(only(last.state))
    assert ends[0] == ends[1]
    assert ends[0].keys() == {"x", "y"}


def test_a_delete_that_meets_an_edit_where_updates_win_is_told_so() -> None:
    *_, edited, deleted = play(
        outliving(MERGE),
        change("a", "create", 10, x=1),
        change("b", "update", 20, base=1, x=2),
        change("c", "delete", 30, base=1),
    )
    assert deleted.state is edited.state
    assert (deleted.outcome.kind, deleted.outcome.code) == (Kind.OVERRULED, "updated_meanwhile")


def test_an_edit_that_changes_nothing_brings_nothing_back_whichever_comes_first() -> None:
    start = [change("a", "create", 10, x=1), change("b", "update", 30, base=1, x=2)]
    edit, delete = change("c", "update", 20, base=1, x=3), change("b", "delete", 40, n=2, base=1)
    for order in permutations([edit, delete]):
        *_, last = play(outliving(MERGE), *start, *order)
        assert last.state is not None
        assert last.state.deleted is not None


def test_a_tombstone_keeps_what_there_was_where_updates_win_and_a_restore_lays_its_fields_over_it() -> None:
    *_, deleted, restored = play(
        outliving(MERGE),
        change("a", "create", 10, x=1, y=1),
        change("b", "delete", 20, base=1),
        change("c", "restore", 30, base=2, y=2),
    )
    assert only(deleted.state) == {"x": 1, "y": 1}
    assert restored.outcome.kind is Kind.APPLIED
    assert only(restored.state) == {"x": 1, "y": 2}


@each_rule
def test_a_restore_by_somebody_who_saw_the_delete_brings_the_whole_and_keeps_the_floor(rule: Rule) -> None:
    *_, deleted, restored = play(
        rule,
        change("a", "create", 10, **offers(rule, "x", "y")),
        change("b", "delete", 20, base=1),
        change("c", "restore", 5, base=2, **offers(rule, "x")),
    )
    assert (restored.outcome.kind, restored.outcome.version) == (Kind.APPLIED, 3)
    assert restored.state is not None
    assert deleted.state is not None
    assert restored.state.fields.keys() == {"x"}
    assert restored.state.floor == deleted.state.deleted


@each_rule
def test_an_edit_from_before_the_delete_is_overruled_before_the_restore_and_after_it(rule: Rule) -> None:
    edit = change("d", "update", 99, base=1, **offers(rule, "y"))
    restore = change("c", "restore", 30, base=2, **offers(rule, "x"))
    for order in permutations([edit, restore]):
        merged = play(rule, change("a", "create", 10, **offers(rule, "x")), change("b", "delete", 20, base=1), *order)
        assert only(merged[-1].state).keys() == {"x"}
        assert {each.outcome.code for each in merged} == {None, "deleted"}


def test_a_restore_with_nothing_where_nothing_was_kept_is_rejected() -> None:
    *_, restored = play(
        MERGE, change("a", "create", 10, x=1), change("b", "delete", 20, base=1), change("c", "restore", 30, base=2)
    )
    assert (restored.outcome.kind, restored.outcome.code) == (Kind.REJECTED, "nothing_kept")


def test_a_restore_that_has_not_seen_the_delete_is_overruled_where_deletes_win() -> None:
    *_, restored = play(
        MERGE,
        change("a", "create", 10, x=1),
        change("b", "delete", 20, base=1),
        change("c", "restore", 30, base=1, x=2),
    )
    assert (restored.outcome.kind, restored.outcome.code) == (Kind.OVERRULED, "deleted")


def test_a_restore_of_what_never_was_creates_it_or_is_rejected_if_it_brings_nothing() -> None:
    (created,) = play(MERGE, change("a", "restore", 10, x=1))
    assert (created.outcome.kind, only(created.state)) == (Kind.APPLIED, {"x": 1})
    (refused,) = play(MERGE, change("a", "restore", 10))
    assert (refused.outcome.kind, refused.outcome.code) == (Kind.REJECTED, "unknown_resource")
