"""`conflict_rules.own`: an author's function, asked only where the values differ and neither has seen the other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from conflict_rules import ASK, Algebra, Kind, Mark, MergeFunction, RecordRule, own_rule
from conflict_rules import rule as registry
from conflict_rules.own import Own
from conflict_rules.several import SEVERAL
from tests.conflict_rules.make import change, only, play, stamp

CREATED = change("a", "create", 10, x=["old"])
ASKED: list[tuple[Any, Any, Any]] = []


def joined(base: Any, mine: Any, theirs: Any) -> Any:
    ASKED.append((base, mine, theirs))
    if mine == ["ask"]:
        return ASK
    if mine == ["bad"]:
        return {1, 2}
    if mine == ["yield"]:
        return theirs
    theirs.extend(mine)
    return theirs


@pytest.fixture
def rule(monkeypatch: pytest.MonkeyPatch) -> RecordRule:
    monkeypatch.setattr(registry, "_rules", dict(registry._rules))
    ASKED.clear()
    return own_rule("joined", joined)


def test_it_is_not_asked_where_the_value_was_seen_or_is_the_same(rule: RecordRule) -> None:
    *_, last = play(rule, CREATED, change("b", "update", 5, base=1, x=["b"]), change("c", "update", 6, x=["b"]))
    assert only(last.state) == {"x": ["b"]}
    assert ASKED == []


def test_it_gets_what_was_shown_what_arrives_and_what_is_held_and_changes_none_of_them(rule: RecordRule) -> None:
    arriving = replace(change("c", "update", 6, base=0, x=["c"]), was={"x": ["shown"]})
    created, merged = play(rule, CREATED, arriving)
    assert ASKED[0][0] == ["shown"]
    assert only(merged.state) == {"x": ["old", "c"]}
    assert (only(created.state), arriving.fields["x"]) == ({"x": ["old"]}, ["c"])


def test_it_may_ask_and_it_may_choose_the_other_value(rule: RecordRule) -> None:
    _, asked = play(rule, CREATED, change("c", "update", 6, base=0, x=["ask"]))
    assert (asked.outcome.kind, only(asked.state)) == (Kind.CONFLICT, {"x": ["old"]})
    _, lost = play(rule, CREATED, change("c", "update", 6, base=0, x=["yield"]))
    assert (lost.outcome.kind, lost.outcome.code) == (Kind.OVERRULED, "rule_chose_the_other")


def test_what_cannot_be_kept_rejects_the_change(rule: RecordRule) -> None:
    _, refused = play(rule, CREATED, change("c", "update", 6, base=0, x=["bad"]))
    assert (refused.outcome.kind, refused.outcome.code) == (Kind.REJECTED, "check_failed")


# One that declares that order does not matter.


def longer(base: Any, mine: Any, theirs: Any) -> Any:
    return max(mine, theirs, key=lambda text: (len(text), text))


def greater(base: Any, mine: Any, theirs: Any) -> Any:
    return max(mine, theirs)


def added_up(base: Any, mine: Any, theirs: Any) -> Any:
    return mine + theirs


def declared(function: MergeFunction, *, idempotent: bool = True) -> RecordRule:
    return RecordRule("declared", Own("declared", function, Algebra(True, True, idempotent)))


def test_by_default_nothing_is_promised_and_arrival_decides(rule: RecordRule) -> None:
    assert rule.algebra == Algebra(commutative=False, associative=False, idempotent=False, arbitrated=True)
    assert rule.default.replaced_in_sight


@pytest.mark.parametrize("one_only", [(True, False), (False, True)])
def test_order_is_promised_as_a_whole_or_not_at_all(one_only: tuple[bool, bool]) -> None:
    with pytest.raises(ValueError, match="'longer': commutative and associative are declared together or not at all"):
        Own("longer", longer, Algebra(*one_only, idempotent=True, arbitrated=not one_only[0]))


def test_what_promises_no_order_is_decided_by_arrival_and_says_so() -> None:
    for promised in (True, False):
        with pytest.raises(ValueError, match="either arrival decides, or it is commutative and associative"):
            Own("longer", longer, Algebra(promised, promised, idempotent=True, arbitrated=promised))


def test_a_queue_and_a_concurrent_value_come_to_the_same_in_any_order() -> None:
    """Were an edit in sight an edit here too, there would be three ends: "s", "long" and "longest"."""
    first, second = change("b", "update", 20, base=1, x="longest"), change("b", "update", 21, n=2, base=1, x="s")
    other = change("c", "update", 5, base=1, x="long")
    for order in [(first, second, other), (first, other, second), (other, first, second)]:
        *_, last = play(declared(longer), change("a", "create", 10, x=""), *order)
        assert only(last.state) == {"x": "longest"}


def test_it_is_asked_in_sight_too_so_that_nothing_is_taken_back() -> None:
    created, lost = play(
        declared(longer), change("a", "create", 10, x="long"), change("b", "update", 20, base=1, x="s")
    )
    assert lost.state is created.state
    assert (lost.outcome.kind, lost.outcome.code) == (Kind.OVERRULED, "rule_chose_the_other")


def test_what_it_joins_is_marked_with_the_later_stamp_and_is_nobodys_own_until_somebody_has_seen_it() -> None:
    _, met, seen = play(
        declared(longer),
        change("a", "create", 10, x="a"),
        change("b", "update", 5, x="ab"),
        change("c", "update", 7, base=2, x="abc"),
    )
    assert met.state is not None
    assert met.state.marks["x"] == Mark(2, stamp(SEVERAL, 10))
    assert seen.state is not None
    assert seen.state.marks["x"] == Mark(3, stamp("c", 10))


def test_the_same_value_again_is_nothing_where_repeats_do_not_matter_and_counts_where_they_do() -> None:
    twice = [change("a", "create", 10, x=2), change("b", "update", 20, x=2)]
    kept, same = play(declared(greater), *twice)
    assert same.state is kept.state
    assert (same.outcome.kind, same.outcome.lost) == (Kind.MERGED, ())
    _, added = play(declared(added_up, idempotent=False), *twice)
    assert only(added.state) == {"x": 4}
