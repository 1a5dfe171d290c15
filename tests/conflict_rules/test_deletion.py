"""`conflict_rules.deletion`: the one door to the rules, deletes, and changes to what is gone or never was."""

from __future__ import annotations

from itertools import permutations

import pytest

from conflict_rules import Kind, Mark, Origin, Rule, rule_by_name
from tests.conflict_rules.make import change, play, stamp

each_rule = pytest.mark.parametrize(
    "rule", [rule_by_name(name) for name in ("append", "lww", "merge")], ids=lambda rule: rule.name
)


@each_rule
def test_a_deleted_resource_is_a_tombstone_without_fields(rule: Rule) -> None:
    _, merged = play(rule, change("a", "create", 10, x=1), change("b", "delete", 5, n=7, base=1))
    assert (merged.outcome.kind, merged.outcome.version) == (Kind.APPLIED, 2)
    assert merged.state is not None
    assert merged.state.deleted == Mark(2, stamp("b", 5))
    assert (merged.state.version, merged.state.origin) == (2, Origin("b", 7))
    assert (merged.state.fields, merged.state.marks) == ({}, {})


@each_rule
def test_a_delete_wins_against_a_concurrent_edit_in_either_order_and_whatever_the_clocks(rule: Rule) -> None:
    edit, delete = change("b", "update", 99, base=1, x=2), change("c", "delete", 5, base=1)
    for order in permutations([edit, delete]):
        merged = play(rule, change("a", "create", 10, x=1), *order)[-1]
        assert merged.state is not None
        assert merged.state.deleted is not None


@each_rule
def test_an_edit_that_met_a_concurrent_delete_is_overruled_and_names_what_was_lost(rule: Rule) -> None:
    *_, deleted, edited = play(
        rule,
        change("a", "create", 10, x=1, y=1),
        change("c", "delete", 5, base=1),
        change("b", "update", 99, base=1, x=2, y=2),
    )
    assert edited.state is deleted.state
    assert (edited.outcome.kind, edited.outcome.code) == (Kind.OVERRULED, "deleted")
    assert set(edited.outcome.lost) == {"x", "y"}
    assert edited.outcome.version == 2


@each_rule
@pytest.mark.parametrize("op", ["update", "create"])
def test_an_edit_by_someone_who_had_been_shown_the_delete_is_rejected(rule: Rule, op: str) -> None:
    *_, deleted, edited = play(
        rule, change("a", "create", 10, x=1), change("c", "delete", 5, base=1), change("b", op, 99, base=2, x=2)
    )
    assert edited.state is deleted.state
    assert (edited.outcome.kind, edited.outcome.code, edited.outcome.field) == (Kind.REJECTED, "deleted", "id")


@each_rule
def test_an_edit_by_the_replica_that_deleted_it_is_rejected_whatever_its_base(rule: Rule) -> None:
    *_, edited = play(
        rule,
        change("a", "create", 10, x=1),
        change("c", "delete", 5, base=1),
        change("c", "update", 6, n=2, base=1, x=2),
    )
    assert edited.outcome.kind is Kind.REJECTED


@each_rule
def test_a_resource_told_again_after_its_delete_stays_deleted(rule: Rule) -> None:
    *_, deleted, told = play(
        rule, change("a", "create", 10, x=1), change("c", "delete", 20, base=1), change("b", "create", 30, x=1)
    )
    assert told.state is deleted.state
    assert told.outcome.kind is Kind.OVERRULED


@each_rule
def test_deleting_twice_is_deleting_once(rule: Rule) -> None:
    *_, first, second = play(
        rule, change("a", "create", 10, x=1), change("b", "delete", 20, base=1), change("c", "delete", 30, base=1)
    )
    assert second.state is first.state
    assert (second.outcome.kind, second.outcome.code) == (Kind.APPLIED, "nothing_to_delete")


@each_rule
def test_a_delete_that_had_not_seen_an_edit_says_that_it_met_one(rule: Rule) -> None:
    *_, merged = play(
        rule,
        change("a", "create", 10, x=1),
        change("b", "update", 20, base=1, x=2),
        change("c", "delete", 30, base=1),
    )
    assert merged.outcome.kind is Kind.MERGED


@each_rule
def test_deleting_what_never_was_is_done_already(rule: Rule) -> None:
    (merged,) = play(rule, change("a", "delete", 10))
    assert merged.state is None
    assert (merged.outcome.kind, merged.outcome.code) == (Kind.APPLIED, "nothing_to_delete")
