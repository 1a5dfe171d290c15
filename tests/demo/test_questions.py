"""Each goal that both phones have logged was asked about, and each question was answered as the record has it."""

from __future__ import annotations

from conflict_rules import State
from syncd.apps.grassroots import ONE, TWO, app
from syncd.demo.fixtures import load_match
from syncd.demo.questions import Questions, check_questions
from syncd.demo.standing import copy_of
from tests.demo.states import as_logged, question, questions_of, state_of

SCRIPT = as_logged(load_match("wc2022-64"))
RIGHT = questions_of(SCRIPT)


def checked(*asked: State) -> Questions:
    states = [state_of(event) for event in [*SCRIPT.events, *SCRIPT.doubles]]
    return check_questions(copy_of("a fresh replica", app, [*states, *asked]), SCRIPT)


def test_what_was_asked_and_answered_is_counted() -> None:
    found = checked(*RIGHT)
    assert found.check.ok
    assert found.counts == {"doubled": 2, "asked": 2, "answered": 2}


def test_a_question_about_two_goals_in_two_minutes_is_answered_with_two() -> None:
    first, second = (event.id for event in SCRIPT.events if event.minute in (80, 81))
    assert checked(*RIGHT, question(SCRIPT.scope, second, first, answer=TWO)).check.ok
    wrong = checked(*RIGHT, question(SCRIPT.scope, second, first, answer=ONE)).check
    assert (wrong.ok, wrong.detail) == (False, "Is it the same goal? was answered with one, and not two")


def test_a_goal_that_nobody_asked_about_is_found() -> None:
    found = checked(*RIGHT[1:])
    assert not found.check.ok
    assert found.check.detail == "nobody asked whether Angel DI MARIA has scored twice about minute 36"


def test_a_question_that_nobody_answered_is_found() -> None:
    about, other = SCRIPT.doubles[0].id, RIGHT[0].fields["others"]
    assert isinstance(other, list)
    found = checked(question(SCRIPT.scope, about, str(other[0]["id"]), answer=None), RIGHT[1])
    assert (found.check.ok, found.counts["answered"]) == (False, 1)
    assert found.check.detail == "nobody has answered: Is it the same goal?"


def test_an_answer_that_makes_two_of_one_is_found() -> None:
    about, other = SCRIPT.doubles[0].id, RIGHT[0].fields["others"]
    assert isinstance(other, list)
    assert not checked(question(SCRIPT.scope, about, str(other[0]["id"]), answer=TWO), RIGHT[1]).check.ok


def test_nothing_to_look_at_is_not_well_answered() -> None:
    assert not check_questions(None, SCRIPT).check.ok
