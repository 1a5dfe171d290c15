"""The script of every recorded match: what is tapped adds up to the record, and what should go wrong does."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from conflict_rules import Op
from syncd.demo.beats import (
    AcknowledgementLost,
    Answers,
    CatchUp,
    ClockJumps,
    Moment,
    PhoneKilled,
    PhoneName,
    Sees,
    ServerKilled,
    SignalGoes,
    SignalReturns,
    Tap,
)
from syncd.demo.fixtures import load_match, match_ids
from syncd.demo.script import CLOCK_AHEAD_MS, Script, same_goal, write_script
from syncd.demo.standing import timeline


def script_of(match: str) -> Script:
    ids = (f"id-{number:03}" for number in itertools.count())
    return write_script(load_match(match), lambda: next(ids))


@pytest.fixture(scope="module", params=match_ids())
def script(request: pytest.FixtureRequest) -> Script:
    return script_of(request.param)


def taps(script: Script) -> Iterator[Tap]:
    for beat in script.beats:
        if isinstance(beat, Tap):
            yield beat
        elif isinstance(beat, PhoneKilled):
            yield beat.tap


def played_by_one_hand(script: Script) -> dict[str, dict[str, Any]]:
    """What is there if every tap took effect in the order of the story."""
    there: dict[str, dict[str, Any]] = {}
    for tap in taps(script):
        edit = tap.edit
        if edit.op is Op.CREATE:
            there[edit.id] = {**edit.fields, "type": edit.type}
        elif edit.op is Op.DELETE:
            del there[edit.id]
        elif edit.id in there:
            there[edit.id].update(edit.fields)
    return there


def test_the_taps_add_up_to_the_record(script: Script) -> None:
    events = [fields for fields in played_by_one_hand(script).values() if fields["type"] == "event"]

    logged = [*script.events, *script.doubles]
    assert timeline(events) == timeline(event.to_fields() for event in logged)
    assert list(script.events) == list(script.record.events)


def test_moments_never_go_back(script: Script) -> None:
    moments = [beat.at for beat in script.beats]
    assert moments == sorted(moments)


def test_each_phone_logs_every_other_goal(script: Script) -> None:
    twice = {double.id for double in script.doubles}
    goal_phones = [
        tap.phone
        for tap in taps(script)
        if tap.edit.op is Op.CREATE and tap.edit.fields.get("kind") in ("goal", "own_goal") and tap.edit.id not in twice
    ]
    phantoms = 2
    a, b = goal_phones.count("A"), goal_phones.count("B")
    assert a + b == len(script.record.goals) + phantoms
    assert abs(a - b) <= 1


def test_every_match_with_a_goal_has_some_that_both_phones_log_without_a_signal_in_between(script: Script) -> None:
    goals = len(script.record.goals)
    assert len(script.doubles) == -(-goals // 3)
    creations = {
        beat.edit.id: (index, beat)
        for index, beat in enumerate(script.beats)
        for beat in ([beat.tap] if isinstance(beat, PhoneKilled) else [beat])
        if isinstance(beat, Tap) and beat.edit.op is Op.CREATE
    }
    for double in script.doubles:
        goal = script.goals[double.id]
        (first_id,) = [one for one, place in script.goals.items() if place == goal and one != double.id]
        (first_at, first), (second_at, second) = creations[first_id], creations[double.id]
        assert first_id < double.id
        assert {first.phone, second.phone} == {"A", "B"}
        assert not any(isinstance(beat, SignalReturns) for beat in script.beats[first_at:second_at])
        recorded = script.record.goals[goal]
        minutes = (double.minute + double.added) - (recorded.minute + recorded.added)
        assert minutes in (0, 1), "by another watch"
        assert double.period == script.events[goal].period


def test_questions_are_answered_when_the_signal_is_back_and_in_the_end_without_it(script: Script) -> None:
    answers = [(index, beat) for index, beat in enumerate(script.beats) if isinstance(beat, Answers)]
    assert [beat.phone for _, beat in answers] == ["A", "B"]
    (spell, _), (last, _) = answers
    assert isinstance(script.beats[spell - 1], CatchUp)
    assert isinstance(script.beats[last - 1], SignalGoes)
    assert [type(beat) for beat in script.beats[last + 1 :]] == [SignalReturns, CatchUp]


@pytest.mark.parametrize(
    ("about", "others", "same"),
    [("a1", ["b1"], True), ("a1", ["b2"], False), ("a1", ["b2", "b1"], True), ("none", ["b1"], False)],
)
def test_the_record_answers_which_goals_are_one(about: str, others: list[str], same: bool) -> None:
    """A goal that was none is the same as no other, and as no other one that was none."""
    goals = {"a1": 1, "b1": 1, "b2": 2}
    assert same_goal(goals, about, others) is same
    assert not same_goal(goals, "none", ["neither"])


def test_every_trouble_happens_once(script: Script) -> None:
    for trouble in (AcknowledgementLost, ServerKilled, PhoneKilled):
        assert sum(isinstance(beat, trouble) for beat in script.beats) == 1, trouble


def test_nearly_every_tap_is_made_without_signal_and_troubles_find_a_queue(script: Script) -> None:
    up: set[PhoneName] = set()
    queue: dict[PhoneName, int] = {"A": 0, "B": 0}
    offline = 0
    for beat in script.beats:
        match beat:
            case SignalReturns():
                up.update(beat.phones)
            case SignalGoes():
                up.difference_update(beat.phones)
            case CatchUp():
                assert up.issuperset(beat.phones), "only with signal"
                queue.update(dict.fromkeys(beat.phones, 0))
            case Tap():
                queue[beat.phone] += 1
                offline += beat.phone not in up
            case AcknowledgementLost() | ServerKilled():
                assert beat.phone not in up
                assert queue[beat.phone] > 0
            case PhoneKilled():
                assert beat.tap.phone not in up
                assert queue[beat.tap.phone] > 0
                offline += 1
    assert offline == sum(1 for _ in taps(script)) - 1, "all but the opening of the match"
    assert queue == {"A": 0, "B": 0}


def test_the_wrong_clock_spoils_a_goal_and_who_has_seen_it_puts_it_right(script: Script) -> None:
    jump = next((index for index, beat in enumerate(script.beats) if isinstance(beat, ClockJumps)), None)
    if jump is None:
        assert not script.events, "only a match without any event has nothing to correct"
        return
    clock, wrong, signal, sent, seen, gone, right = script.beats[jump : jump + 7]

    assert isinstance(script.beats[jump - 1], SignalGoes), "the clock goes wrong without signal, so nobody can tell it"
    assert clock == ClockJumps(clock.at, "B", CLOCK_AHEAD_MS)
    assert isinstance(wrong, Tap)
    assert isinstance(right, Tap)
    assert (wrong.phone, right.phone) == ("B", "A")
    assert wrong.edit.id == right.edit.id
    assert wrong.edit.fields != right.edit.fields
    assert isinstance(signal, SignalReturns)
    assert sent == CatchUp(sent.at, ("B",))
    assert isinstance(seen, Sees)
    assert (seen.phone, seen.edit) == ("A", wrong.edit)
    assert isinstance(gone, SignalGoes)
    if script.record.goals:
        created = next(tap.edit for tap in taps(script) if tap.edit.id == wrong.edit.id)
        assert created.fields["kind"] in ("goal", "own_goal")


def test_a_goal_is_logged_wrong_and_corrected_twice_without_signal() -> None:
    edits = [tap for tap in taps(script_of("wc2022-64")) if tap.phone == "A" and tap.edit.type == "event"][:3]

    assert [tap.edit.op for tap in edits] == [Op.CREATE, Op.UPDATE, Op.UPDATE]
    assert len({tap.edit.id for tap in edits}) == 1
    assert edits[0].edit.fields["minute"] == 22
    assert edits[1].edit.fields == {"minute": 23}
    assert edits[2].edit.fields == {"player": "Lionel MESSI"}


def test_goals_a_minute_apart_are_on_different_phones() -> None:
    script = script_of("wc2022-64")
    phones = {
        tap.edit.fields["minute"]: tap.phone
        for tap in taps(script)
        if tap.edit.op is Op.CREATE and tap.edit.type == "event"
    }
    assert {double.minute for double in script.doubles}.isdisjoint({80, 81})

    assert {phones[80], phones[81]} == {"A", "B"}


def test_both_phones_tap_times_of_the_match_in_different_fields() -> None:
    times = {
        (tap.phone, *tap.edit.fields)
        for tap in taps(script_of("wc2022-36"))
        if tap.edit.type == "match" and tap.edit.op is Op.UPDATE
    }

    assert times == {
        ("A", "first_half_started_at"),
        ("B", "first_half_ended_at"),
        ("A", "second_half_started_at"),
        ("A", "second_half_ended_at"),
    }


def test_a_goal_that_one_phone_deletes_is_edited_by_the_other_who_does_not_know() -> None:
    script = script_of("wc2022-64")
    deleted = [tap.edit.id for tap in taps(script) if tap.phone == "A" and tap.edit.op is Op.DELETE]
    edited = [tap.edit.id for tap in taps(script) if tap.phone == "B" and tap.edit.op is Op.UPDATE]

    assert set(deleted) & set(edited)


def test_stoppage_time_comes_before_the_next_half() -> None:
    assert Moment(45, 9) < Moment(46)
    assert [str(Moment(90, 4)), str(Moment(46)), str(Moment(150))] == ["90+4'", "46'", "after"]


def test_the_ids_of_the_phones_are_their_own() -> None:
    created = [tap.edit for tap in taps(script_of("wc2022-02")) if tap.edit.op is Op.CREATE]

    assert len({edit.id for edit in created}) == len(created)
