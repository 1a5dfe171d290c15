"""Two phones, one goal: when the app asks, what counts meanwhile, and what an answer does."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conflict_rules import State
from conflict_rules.wire import decode_state
from syncd.app import Conflict, Resources
from syncd.apps.grassroots import ONE, SAME_GOAL, TWO, app, counted_events, match_events, match_summary, score
from tests.apps.grassroots.make import MATCH, SCOPE, a_match, event, state_of
from tests.support.engine import Engine, Replica, open_engine

GOAL = {"match_id": MATCH, "kind": "goal", "team": "home", "minute": 23}


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    async with open_engine(tmp_path / "db", app=app) as engine:
        await engine.replica("clubhouse").create(MATCH, _type="match", _scope=SCOPE, **_fields(a_match()))
        yield engine


def _fields(match: Any) -> dict[str, Any]:
    return dict(match.to_fields())


def logged(phone: Replica, event_id: str, base: int = 0, /, **fields: Any) -> dict[str, Any]:
    """A goal, ready to push; `base`: the version of the match that the phone had been shown."""
    return phone.change("create", event_id, base, _type="event", _scope=SCOPE, **{**GOAL, **fields})


async def log(phone: Replica, event_id: str, base: int = 0, /, **fields: Any) -> dict[str, Any]:
    return (await phone.push(logged(phone, event_id, base, **fields)))[0]


async def correct(phone: Replica, event_id: str, base: int = 0, /, **fields: Any) -> dict[str, Any]:
    return (await phone.push(phone.change("update", event_id, base, _type="event", _scope=SCOPE, **fields)))[0]


async def delete(phone: Replica, event_id: str, base: int = 99) -> dict[str, Any]:
    return (await phone.push(phone.change("delete", event_id, base, _type="event", _scope=SCOPE)))[0]


async def settle(phone: Replica, question: Conflict, /, **fields: Any) -> dict[str, Any]:
    """By a phone that shows the question as it stands."""
    base = (await phone.engine.states(SCOPE))[question.id]["version"]
    change = phone.change("settle", question.id, base, _type="conflict", _scope=SCOPE, **fields)
    return (await phone.push({**change, "conflict": question.id}))[0]


async def resources(engine: Engine) -> Resources:
    """The match as a fresh replica shows it."""
    states = [decode_state(state, SCOPE) for state in (await engine.states(SCOPE)).values()]
    return Resources.from_states(app, states)


async def questions(engine: Engine) -> list[Conflict]:
    return (await resources(engine)).all(Conflict)


async def home_goals(engine: Engine) -> list[str]:
    """The ids of the goals that count for the home side."""
    return [goal["event_id"] for goal in score(await resources(engine))["goals"] if goal["team"] == "home"]


async def test_the_same_goal_from_two_phones_raises_one_question_and_counts_once(engine: Engine) -> None:
    a, b = engine.replica("a"), engine.replica("b")
    first = await log(a, "e1", player="Ada")
    second = await log(b, "e2", minute=24)

    assert first["outcome"] == "applied"
    assert (second["outcome"], second["code"]) == ("conflict", "question_asked")
    (question,) = await questions(engine)
    assert second["conflicts"] == [question.id]
    assert (question.question, question.open, question.field) == (SAME_GOAL, True, None)
    assert (question.about["id"], [other["id"] for other in question.others]) == ("e2", ["e1"])
    assert [candidate["key"] for candidate in question.candidates] == [ONE, TWO]
    assert question.message == "Goals for Reds from more than one phone: 23', 24'. Is it the same goal?"
    assert await home_goals(engine) == ["e1"]


async def test_every_view_counts_it_once(engine: Engine) -> None:
    await log(engine.replica("a"), "e1")
    await log(engine.replica("b"), "e2")
    seen = await resources(engine)

    assert [event.id for event in counted_events(seen)] == ["e1"]
    assert [told["id"] for told in match_events(seen)] == ["e1"]
    summary = match_summary(seen)
    assert summary["match"]["score"] == {"home": 1, "away": 0}
    assert [told["id"] for told in summary["recent_events"]] == ["e1"]


async def test_the_one_with_the_lower_id_counts_whichever_came_first(engine: Engine) -> None:
    await log(engine.replica("a"), "e9")
    assert await home_goals(engine) == ["e9"]
    await log(engine.replica("b"), "e1")
    assert await home_goals(engine) == ["e1"]


@pytest.mark.parametrize(("choice", "counts"), [(ONE, ["e1"]), (TWO, ["e1", "e2"])])
async def test_an_answer_of_either_phone_settles_it(engine: Engine, choice: str, counts: list[str]) -> None:
    a = engine.replica("a")
    await log(a, "e1")
    await log(engine.replica("b"), "e2")
    (question,) = await questions(engine)

    assert (await settle(a, question, choice=choice))["outcome"] == "applied"
    (settled,) = await questions(engine)
    assert (settled.open, settled.answer) == (False, choice)
    assert await home_goals(engine) == counts


async def test_a_question_that_is_opened_again_counts_once_again(engine: Engine) -> None:
    a = engine.replica("a")
    await log(a, "e1")
    await log(engine.replica("b"), "e2")
    (question,) = await questions(engine)
    await settle(a, question, choice=TWO)
    assert await home_goals(engine) == ["e1", "e2"]

    assert (await settle(a, question, status="open"))["outcome"] == "applied"
    assert (await questions(engine))[0].open
    assert await home_goals(engine) == ["e1"]


async def test_a_phone_is_never_asked_about_its_own_goals(engine: Engine) -> None:
    a = engine.replica("a")
    assert [outcome["outcome"] for outcome in await a.push(logged(a, "e1"), logged(a, "e2"))] == ["applied"] * 2
    assert await questions(engine) == []
    assert await home_goals(engine) == ["e1", "e2"]


async def test_who_had_been_shown_the_other_goal_is_not_asked(engine: Engine) -> None:
    """Law 1: the base of a create is the version of the match that the phone showed."""
    first = await log(engine.replica("a"), "e1")
    assert (await log(engine.replica("b"), "e2", first["version"]))["outcome"] == "applied"
    assert (await log(engine.replica("c"), "e3", first["version"] - 1))["outcome"] == "conflict"


async def test_a_goal_that_was_shown_before_its_correction_was_shown(engine: Engine) -> None:
    a = engine.replica("a")
    first = await log(a, "e1")
    await correct(a, "e1", first["version"], player="Ada")
    assert (await log(engine.replica("b"), "e2", first["version"]))["outcome"] == "applied"
    assert await questions(engine) == []


async def test_a_base_that_the_server_never_reached_claims_nothing(engine: Engine) -> None:
    await log(engine.replica("a"), "e1")
    assert (await log(engine.replica("b"), "e2", 900))["outcome"] == "conflict"


@pytest.mark.parametrize(
    ("first", "second", "asked"),
    [
        ({}, {"minute": 25}, True),
        ({}, {"minute": 26}, False),
        ({"minute": 25}, {}, True),
        ({"minute": 26}, {}, False),
        ({"minute": 45, "added": 2}, {"minute": 45}, True),
        ({"minute": 45, "added": 2}, {"minute": 44}, False),
        ({"minute": 45, "added": 1}, {"minute": 46}, False),
        ({"minute": 45, "period": 1}, {"minute": 45}, True),
        ({"minute": 46, "period": 1}, {"minute": 46}, False),
        ({"minute": 46, "period": 1}, {"minute": 45}, True),
        ({"team": "away"}, {}, False),
        ({"kind": "own_goal", "team": "away"}, {}, True),
        ({"kind": "own_goal"}, {}, False),
        ({"kind": "own_goal"}, {"kind": "own_goal"}, True),
        ({"kind": "assist"}, {"kind": "assist"}, False),
        ({"kind": "penalty"}, {}, False),
        ({"minute": 120, "period": 5}, {"minute": 120, "period": 5}, False),
        ({"player": "Ada"}, {"player": "Bo"}, True),
    ],
)
async def test_goals_are_alike_by_side_period_and_minute(
    engine: Engine, first: dict[str, Any], second: dict[str, Any], asked: bool
) -> None:
    """Side: the one that gets the goal. Period: as said, or else as the minute tells. Minute: with what was added."""
    await log(engine.replica("a"), "e1", **first)
    outcome = await log(engine.replica("b"), "e2", **second)
    assert (outcome["outcome"] == "conflict") is asked
    assert len(await questions(engine)) == asked


@pytest.mark.parametrize(("window", "apart", "asked"), [(0, 0, True), (0, 1, False), (5, 5, True), (5, 6, False)])
async def test_the_window_is_a_field_of_the_match(engine: Engine, window: int, apart: int, asked: bool) -> None:
    clubhouse = engine.replica("manager")
    await clubhouse.push(clubhouse.change("update", MATCH, 1, _type="match", _scope=SCOPE, same_goal_minutes=window))
    await log(engine.replica("a"), "e1")
    await log(engine.replica("b"), "e2", minute=23 + apart)
    assert len(await questions(engine)) == asked


async def test_the_usual_window_goes_for_a_match_that_is_not_known_yet(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "other", app=app) as engine:
        await log(engine.replica("a"), "e1")
        assert (await log(engine.replica("b"), "e2", minute=25))["outcome"] == "conflict"


async def test_three_phones_with_one_goal_are_asked_twice_and_it_is_one_goal(engine: Engine) -> None:
    for name, event_id in zip("abc", ("e1", "e2", "e3"), strict=True):
        await log(engine.replica(name), event_id)
        assert await home_goals(engine) == ["e1"]
    first, second = sorted(await questions(engine), key=lambda question: len(question.others))
    assert (first.about["id"], [other["id"] for other in first.others]) == ("e2", ["e1"])
    assert (second.about["id"], [other["id"] for other in second.others]) == ("e3", ["e1", "e2"])
    phone = engine.replica("d")
    for question in (first, second):
        await settle(phone, question, choice=ONE)
        assert await home_goals(engine) == ["e1"]


@pytest.mark.parametrize(("answers", "goals"), [((ONE, ONE), 1), ((ONE, TWO), 2), ((TWO, ONE), 2), ((TWO, TWO), 3)])
async def test_two_answers_tell_how_many_goals_three_phones_have_logged(
    engine: Engine, answers: tuple[str, str], goals: int
) -> None:
    for name, event_id in zip("abc", ("e1", "e2", "e3"), strict=True):
        await log(engine.replica(name), event_id)
    phone = engine.replica("d")
    for question, answer in zip(
        sorted(await questions(engine), key=lambda question: len(question.others)), answers, strict=True
    ):
        await settle(phone, question, choice=answer)
    assert len(await home_goals(engine)) == goals


async def test_of_several_it_is_taken_for_the_nearest(engine: Engine) -> None:
    await log(engine.replica("a"), "e1", minute=21)
    await log(engine.replica("b"), "e2", minute=24)
    assert await questions(engine) == []
    await log(engine.replica("c"), "e3", minute=23)
    (question,) = await questions(engine)
    assert [other["id"] for other in question.others] == ["e2", "e1"]
    assert await home_goals(engine) == ["e1", "e2"]


async def test_a_correction_in_the_same_queue_can_make_two_goals_alike(engine: Engine) -> None:
    """Typed in haste: 32 for 23. The phone has not been shown the other one's goal when it puts that right."""
    await log(engine.replica("a"), "e1")
    b = engine.replica("b")
    assert (await log(b, "e2", minute=32))["outcome"] == "applied"
    outcome = await correct(b, "e2", minute=23)
    assert outcome["outcome"] == "conflict"
    (question,) = await questions(engine)
    assert (question.about["id"], question.others[0]["id"]) == ("e2", "e1")


async def test_a_correction_of_anything_else_raises_no_question(engine: Engine) -> None:
    await log(engine.replica("a"), "e1")
    b = engine.replica("b")
    await b.push(logged(b, "e2", minute=32), b.change("update", "e2", 0, _type="event", _scope=SCOPE, notes="header"))
    assert await questions(engine) == []


async def test_a_correction_of_a_goal_that_had_come_back_from_the_server_raises_no_question(engine: Engine) -> None:
    """Its base tells of that goal only, and not which others were shown."""
    a, b = engine.replica("a"), engine.replica("b")
    first = await log(a, "e1")
    await log(b, "e2", first["version"], minute=24)
    assert (await correct(a, "e1", first["version"], minute=22))["outcome"] == "applied"
    assert await questions(engine) == []
    assert await home_goals(engine) == ["e1", "e2"]


async def test_nobody_is_asked_twice(engine: Engine) -> None:
    await log(engine.replica("a"), "e1")
    b = engine.replica("b")
    await log(b, "e2")
    (question,) = await questions(engine)
    await settle(engine.replica("a2"), question, choice=TWO)
    assert (await correct(b, "e2", minute=24))["outcome"] in ("applied", "merged")
    assert len(await questions(engine)) == 1
    assert await home_goals(engine) == ["e1", "e2"]


async def test_a_further_question_leaves_out_what_was_asked_already(engine: Engine) -> None:
    await log(engine.replica("a"), "e1", minute=24)
    b = engine.replica("b")
    await log(b, "e2", minute=24)
    await log(engine.replica("c"), "e3", minute=28)
    assert (await correct(b, "e2", minute=26))["outcome"] == "conflict"
    asked = [(question.about["id"], [other["id"] for other in question.others]) for question in await questions(engine)]
    assert sorted(asked) == [("e2", ["e1"]), ("e2", ["e3"])]


async def test_a_repeat_of_the_push_asks_nothing_anew(engine: Engine) -> None:
    await log(engine.replica("a"), "e1")
    b = engine.replica("b")
    change = logged(b, "e2")
    told, again = (await b.push(change))[0], (await b.push(change))[0]
    assert (again["repeat"], again["conflicts"]) == (True, told["conflicts"])
    assert len(await questions(engine)) == 1


@pytest.mark.parametrize("deleted", ["e1", "e2"])
async def test_a_goal_that_is_deleted_takes_its_question_along(engine: Engine, deleted: str) -> None:
    a, b = engine.replica("a"), engine.replica("b")
    await log(a, "e1")
    await log(b, "e2")
    assert (await delete(a if deleted == "e1" else b, deleted))["outcome"] in ("applied", "merged")
    assert await questions(engine) == []
    assert await home_goals(engine) == [({"e1", "e2"} - {deleted}).pop()]


async def test_a_question_about_several_stays_as_long_as_one_of_them_does(engine: Engine) -> None:
    for name, event_id in zip("abc", ("e1", "e2", "e3"), strict=True):
        await log(engine.replica(name), event_id)
    await delete(engine.replica("d"), "e1")
    (question,) = await questions(engine)
    assert question.about["id"] == "e3"
    assert await home_goals(engine) == ["e2"]
    await delete(engine.replica("e"), "e2")
    assert await questions(engine) == []
    assert await home_goals(engine) == ["e3"]


async def test_an_answer_to_a_question_that_was_withdrawn_is_told_so(engine: Engine) -> None:
    a, b = engine.replica("a"), engine.replica("b")
    await log(a, "e1")
    await log(b, "e2")
    (question,) = await questions(engine)
    answer = a.change("settle", question.id, 4, _type="conflict", _scope=SCOPE, choice=ONE)
    await delete(b, "e2")
    outcome = (await a.push({**answer, "conflict": question.id}))[0]
    assert outcome["outcome"] in ("overruled", "rejected")
    assert outcome["code"] == "deleted"


async def test_who_said_one_and_deletes_it_has_the_other_one_counted(engine: Engine) -> None:
    a = engine.replica("a")
    await log(a, "e1")
    await log(engine.replica("b"), "e2")
    (question,) = await questions(engine)
    await settle(a, question, choice=ONE)
    await delete(a, "e1")
    assert await home_goals(engine) == ["e2"]


async def test_a_goal_that_is_corrected_to_something_else_is_no_twin_any_more(engine: Engine) -> None:
    await log(engine.replica("a"), "e1")
    b = engine.replica("b")
    await log(b, "e2")
    await correct(b, "e2", kind="assist")
    seen = await resources(engine)
    assert {event.id for event in counted_events(seen)} == {"e1", "e2"}
    await correct(b, "e2", kind="goal", team="away")
    assert (score(await resources(engine))["home"], score(await resources(engine))["away"]) == (1, 1)


def asked(question_id: str, about: str, *others: str, answer: str | None = None) -> Conflict:
    return Conflict.model_validate(
        {
            "id": question_id,
            "about": {"type": "event", "id": about},
            "others": [{"type": "event", "id": other} for other in others],
            "question": SAME_GOAL,
            "status": "open" if answer is None else "settled",
            "settlement": None if answer is None else {"value": answer},
        }
    )


def counted(goals: int, *questions: Conflict) -> list[str]:
    states = [state_of(event(f"e{number}")) for number in range(goals)]
    states += [state_of_question(question) for question in questions]
    return [event.id for event in counted_events(Resources.from_states(app, states))]


def state_of_question(question: Conflict) -> State:
    goal = state_of(event("e0"))
    fields = question.to_fields()
    return replace(
        goal, type="conflict", id=question.id, fields=fields, marks=dict.fromkeys(fields, goal.marks["kind"])
    )


def test_questions_that_go_round_in_a_circle_leave_one_goal() -> None:
    assert counted(3, asked("q1", "e1", "e0"), asked("q2", "e2", "e1"), asked("q3", "e0", "e2")) == ["e0"]


def test_other_questions_leave_goals_alone() -> None:
    other = asked("q1", "e1", "e0").model_copy(update={"question": "values"})
    assert counted(2, other) == ["e0", "e1"]
    assert counted(2, asked("q1", "e1", "gone")) == ["e0", "e1"]


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.lists(st.integers(0, 5), min_size=1, max_size=3), st.sampled_from([ONE, TWO])),
        max_size=8,
    ),
    st.randoms(use_true_random=False),
)
def test_whatever_was_answered_every_reader_counts_the_same_and_never_nothing(
    drawn: list[tuple[int, list[int], str]], chance: Any
) -> None:
    numbers = itertools.count()
    questions = [
        asked(f"q{next(numbers)}", f"e{about}", *(f"e{other}" for other in others), answer=answer)
        for about, others, answer in drawn
    ]
    whole = counted(6, *questions)
    chance.shuffle(questions)
    assert counted(6, *questions) == whole
    assert "e0" in whole, "the one with the lowest id is never the one that is left out"
