"""`conflict_rules.record_rule`: fields with rules of their own side by side, and the outcome of the whole."""

from __future__ import annotations

from dataclasses import replace

from conflict_rules import COUNTER, MANUAL, MERGE, SET, Kind, apply_change, conflict_id, dispute_of
from conflict_rules.later_stamp import LaterStamp
from tests.conflict_rules.make import change, only, play

MATCH = MERGE.having({"likes": COUNTER.default, "tags": SET.default, "score": MANUAL.default})
CREATED = change("a", "create", 10, note="old", likes=1, tags=["cup"], score="0-0")


def test_each_field_goes_to_its_own_rule_and_the_outcome_says_what_is_asked() -> None:
    _, seen, met = play(
        MATCH,
        CREATED,
        change("b", "update", 30, base=1, note="b", likes={"increment": 2}, tags={"add": ["b"]}, score="1-0"),
        change("c", "update", 20, base=1, note="c", likes={"increment": 3}, tags={"remove": ["cup"]}, score="0-1"),
    )
    assert seen.outcome.kind is Kind.APPLIED
    assert only(met.state) == {"note": "b", "likes": 6, "tags": ["b"], "score": "1-0"}
    assert (met.outcome.kind, met.outcome.code, met.outcome.field) == (Kind.CONFLICT, "values_differ", "score")
    assert set(met.outcome.lost) == {"note", "score"}
    assert met.outcome.conflicts == (conflict_id("thing", "x", "score"),)


def test_a_creation_comes_to_the_same_whether_its_fields_have_rules_of_their_own_or_not() -> None:
    """What is never asked field by field, since its fields take what they are offered, is as if it had been."""
    plain, asked = MERGE, MERGE.having({"other": COUNTER.default})
    mixed = replace(MERGE, default=_SameInOtherWords(), fields={})
    for op, fields in (("create", {"a": 1, "b": [2]}), ("create", {}), ("restore", {"a": 1})):
        made = [apply_change(rule, None, change("a", op, 10, **fields), 7) for rule in (plain, asked, mixed)]
        assert made[0] == made[1] == made[2]
        assert made[0].state is not None
        assert made[0].state.fields == fields


class _SameInOtherWords(LaterStamp):
    """A rule that has to be asked."""


def test_a_change_that_wins_in_one_field_only_is_merged_and_names_the_others() -> None:
    *_, met = play(
        MATCH,
        CREATED,
        change("b", "update", 30, base=1, note="b"),
        change("c", "update", 20, base=1, note="c", likes={"increment": 1}),
    )
    assert (met.outcome.kind, met.outcome.lost) == (Kind.MERGED, ("note",))


def test_one_offer_that_cannot_be_taken_rejects_the_whole_change() -> None:
    created, refused = play(MATCH, CREATED, change("b", "update", 20, base=1, note="b", likes=5))
    assert refused.state is created.state
    assert (refused.outcome.kind, refused.outcome.code, refused.outcome.field) == (
        Kind.REJECTED,
        "invalid_increment",
        "likes",
    )


def test_a_settlement_chooses_for_one_field_and_closes_its_dispute() -> None:
    *_, met = play(
        MATCH,
        CREATED,
        change("b", "update", 30, base=1, score="1-0"),
        change("c", "update", 20, base=1, score="0-1"),
    )
    settlement = replace(change("d", "settle", 40, base=3, score="1-1"), conflict=conflict_id("thing", "x", "score"))
    settled = apply_change(MATCH, met.state, settlement, 4)
    assert settled.outcome.kind is Kind.APPLIED
    assert settled.state is not None
    assert settled.state.fields["score"] == "1-1"
    dispute = dispute_of(settled.state.rule_data["score"])
    assert dispute is not None
    assert not dispute.open
    for wrong in ({}, {"score": "1-1", "note": "n"}, {"note": "n"}, {"tags": {"add": ["x"]}}):
        refused = apply_change(MATCH, met.state, replace(settlement, fields=wrong), 4)
        assert (refused.outcome.kind, refused.outcome.code) == (Kind.REJECTED, "no_such_conflict")
