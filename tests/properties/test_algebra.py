"""Every rule is held to the algebra it declares, and to what it is for, on random histories.

The rules at the end are wrong on purpose: each is a mistake that looks right, and must be found out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from conflict_rules import (
    ASK,
    COUNTER,
    LWW,
    MANUAL,
    MAX,
    MERGE,
    MIN,
    SERVER_WINS,
    SET,
    Change,
    Deletes,
    JsonValue,
    Kind,
    Op,
    RecordRule,
    Rule,
    Stamp,
    State,
    apply_change,
    conflict_id,
    dispute_of,
)
from conflict_rules.add_wins import AddWins
from conflict_rules.conflict import disputed_fields, follow
from conflict_rules.counter import Adds
from conflict_rules.extremes import Greatest, Least
from conflict_rules.own import Own
from conflict_rules.values import canonical_json, same_value
from tests.conflict_rules import make
from tests.conflict_rules.make import each
from tests.properties import broken_rules as broken
from tests.properties.histories import (
    FIELDS,
    LATER_MS,
    START_MS,
    Delivery,
    History,
    Made,
    Server,
    Step,
    by_stamps,
    deliver,
    deliveries,
    histories,
    in_order,
)
from tests.properties.own_rules import (
    DIFFERENCE,
    LAST,
    LONGEST,
    OWN,
    RIVALS,
    SWAPPED,
    UNASKED_IN_SIGHT,
    UNORDERED,
    UNREPEATABLE,
    expected,
)


def mixed(rule: RecordRule, **rules: RecordRule) -> RecordRule:
    """A record whose fields have rules of their own."""
    name = " ".join((rule.name, *(f"{field}={other.name}" for field, other in rules.items())))
    return replace(rule.having({field: other.default for field, other in rules.items()}), name=name)


def outliving(rule: RecordRule) -> RecordRule:
    """A record whose edits outlive deletes that have not seen them."""
    return replace(rule, name=f"{rule.name} update_wins", deletes=Deletes.UPDATE_WINS)


BUILT_IN = [rule for rule in make.RULES if isinstance(rule, RecordRule)]
MIXED = [
    mixed(MERGE, x=COUNTER, y=SET),
    mixed(MERGE, x=MAX, y=MIN),
    mixed(LWW, x=COUNTER, y=SET),
    mixed(MERGE, x=MANUAL, y=COUNTER, z=SET),
    mixed(SERVER_WINS, x=MAX, y=SET),
]
RULES = BUILT_IN + MIXED
# Where arrival decides what a field holds, or who of two has offered the same extreme, it also decides which edits
# there were for a delete to see.
OUTLIVING = [
    outliving(rule)
    for rule in RULES
    if not rule.algebra.arbitrated and not any(isinstance(rule.field_rule(name), Greatest) for name in FIELDS)
]
REPLACED = [rule for rule in RULES if all(rule.field_rule(name).replaced_in_sight for name in FIELDS)]
PARTLY_REPLACED = [rule for rule in RULES if any(rule.field_rule(name).replaced_in_sight for name in FIELDS)]
JOINED = [rule for rule in RULES if not all(rule.field_rule(name).replaced_in_sight for name in FIELDS)]
STAMPED = [rule for rule in RULES if all(by_stamps(rule, name) for name in FIELDS)]
ARBITRATED = [rule for rule in RULES if rule.algebra.arbitrated]
ASKING = [rule for rule in RULES if any(rule.field_rule(name).asks for name in FIELDS)]

# Authors' own. What they hold after a history the function decides, so that not every promise of the house's own is
# theirs; where they declare nothing, it is held to what it was asked.
OWN_MIXED = [*OWN, mixed(MERGE, x=LONGEST, y=LAST, z=COUNTER), mixed(LWW, x=DIFFERENCE, y=SET)]
OWN_REPLACED = [rule for rule in OWN if rule.default.replaced_in_sight]
OWN_JOINED = [rule for rule in OWN_MIXED if rule not in OWN_REPLACED]


def test_every_rule_is_held_to_something() -> None:
    assert [rule.name for rule in RULES if rule not in JOINED + STAMPED + ARBITRATED] == []
    assert [rule.name for rule in BUILT_IN] == [rule.name for rule in make.RULES]


# What the properties say. Each takes the rule and something drawn, and returns whether it holds.


def one_by_one(delivery: Delivery) -> Delivery:
    return Delivery(tuple(tuple((made,) for batch in epoch for made in batch) for epoch in delivery.epochs))


def order_does_not_matter(rule: Rule, drawn: tuple[History, Delivery]) -> bool:
    """In the fields that promise it, and for life and death."""
    history, delivery = drawn
    promise = "commutative"
    return deliver(rule, one_by_one(delivery), promise) == deliver(rule, in_order(history), promise)


def grouping_does_not_matter(rule: Rule, drawn: tuple[History, Delivery]) -> bool:
    """Nor how changes are split over batches and replicas."""
    history, delivery = drawn
    return deliver(rule, delivery, "associative") == deliver(rule, in_order(history), "associative")


def repeats_do_not_matter(rule: Rule, drawn: tuple[History, Delivery]) -> bool:
    """Nor where the repeats of a change fall among the batches.

    Where arrival decides, in the order in which the history was made up: in another one a person would have been shown
    other values, and stamped his change above those.
    """
    history, delivery = drawn
    if rule.algebra.arbitrated:
        times = Counter(id(made) for epoch in delivery.epochs for batch in epoch for made in batch)
        epochs = (tuple((made,) * times[id(made)] for made in epoch) for epoch in history.epochs)
        return deliver(rule, Delivery(tuple(epochs)), "idempotent") == deliver(rule, in_order(history), "idempotent")
    return deliver(rule, delivery, "idempotent") == deliver(rule, one_by_one(told_once(delivery)), "idempotent")


def told_once(delivery: Delivery) -> Delivery:
    """In the same order and the same batches, without repeats."""
    known: set[int] = set()
    epochs: list[tuple[tuple[Made, ...], ...]] = []
    for epoch in delivery.epochs:
        batches: list[tuple[Made, ...]] = []
        for batch in epoch:
            news = {id(made): made for made in batch if id(made) not in known}
            known.update(news)
            batches += [tuple(news.values())] if news else []
        epochs.append(tuple(batches))
    return Delivery(tuple(epochs))


def the_hour_of_arrival_does_not_matter(rule: Rule, drawn: tuple[History, int]) -> bool:
    history, late_ms = drawn
    at_another_hour = deliver(rule, in_order(history), now_ms=LATER_MS + late_ms)
    return at_another_hour == deliver(rule, in_order(history))


def a_queue_played_again_shows_the_same(rule: Rule, drawn: tuple[History, str, int]) -> bool:
    """A replica whose confirmed state holds part of its queue already shows what it would without that part.

    This is the view of a device that got its own change back, live, before it heard that the change is settled. The
    stamps of such a view may differ: they are the device's own, and go with its pending changes.
    """
    history, replica, since = drawn
    server = played(rule, in_order(history))
    queue = [made for epoch in history.epochs for made in epoch if made.change.replica == replica]
    before = server.state
    for made in queue[since:]:
        server.apply(made)
    return values(server.state) == values(before)


def values(state: State | None) -> object:
    if state is None or state.deleted is not None:
        return state is None
    return {name: canonical_json(value) for name, value in state.fields.items()}


def played(rule: Rule, delivery: Delivery) -> Server:
    server = Server(rule)
    for _ in server.play(delivery):
        pass
    return server


def who_has_seen_everything_overwrites_it(rule: Rule, drawn: tuple[History, dict[str, int], int]) -> bool:
    """Law 2, on clocks that are hours off: seen beats stamped."""
    history, fields, at_ms = drawn
    server = played(rule, in_order(history))
    if server.state is None or server.state.deleted is not None:
        return True
    patch: dict[str, JsonValue] = dict(server.state.fields) | fields if rule.whole_record else dict(fields)
    patch = {name: value for name, value in patch.items() if rule.field_rule(name).replaced_in_sight}
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
    """Counterexample 4, on clocks that are hours off: nothing slips in under a correction, as long as it lives."""
    highest: dict[str, Stamp] = {}
    for step in played(rule, in_order(drawn)).steps:
        state = step.merged.state
        if state is None or state.deleted is not None:
            highest.clear()
            continue
        for name, mark in state.marks.items():
            if name in highest and mark.stamp < highest[name]:
                return False
            if rule.field_rule(name).replaced_in_sight:
                highest[name] = mark.stamp
    return True


def joined_fields_hold_what_they_are_for(rule: Rule, drawn: tuple[History, Delivery]) -> bool:
    """Where nothing is deleted: counters count everything, extremes are extreme, sets hold what nobody removed."""
    history, delivery = drawn
    state = played(rule, delivery).state
    told = [(made, epoch) for epoch, arriving in enumerate(history.epochs, 1) for made in arriving]
    for name in FIELDS:
        offered = [(made, epoch) for made, epoch in told if name in made.change.fields]
        field_rule, given = rule.field_rule(name), [made.change.fields[name] for made, _ in offered]
        if not offered or field_rule.replaced_in_sight:
            continue
        assert state is not None
        if not same_value(state.fields[name], _expected(field_rule, name, given, offered)):
            return False
    return True


def _expected(field_rule: object, name: str, given: list[Any], offered: list[tuple[Made, int]]) -> JsonValue:
    if isinstance(field_rule, Adds):
        return sum(value["increment"] if isinstance(value, dict) else value for value in given)
    if isinstance(field_rule, Least):
        return min(given)
    if isinstance(field_rule, Greatest):
        return max(given)
    if isinstance(field_rule, Own):
        return expected(field_rule, name, [made.change for made, _ in offered])
    assert isinstance(field_rule, AddWins)
    edits = [{"add": value} if isinstance(value, list) else value for value in given]
    present: dict[bytes, JsonValue] = {}
    for place, (edit, (made, epoch)) in enumerate(zip(edits, offered, strict=True)):
        for element in edit.get("add", []):
            later = (
                other
                for each, (other, (made_after, _)) in enumerate(zip(edits, offered, strict=True))
                if each != place and _has_seen(made_after, made, epoch)
            )
            if not any(_concerns(other, element) for other in later):
                present[canonical_json(element)] = element
    return [present[key] for key in sorted(present)]


def _has_seen(later: Made, made: Made, epoch: int) -> bool:
    own = later.change.replica == made.change.replica and made.change.n < later.change.n
    return own or epoch <= later.shown


def _concerns(edit: dict[str, list[JsonValue]], element: JsonValue) -> bool:
    return any(same_value(each, element) for each in (*edit.get("add", []), *edit.get("remove", [])))


def nobody_loses_without_a_word(rule: Rule, drawn: tuple[History, Delivery]) -> bool:
    """Where arrival decides: the first value stands, the other is named, and if it is asked, the conflict has both."""
    conflicts: dict[str, State] = {}
    # Each write of the engine takes a version of its own, by which a conflict knows that it was widened.
    for step in played(rule, one_by_one(drawn[1])).steps:
        before, after = step.before, step.merged.state
        if after is None:
            continue
        if after is not before:
            for name in disputed_fields(before, after):
                held = conflicts.get(name)
                conflicts[name] = follow(held, before, after, step.change, name, after.version + 1)
        if before is None or before.deleted is not None or after.deleted is not None:
            continue
        if step.merged.outcome.kind is Kind.REJECTED or step.merged.outcome.code == "deleted":
            continue
        for name, value in step.change.fields.items():
            arbitrated = rule.field_rule(name).algebra.arbitrated and name in before.fields
            if arbitrated and not _told(rule, step, before, after, name, value, conflicts):
                return False
    return True


def _told(
    rule: Rule, step: Step, before: State, after: State, name: str, value: JsonValue, conflicts: dict[str, State]
) -> bool:
    outcome, held = step.merged.outcome, before.fields[name]
    unseen = not before.marks[name].seen_by(step.change)
    if same_value(after.fields[name], value) and (step.change.op is Op.SETTLE or not unseen or same_value(held, value)):
        return name not in outcome.lost
    if not same_value(after.fields[name], held) or name not in outcome.lost:
        return False
    if not rule.field_rule(name).asks or step.change.op is Op.SETTLE:
        return outcome.kind is not Kind.CONFLICT or step.change.op is not Op.SETTLE
    conflict = conflicts.get(name)
    if outcome.kind is not Kind.CONFLICT or conflict is None or conflict.id not in outcome.conflicts:
        return False
    candidates: Any = conflict.fields["candidates"]
    mine = [each for each in candidates if each.get("replica") == step.change.replica and each.get("n")]
    return (
        conflict.fields["status"] == "open"
        and same_value(conflict.fields["accepted"], held)
        and any(same_value(each["value"], value) for each in mine)
    )


def an_own_function_has_the_last_word(rule: Rule, drawn: tuple[History, Delivery]) -> bool:
    """Where it is asked the field holds what it says; and whoever loses by that is told."""
    for step in played(rule, drawn[1]).steps:
        before, after, outcome = step.before, step.merged.state, step.merged.outcome
        if before is None or after is None or before.deleted is not None or after.deleted is not None:
            continue
        if step.change.op is Op.SETTLE or outcome.code == "deleted":
            continue
        for name, value in step.change.fields.items():
            field_rule = rule.field_rule(name)
            if isinstance(field_rule, Own) and not _as_it_says(field_rule, step, before, after, name, value):
                return False
    return True


def _as_it_says(rule: Own, step: Step, before: State, after: State, name: str, value: JsonValue) -> bool:
    lost = name in step.merged.outcome.lost
    if name not in before.fields:
        return same_value(after.fields[name], value) and not lost
    held = before.fields[name]
    in_sight = before.marks[name].seen_by(step.change) or same_value(held, value)
    if rule.replaced_in_sight and in_sight:
        return same_value(after.fields[name], value) and not lost
    said = rule.function(step.change.was.get(name), value, held)
    if said is ASK:
        return same_value(after.fields[name], held) and lost and step.merged.outcome.kind is Kind.CONFLICT
    return same_value(after.fields[name], said) and lost == (same_value(said, held) and not same_value(held, value))


def only_an_answer_settles(rule: Rule, drawn: tuple[History, Delivery]) -> bool:
    """Law 8: a dispute ends by a settlement, or by another value from somebody who had seen it; never by accident."""
    for step in played(rule, drawn[1]).steps:
        before, after, change = step.before, step.merged.state, step.change
        if before is None or after is None or before.deleted is not None or after.deleted is not None:
            continue
        if change.op is Op.SETTLE:
            continue
        for name, data in before.rule_data.items():
            was, now = dispute_of(data), dispute_of(after.rule_data.get(name))
            if was is None or not was.open:
                continue
            answered = name in change.fields and not same_value(change.fields[name], before.fields[name])
            if (now is None or not now.open) and not (answered and was.version <= change.base):
                return False
    return True


def settlements_may_come_in_any_order(rule: Rule, drawn: tuple[list[tuple[int, int]], list[int]]) -> bool:
    """Of settlements that have not seen each other the later stamp stands, whichever comes first."""
    settlements, order = drawn

    def settled(order: Iterable[int]) -> object:
        state: State | None = None
        for n, (op, replica, value) in enumerate([(Op.CREATE, "a", 0), (Op.UPDATE, "b", 7)]):
            stamp = Stamp(START_MS + n, 0, replica)
            change = Change(replica, 1, "s", "thing", "x", op, stamp, 0, {"x": value})
            state = apply_change(rule, state, change, n + 1).state
        for version, place in enumerate(order, 3):
            value, at = settlements[place]
            who = f"r{place}"
            conflict = conflict_id("thing", "x", "x")
            change = Change(
                who, 1, "s", "thing", "x", Op.SETTLE, Stamp(START_MS + at, 0, who), 2, {"x": value}, conflict=conflict
            )
            state = apply_change(rule, state, change, version).state
        assert state is not None
        return state.fields["x"]

    return settled(order) == settled(range(len(settlements)))


# What is drawn for them.


def history_and_delivery(
    rule: Rule, *, repeats: bool = False, deletes: bool = True
) -> st.SearchStrategy[tuple[History, Delivery]]:
    # Where edits outlive deletes, a restore that brings nothing is nothing that a delete could have seen.
    return histories(rule, deletes=deletes, restores=rule.deletes is Deletes.DELETE_WINS).flatmap(
        lambda history: st.tuples(st.just(history), deliveries(history, repeats=repeats))
    )


def told_again(rule: Rule) -> st.SearchStrategy[tuple[History, Delivery]]:
    return history_and_delivery(rule, repeats=True)


def without_deletes(rule: Rule) -> st.SearchStrategy[tuple[History, Delivery]]:
    return history_and_delivery(rule, deletes=False)


def history_and_queue(rule: Rule) -> st.SearchStrategy[tuple[History, str, int]]:
    # After a restore a queue is not played again over what it has made, but left out of the view (law 4).
    return st.tuples(histories(rule, restores=False), st.sampled_from("abc"), st.integers(0, 5))


def history_and_latecomer(rule: Rule) -> st.SearchStrategy[tuple[History, dict[str, int], int]]:
    return st.tuples(histories(rule, wild=True), PATCHES, HOURS_MS)


def wild_history(rule: Rule) -> st.SearchStrategy[History]:
    return histories(rule, wild=True)


def edits(rule: Rule) -> st.SearchStrategy[tuple[list[tuple[dict[str, int], int]], int]]:
    return EDITS


def settlements(rule: Rule) -> st.SearchStrategy[tuple[list[tuple[int, int]], list[int]]]:
    several = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=4)
    return several.flatmap(lambda made: st.tuples(st.just(made), st.permutations(range(len(made)))))


PATCHES = st.dictionaries(st.sampled_from(FIELDS), st.integers(0, 3), min_size=1)
LATE_MS = st.integers(-86_000_000, 10**9)
HOURS_MS = st.integers(START_MS - 12 * 3_600_000, LATER_MS)
EDITS = st.tuples(st.lists(st.tuples(PATCHES, HOURS_MS), min_size=1, max_size=5), HOURS_MS)


# The rules that are right.


@each(RULES + OUTLIVING + OWN_MIXED)
@given(data=st.data())
def test_neither_order_nor_grouping_nor_repeats_nor_the_hour_of_arrival_change_what_a_rule_promises(
    rule: Rule, data: st.DataObject
) -> None:
    """All four on one history, since to draw one takes longer than to play it."""
    history, again = data.draw(told_again(rule))
    once = told_once(again)
    assert order_does_not_matter(rule, (history, once))
    assert grouping_does_not_matter(rule, (history, once))
    assert repeats_do_not_matter(rule, (history, again))
    assert the_hour_of_arrival_does_not_matter(rule, (history, data.draw(LATE_MS)))


@each(STAMPED)
@given(data=st.data())
def test_a_queue_over_a_state_that_holds_part_of_it_shows_the_same(rule: Rule, data: st.DataObject) -> None:
    assert a_queue_played_again_shows_the_same(rule, data.draw(history_and_queue(rule)))


@each(PARTLY_REPLACED + OWN_REPLACED)
@given(data=st.data())
def test_whoever_has_seen_everything_overwrites_it_whatever_the_clocks(rule: Rule, data: st.DataObject) -> None:
    assert who_has_seen_everything_overwrites_it(rule, data.draw(history_and_latecomer(rule)))


@each(REPLACED + OWN_REPLACED)
@given(edits=EDITS)
def test_a_queue_of_edits_is_never_in_conflict_with_itself(
    rule: Rule, edits: tuple[list[tuple[dict[str, int], int]], int]
) -> None:
    assert a_replica_overwrites_what_it_wrote_itself(rule, edits)


@each(PARTLY_REPLACED)
@given(data=st.data())
def test_the_stamp_of_a_field_never_falls_whatever_the_clocks(rule: Rule, data: st.DataObject) -> None:
    assert the_stamp_of_a_field_never_falls(rule, data.draw(wild_history(rule)))


@each(JOINED + OWN_JOINED)
@given(data=st.data())
def test_what_several_do_to_a_field_is_all_in_it(rule: Rule, data: st.DataObject) -> None:
    assert joined_fields_hold_what_they_are_for(rule, data.draw(without_deletes(rule)))


@each(ARBITRATED)
@given(data=st.data())
def test_where_arrival_decides_nobody_loses_without_a_word(rule: Rule, data: st.DataObject) -> None:
    assert nobody_loses_without_a_word(rule, data.draw(history_and_delivery(rule)))


@each(OWN_MIXED)
@given(data=st.data())
def test_an_authors_function_has_the_last_word_where_it_is_asked(rule: Rule, data: st.DataObject) -> None:
    assert an_own_function_has_the_last_word(rule, data.draw(history_and_delivery(rule)))


@each([*ASKING, RIVALS])
@given(data=st.data())
def test_a_question_is_settled_by_an_answer_only(rule: Rule, data: st.DataObject) -> None:
    assert only_an_answer_settles(rule, data.draw(history_and_delivery(rule)))


@each([*ASKING, RIVALS])
@given(data=st.data())
def test_settlements_that_disagree_end_in_one_whichever_comes_first(rule: Rule, data: st.DataObject) -> None:
    assert settlements_may_come_in_any_order(rule, data.draw(settlements(rule)))


# The rules that are wrong.


MISTAKES: list[tuple[Rule, Callable[[Rule, Any], bool], Callable[[Rule], st.SearchStrategy[Any]]]] = [
    (broken.ArrivalWins(), order_does_not_matter, history_and_delivery),
    (broken.TiesGoToTheLast(), order_does_not_matter, history_and_delivery),
    (broken.PatchesAsRecords(), order_does_not_matter, history_and_delivery),
    (broken.AddsUp(), repeats_do_not_matter, told_again),
    (broken.MarksARepeat(), repeats_do_not_matter, told_again),
    (broken.BaseOffByOne(), order_does_not_matter, history_and_delivery),
    (broken.StampsOnly(), who_has_seen_everything_overwrites_it, history_and_latecomer),
    (broken.ForgetsItself(), a_replica_overwrites_what_it_wrote_itself, edits),
    (broken.NeverRaises(), the_stamp_of_a_field_never_falls, wild_history),
    (broken.broken(broken.CountsFromNothing()), order_does_not_matter, history_and_delivery),
    (broken.broken(broken.CountsFromNothing()), joined_fields_hold_what_they_are_for, without_deletes),
    (broken.broken(broken.CountsWhatIsLater()), joined_fields_hold_what_they_are_for, without_deletes),
    (broken.broken(broken.TakesTheLastNumber()), order_does_not_matter, history_and_delivery),
    (broken.broken(broken.GreaterUnlessSeen()), order_does_not_matter, history_and_delivery),
    (broken.broken(broken.ComparesStamps()), joined_fields_hold_what_they_are_for, without_deletes),
    (broken.broken(broken.RemovesWhatItHasNotSeen()), order_does_not_matter, history_and_delivery),
    (broken.broken(broken.AddsTakeAll()), order_does_not_matter, history_and_delivery),
    (broken.broken(broken.RemovalsComeLast()), joined_fields_hold_what_they_are_for, without_deletes),
    (broken.broken(broken.TakesWhatIsLater()), nobody_loses_without_a_word, history_and_delivery),
    (broken.broken(broken.TurnsAwaySilently()), nobody_loses_without_a_word, history_and_delivery),
    (broken.broken(broken.LosesQuietly()), nobody_loses_without_a_word, history_and_delivery),
    (broken.broken(broken.TakesAndAsks()), nobody_loses_without_a_word, history_and_delivery),
    (broken.broken(broken.WholeRowsSettle()), only_an_answer_settles, history_and_delivery),
    (broken.broken(broken.EverySecondEditSettles()), only_an_answer_settles, history_and_delivery),
    (broken.broken(broken.ArrivalSettles()), settlements_may_come_in_any_order, settlements),
    (UNASKED_IN_SIGHT, order_does_not_matter, history_and_delivery),
    (UNASKED_IN_SIGHT, joined_fields_hold_what_they_are_for, without_deletes),
    (SWAPPED, an_own_function_has_the_last_word, history_and_delivery),
    *((rule, order_does_not_matter, history_and_delivery) for rule in UNORDERED),
    *((rule, repeats_do_not_matter, told_again) for rule in UNREPEATABLE),
]


def mistake(rule: Rule, holds: Callable[[Rule, Any], bool]) -> str:
    return f"{rule.name if isinstance(rule, RecordRule) else type(rule).__name__}-{holds.__name__}"


@pytest.mark.parametrize(
    ("rule", "holds", "drawn"), MISTAKES, ids=[mistake(rule, holds) for rule, holds, _ in MISTAKES]
)
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
        assert grouping_does_not_matter(rule, data.draw(history_and_delivery(rule)))
        assert repeats_do_not_matter(rule, data.draw(told_again(rule)))
        assert who_has_seen_everything_overwrites_it(rule, data.draw(history_and_latecomer(rule)))
        assert a_replica_overwrites_what_it_wrote_itself(rule, data.draw(EDITS))
        assert the_stamp_of_a_field_never_falls(rule, data.draw(wild_history(rule)))

    holds()
