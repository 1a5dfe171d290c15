"""Law 2, seen beats stamped: stamps decide only between changes that have not seen each other.

Played on every rule that it concerns, with the server's effective stamps where the clocks are wrong.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from conflict_rules import Change, Kind, Rule, effective_stamp
from tests.conflict_rules.make import BY_STAMPS, REPLACED, change, each, play

each_rule = each(BY_STAMPS)

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
TEN_MS, ELEVEN_MS, NOON_MS = 10 * HOUR_MS, 11 * HOUR_MS, 12 * HOUR_MS


def arriving(made: Change, now_ms: int) -> Change:
    """The change as the server merges it if it arrives at `now_ms`."""
    return replace(made, stamp=effective_stamp(made.stamp, now_ms=now_ms))


@each(REPLACED)
def test_who_has_seen_the_wrong_clocks_value_overwrites_it(rule: Rule) -> None:
    """Counterexample 3, first half: A is a day ahead, B sees A's value and corrects it at eleven."""
    *_, corrected = play(
        rule,
        change("a", "create", TEN_MS + DAY_MS, x="from A"),
        change("b", "update", ELEVEN_MS, base=1, x="from B"),
    )
    assert corrected.outcome.kind is Kind.APPLIED
    assert corrected.state is not None
    assert corrected.state.fields == {"x": "from B"}


@each_rule
@pytest.mark.parametrize("ahead_ms", [0, 59_000])
def test_within_the_drift_bound_the_hour_of_arrival_decides_nothing(rule: Rule, ahead_ms: int) -> None:
    """Counterexample 3, second half: A and B are concurrent; A arrives at ten or at noon."""
    start = change("o", "create", 1, x="old")
    a = change("a", "update", TEN_MS + ahead_ms, base=1, x="from A")
    b = change("b", "update", TEN_MS + 30_000, base=1, x="from B")
    ends = set()
    for order in permutations([a, b]):
        for now_ms in (TEN_MS, NOON_MS):
            *_, last = play(rule, start, *(arriving(made, now_ms) for made in order))
            assert last.state is not None
            ends.add(last.state.fields["x"])
    assert ends == {"from A" if ahead_ms else "from B"}


@each_rule
def test_outside_of_the_bound_the_wrong_clock_wins_for_a_minute_at_most(rule: Rule) -> None:
    start = change("o", "create", 1, x="old")
    a = arriving(change("a", "update", TEN_MS + DAY_MS, base=1, x="from A"), TEN_MS)
    *_, last = play(rule, start, a, arriving(change("b", "update", TEN_MS + 60_001, base=1, x="from B"), TEN_MS))
    assert last.state is not None
    assert last.state.fields == {"x": "from B"}


@each_rule
def test_a_slow_clocks_correction_stands_against_whoever_would_have_lost_to_what_it_corrected(rule: Rule) -> None:
    """Counterexample 4: A's x has stamp 10; C saw it and sets x with stamp 3; D, with stamp 5, has seen neither."""
    a = change("a", "update", 10, base=1, x="from A")
    c = change("c", "update", 3, base=2, x="from C")
    d = change("d", "update", 5, base=1, x="from D")
    start = change("o", "create", 1, x="old")

    *_, d_last = play(rule, start, a, c, d)
    *_, c_last = play(rule, start, a, d, c)
    assert d_last.outcome.kind is Kind.OVERRULED
    assert d_last.state is not None
    assert c_last.state is not None
    assert d_last.state.fields == c_last.state.fields == {"x": "from C"}
    assert d_last.state.marks["x"].stamp == c_last.state.marks["x"].stamp > a.stamp


@each_rule
def test_between_changes_that_have_not_seen_each_other_the_later_stamp_decides_in_any_order(rule: Rule) -> None:
    start = change("o", "create", 1, x="old")
    concurrent = [change(name, "update", at, base=1, x=name) for name, at in (("a", 20), ("b", 30), ("c", 25))]
    for order in permutations(concurrent):
        *_, last = play(rule, start, *order)
        assert last.state is not None
        assert last.state.fields == {"x": "b"}
