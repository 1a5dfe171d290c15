"""A copy that differs from the record in anything is named, and a report with a failed check does not hold."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console

from conflict_rules import State
from syncd.apps.grassroots import Event, app
from syncd.demo.audit import Check
from syncd.demo.fixtures import load_match
from syncd.demo.report import PLACES, Report, check_copies
from syncd.demo.script import Script
from syncd.demo.show import show_report
from syncd.demo.standing import Copy, copy_of, differences
from tests.demo.states import as_logged, questions_of, state_of

SCRIPT: Script = as_logged(load_match("wc2022-36"))
QUESTIONS = questions_of(SCRIPT)


def copy_with(*events: Event, questions: Sequence[State] = QUESTIONS) -> Copy:
    """With the goals that were logged twice, and what was asked about them."""
    return copy_of("somewhere", app, [*map(state_of, [*events, *SCRIPT.doubles]), *questions])


RIGHT = copy_with(*SCRIPT.events)


def test_the_record_itself_differs_in_nothing() -> None:
    assert differences(RIGHT, SCRIPT) == []


def test_a_missing_goal_is_named_with_minute_and_scorer() -> None:
    goals = [event for event in SCRIPT.events if event.kind == "goal"]
    copy = copy_with(*(event for event in SCRIPT.events if event is not goals[1]))

    assert differences(copy, SCRIPT) == ["the score is 0-2, not 0-3", "no goal at 51' by Phil FODEN"]


def test_a_goal_in_the_wrong_minute_is_named_though_the_score_is_right() -> None:
    events = [
        event.model_copy(update={"minute": 49}) if event.kind == "goal" and event.minute == 50 else event
        for event in SCRIPT.events
    ]

    assert differences(copy_with(*events), SCRIPT) == [
        "no goal at 50' by Marcus RASHFORD",
        "a goal at 49' by Marcus RASHFORD that the record does not have",
    ]


def test_a_goal_by_the_wrong_player_or_for_the_wrong_side_is_named() -> None:
    first = next(event for event in SCRIPT.events if event.kind == "goal")
    others = [event for event in SCRIPT.events if event is not first]

    assert differences(copy_with(first.model_copy(update={"player": "Harry KANE"}), *others), SCRIPT) != []
    assert "the score is 1-2, not 0-3" in differences(
        copy_with(first.model_copy(update={"team": "home"}), *others), SCRIPT
    )


def test_a_goal_twice_is_named() -> None:
    twice = SCRIPT.events[-1].model_copy(update={"id": "again"})

    assert any(
        "did not happen" in text or "does not have" in text
        for text in differences(copy_with(*SCRIPT.events, twice), SCRIPT)
    )


def test_a_lost_goal_is_named() -> None:
    lost = SCRIPT.events[0]
    copy = copy_with(*SCRIPT.events[1:])

    assert f"no goal at {lost.minute}' by {lost.player}" in differences(copy, SCRIPT)


def test_a_goal_that_both_phones_logged_is_missing_if_one_of_them_is_though_it_counts() -> None:
    twice = SCRIPT.doubles[0]
    (first,) = [event for event in SCRIPT.events if SCRIPT.goals[event.id] == SCRIPT.goals[twice.id]]
    copy = copy_with(*(event for event in SCRIPT.events if event is not first))

    assert len(copy.events) == len(SCRIPT.events)
    assert differences(copy, SCRIPT) == [f"{first.minute}' goal by {first.player} is missing"]


def test_a_goal_that_both_phones_logged_counts_twice_if_nobody_asks() -> None:
    assert "the score is 0-4, not 0-3" in differences(copy_with(*SCRIPT.events, questions=()), SCRIPT)


def test_every_place_is_checked_and_one_that_could_not_be_read_fails() -> None:
    copies = dict.fromkeys(PLACES, RIGHT)
    assert [check.ok for check in check_copies(copies, SCRIPT)] == [True] * 5

    del copies["family"]
    failed = [check.name for check in check_copies(copies, SCRIPT) if not check.ok]
    assert failed == ["family", "copies"]


def test_copies_that_differ_from_each_other_are_found_though_each_has_the_right_timeline() -> None:
    noted = SCRIPT.events[0].model_copy(update={"notes": "only here"})
    copies = {**dict.fromkeys(PLACES, RIGHT), "phone_a": copy_with(noted, *SCRIPT.events[1:])}

    assert [check.name for check in check_copies(copies, SCRIPT) if not check.ok] == ["copies"]


def report(*checks: Check, copy: Copy = RIGHT) -> Report:
    return Report(SCRIPT, dict.fromkeys(PLACES, copy), {"lost": 0, "made": 9}, checks, 12.3, None)


def test_a_report_holds_only_if_every_check_does() -> None:
    good, bad = Check("story", True, ""), Check("ledger", False, "")

    assert report(good).ok
    assert not report(good, bad).ok


def test_the_report_is_json_with_scores_and_timelines() -> None:
    facts = json.loads(json.dumps(report(Check("story", True, "told")).to_json()))

    assert (facts["ok"], facts["match"], facts["official"]["score"]) == (True, "wc2022-36", [0, 3])
    assert facts["copies"]["family"]["timeline"][-1] == ["68'", "goal", "away", "Marcus RASHFORD"]
    assert facts["checks"] == [{"name": "story", "ok": True, "detail": "told"}]


def test_a_person_sees_both_timelines_side_by_side_and_the_difference_marked() -> None:
    out = io.StringIO()
    lacking = copy_with(*(event for event in SCRIPT.events if event.minute != 51))
    show_report(Console(file=out, width=120), report(Check("fresh", False, "no goal"), copy=lacking))
    lines = out.getvalue().splitlines()

    assert any(line.count("Marcus RASHFORD") == 2 and "=" in line for line in lines)
    assert any("Phil FODEN" in line and "≠" in line for line in lines)
    assert any("does not hold: fresh" in line for line in lines)


def test_the_verdict_says_what_a_good_run_has_shown() -> None:
    out = io.StringIO()
    show_report(Console(file=out, width=120), replace(report(Check("story", True, "told")), folder="/somewhere"))

    assert "nothing acknowledged was lost" in out.getvalue()
    assert "/somewhere" in out.getvalue()
