"""Law 1, base: a change has seen what its person was shown, and what its own replica did; nothing else.

Played on every rule whose values are replaced; a set is at the end. How the device fixes a base is tested with the SDK.
"""

from __future__ import annotations

from conflict_rules import SET, Kind, Rule
from tests.conflict_rules.make import REPLACED, change, each, play

each_rule = each(REPLACED)


def met_unseen(rule: Rule) -> Kind:
    """What a change comes to whose only field meets a value that it has not seen, and that stands."""
    return Kind.CONFLICT if rule.field_rule("x").asks else Kind.OVERRULED


@each_rule
def test_an_acknowledged_edit_of_one_field_does_not_make_another_persons_field_seen(rule: Rule) -> None:
    """Counterexample 1. R's y is the newest version of the record, and says nothing of S's x."""
    *_, r_sets_x = play(
        rule,
        change("o", "create", 10, x="old", y="old"),
        change("s", "update", 40, base=5, x="from S"),
        change("r", "update", 20, n=1, base=5, y="from R"),
        change("r", "update", 30, n=2, base=5, x="from R"),
        version=5,
    )
    assert r_sets_x.state is not None
    assert r_sets_x.state.fields == {"x": "from S", "y": "from R"}
    assert r_sets_x.outcome.kind is met_unseen(rule)
    assert r_sets_x.outcome.lost == ("x",)


@each_rule
def test_had_the_base_risen_with_the_acknowledgement_the_other_persons_edit_would_be_gone(rule: Rule) -> None:
    """What the law forbids a replica to send: the same history with base 7 loses S's x without a word."""
    *_, r_sets_x = play(
        rule,
        change("o", "create", 10, x="old", y="old"),
        change("s", "update", 40, base=5, x="from S"),
        change("r", "update", 20, n=1, base=5, y="from R"),
        change("r", "update", 30, n=2, base=7, x="from R"),
        version=5,
    )
    assert r_sets_x.state is not None
    assert r_sets_x.state.fields["x"] == "from R"
    assert r_sets_x.outcome.kind is Kind.APPLIED


@each_rule
def test_a_queue_of_edits_to_one_field_is_a_sequence_not_a_conflict_with_itself(rule: Rule) -> None:
    """Counterexample 2. The second edit's base is below the first's version, and its stamp may be anything."""
    for at in (5, 20, 40):
        *_, first, second = play(
            rule,
            change("o", "create", 10, score="0-0"),
            change("r", "update", 20, n=1, base=5, score="1-0"),
            change("r", "update", at, n=2, base=5, score="2-0"),
            version=5,
        )
        assert [first.outcome.kind, second.outcome.kind] == [Kind.APPLIED, Kind.APPLIED]
        assert second.state is not None
        assert second.state.fields == {"score": "2-0"}


@each_rule
def test_a_replica_has_seen_its_own_edit_but_not_the_edit_that_came_on_top_of_it(rule: Rule) -> None:
    *_, merged = play(
        rule,
        change("o", "create", 10, x=0),
        change("r", "update", 20, n=1, base=5, x=1),
        change("s", "update", 40, base=6, x=2),
        change("r", "update", 30, n=2, base=5, x=3),
        version=5,
    )
    assert merged.state is not None
    assert merged.state.fields == {"x": 2}
    assert merged.outcome.kind is met_unseen(rule)


@each_rule
def test_another_replica_with_the_same_base_is_not_taken_for_the_same_queue(rule: Rule) -> None:
    *_, merged = play(
        rule,
        change("o", "create", 10, x=0),
        change("r", "update", 20, base=5, x=1),
        change("s", "update", 15, base=5, x=2),
        version=5,
    )
    assert merged.outcome.kind is met_unseen(rule)


def test_a_removal_takes_away_what_its_base_shows_and_what_its_own_replica_has_added() -> None:
    """R was shown version 5; S adds the same element at version 6, and R's own queue adds another."""
    *_, removed = play(
        SET,
        change("o", "create", 10, x=["shown"]),
        change("s", "update", 20, base=5, x={"add": ["shown"]}),
        change("r", "update", 30, n=1, base=5, x={"add": ["own"]}),
        change("r", "update", 40, n=2, base=5, x={"remove": ["shown", "own"]}),
        version=5,
    )
    assert removed.state is not None
    assert removed.state.fields == {"x": ["shown"]}, "S's addition was not shown to R"
