"""Every registered rule is held to the algebra it declares, and every rule to law 2, on random histories.

The rules at the end are wrong on purpose: each is a mistake that looked right once, and must be found out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from conflict_rules import Change, Kind, Op, Rule, Stamp, State, apply_change, rule_by_name
from tests.properties import broken_rules as broken
from tests.properties.histories import (
    FIELDS,
    LATER_MS,
    START_MS,
    Delivery,
    History,
    Made,
    Server,
    content,
    deliver,
    deliveries,
    histories,
    in_order,
)

RULES = [rule_by_name(name) for name in ("append", "lww", "merge")]
COMMUTATIVE = [rule for rule in RULES if rule.algebra.commutative and not rule.algebra.arbitrated]
ASSOCIATIVE = [rule for rule in RULES if rule.algebra.associative and not rule.algebra.arbitrated]
IDEMPOTENT = [rule for rule in RULES if rule.algebra.idempotent and not rule.algebra.arbitrated]


def each(rules: list[Rule]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("rule", rules, ids=lambda rule: rule.name)


def test_the_rules_of_this_version_are_all_held_to_something() -> None:
    assert {"append", "lww", "merge"} <= {rule.name for rule in COMMUTATIVE + ASSOCIATIVE + IDEMPOTENT}


# What the properties say. Each takes the rule and something drawn, and returns whether it holds.


def order_does_not_matter(rule: Rule, drawn: tuple[History, Delivery]) -> bool:
    history, delivery = drawn
    one_by_one = Delivery(tuple(tuple((made,) for batch in epoch for made in batch) for epoch in delivery.epochs))
    return deliver(rule, one_by_one) == deliver(rule, in_order(history))


def grouping_does_not_matter(rule: Rule, drawn: tuple[History, Delivery]) -> bool:
    history, delivery = drawn
    return deliver(rule, delivery) == deliver(rule, in_order(history))


def the_hour_of_arrival_does_not_matter(rule: Rule, drawn: tuple[History, int]) -> bool:
    history, late_ms = drawn
    return deliver(rule, in_order(history), now_ms=LATER_MS + late_ms) == deliver(rule, in_order(history))


def a_queue_played_again_shows_the_same(rule: Rule, drawn: tuple[History, str, int]) -> bool:
    """A replica whose confirmed state holds part of its queue already shows what it would without that part.

    This is the view of a device that got its own change back, live, before it heard that the change is settled. The
    stamps of such a view may differ: they are the device's own, and go with its pending changes.
    """
    history, replica, since = drawn
    server = Server(rule)
    queue: list[Made] = []
    for epoch in history.epochs:
        for made in epoch:
            server.take([made])
            queue += [made] if made.change.replica == replica else []
        server.end_epoch()
    before = server.state
    for made in queue[since:]:
        server.apply(made)
    return values(server.state) == values(before)


def values(state: State | None) -> object:
    held = content(state)
    return {name: value for name, (value, _) in held.items()} if isinstance(held, dict) else held


def who_has_seen_everything_overwrites_it(rule: Rule, drawn: tuple[History, dict[str, int], int]) -> bool:
    """Law 2, on clocks that are hours off: seen beats stamped."""
    history, fields, at_ms = drawn
    server = Server(rule)
    for epoch in history.epochs:
        for made in epoch:
            server.take([made])
        server.end_epoch()
    if server.state is None or server.state.deleted is not None:
        return True
    patch = dict(server.state.fields) | fields if rule.whole_record else fields
    latecomer = Change("d", 1, "s", "thing", "x", Op.UPDATE, Stamp(at_ms, 0, "d"), server.head, patch)
    merged = apply_change(rule, server.state, latecomer, server.head + 1)
    assert merged.state is not None
    return merged.outcome.kind is Kind.APPLIED and all(merged.state.fields[name] == patch[name] for name in patch)


def a_replica_overwrites_what_it_wrote_itself(rule: Rule, drawn: tuple[list[tuple[dict[str, int], int]], int]) -> bool:
    """Law 1, on a clock that jumps: a queue of edits on one base is a sequence, not a conflict with itself."""
    edits, other_ms = drawn
    created = Change("b", 1, "s", "thing", "x", Op.CREATE, Stamp(other_ms, 0, "b"), 0, {"x": 9})
    state = apply_change(rule, None, created, 1).state
    for n, (fields, at_ms) in enumerate(edits, 1):
        assert state is not None
        patch = dict(state.fields) | fields if rule.whole_record else fields
        state = apply_change(
            rule, state, Change("a", n, "s", "thing", "x", Op.UPDATE, Stamp(at_ms, 0, "a"), 1, patch), n + 1
        ).state
        if state is None or any(state.fields[name] != value for name, value in fields.items()):
            return False
    return True


def the_stamp_of_a_field_never_falls(rule: Rule, drawn: History) -> bool:
    """Counterexample 4, on clocks that are hours off: nothing slips in under a correction."""
    server = Server(rule)
    highest: dict[str, Stamp] = {}
    for epoch in drawn.epochs:
        for made in epoch:
            server.take([made])
            for name, mark in server.state.marks.items() if server.state is not None else ():
                if name in highest and mark.stamp < highest[name]:
                    return False
                highest[name] = mark.stamp
        server.end_epoch()
    return True


# What is drawn for them.


def history_and_delivery(rule: Rule, *, repeats: bool = False) -> st.SearchStrategy[tuple[History, Delivery]]:
    return histories(rule).flatmap(lambda history: st.tuples(st.just(history), deliveries(history, repeats=repeats)))


def history_and_queue(rule: Rule) -> st.SearchStrategy[tuple[History, str, int]]:
    return st.tuples(histories(rule), st.sampled_from("abc"), st.integers(0, 5))


PATCHES = st.dictionaries(st.sampled_from(FIELDS), st.integers(0, 3), min_size=1)
HOURS_MS = st.integers(START_MS - 12 * 3_600_000, LATER_MS)
EDITS = st.tuples(st.lists(st.tuples(PATCHES, HOURS_MS), min_size=1, max_size=5), HOURS_MS)


# The rules that are right.


@each(COMMUTATIVE)
@given(data=st.data())
def test_concurrent_changes_may_arrive_in_any_order(rule: Rule, data: st.DataObject) -> None:
    assert order_does_not_matter(rule, data.draw(history_and_delivery(rule)))


@each(ASSOCIATIVE)
@given(data=st.data())
def test_changes_may_be_grouped_into_commits_in_any_way(rule: Rule, data: st.DataObject) -> None:
    assert grouping_does_not_matter(rule, data.draw(history_and_delivery(rule)))


@each(IDEMPOTENT)
@given(data=st.data())
def test_a_change_told_again_changes_nothing(rule: Rule, data: st.DataObject) -> None:
    assert grouping_does_not_matter(rule, data.draw(history_and_delivery(rule, repeats=True)))


@each(IDEMPOTENT)
@given(data=st.data())
def test_a_queue_over_a_state_that_holds_part_of_it_shows_the_same(rule: Rule, data: st.DataObject) -> None:
    assert a_queue_played_again_shows_the_same(rule, data.draw(history_and_queue(rule)))


@each(COMMUTATIVE)
@given(data=st.data())
def test_within_the_drift_bound_the_hour_of_arrival_does_not_matter(rule: Rule, data: st.DataObject) -> None:
    assert the_hour_of_arrival_does_not_matter(
        rule, data.draw(st.tuples(histories(rule), st.integers(-86_000_000, 10**9)))
    )


@each(COMMUTATIVE)
@given(data=st.data())
def test_whoever_has_seen_everything_overwrites_it_whatever_the_clocks(rule: Rule, data: st.DataObject) -> None:
    drawn = data.draw(st.tuples(histories(rule, wild=True), PATCHES, HOURS_MS))
    assert who_has_seen_everything_overwrites_it(rule, drawn)


@each(COMMUTATIVE)
@given(edits=EDITS)
def test_a_queue_of_edits_is_never_in_conflict_with_itself(
    rule: Rule, edits: tuple[list[tuple[dict[str, int], int]], int]
) -> None:
    assert a_replica_overwrites_what_it_wrote_itself(rule, edits)


@each(COMMUTATIVE)
@given(data=st.data())
def test_the_stamp_of_a_field_never_falls_whatever_the_clocks(rule: Rule, data: st.DataObject) -> None:
    assert the_stamp_of_a_field_never_falls(rule, data.draw(histories(rule, wild=True)))


# The rules that are wrong.


MISTAKES: list[tuple[Rule, Callable[[Rule, Any], bool], Callable[[Rule], st.SearchStrategy[Any]]]] = [
    (broken.ArrivalWins(), order_does_not_matter, history_and_delivery),
    (broken.TiesGoToTheLast(), order_does_not_matter, history_and_delivery),
    (broken.PatchesAsRecords(), order_does_not_matter, history_and_delivery),
    (broken.AddsUp(), grouping_does_not_matter, lambda rule: history_and_delivery(rule, repeats=True)),
    (broken.MarksARepeat(), grouping_does_not_matter, lambda rule: history_and_delivery(rule, repeats=True)),
    (broken.BaseOffByOne(), order_does_not_matter, history_and_delivery),
    (
        broken.StampsOnly(),
        who_has_seen_everything_overwrites_it,
        lambda rule: st.tuples(histories(rule, wild=True), PATCHES, HOURS_MS),
    ),
    (broken.ForgetsItself(), a_replica_overwrites_what_it_wrote_itself, lambda rule: EDITS),
    (broken.NeverRaises(), the_stamp_of_a_field_never_falls, lambda rule: histories(rule, wild=True)),
]


@pytest.mark.parametrize(("rule", "holds", "drawn"), MISTAKES, ids=[type(rule).__name__ for rule, _, _ in MISTAKES])
def test_a_wrong_rule_is_found_out(
    rule: Rule, holds: Callable[[Rule, Any], bool], drawn: Callable[[Rule], st.SearchStrategy[Any]]
) -> None:
    search = settings(max_examples=20_000, database=None, phases=[Phase.generate])
    # Raises NoSuchExample if the property holds for all that was tried.
    find(drawn(rule), lambda example: not holds(rule, example), settings=search)


def test_the_frame_of_the_wrong_rules_is_right_so_that_each_fails_for_its_own_mistake() -> None:
    rule = broken.FieldByField()

    @given(data=st.data())
    def holds(data: st.DataObject) -> None:
        assert grouping_does_not_matter(rule, data.draw(history_and_delivery(rule, repeats=True)))
        assert who_has_seen_everything_overwrites_it(
            rule, data.draw(st.tuples(histories(rule, wild=True), PATCHES, HOURS_MS))
        )
        assert a_replica_overwrites_what_it_wrote_itself(rule, data.draw(EDITS))
        assert the_stamp_of_a_field_never_falls(rule, data.draw(histories(rule, wild=True)))

    holds()
