"""Law 8 on the whole engine: what settles a conflict, what does not, and which of two settlements stands.

Pushed to an engine on a file, and read as every reader reads it: by pull, also after the next start.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import pytest

from conflict_rules import conflict_id
from syncd.app import App, Resource, rules
from tests.support.engine import Engine, Replica, open_engine

app = App("league")


@app.resource(scope="league", rule=rules.merge)
class Game(Resource):
    home: Annotated[int, rules.manual] = 0
    away: Annotated[int, rules.manual] = 0
    venue: str = ""


SCORE = conflict_id("game", "g", "home")
VALUE_SEEN, QUESTION_SEEN = 1, 3
"""Versions of the league: the accepted 1 at home came with the first, and the question over it with the third."""


@asynccontextmanager
async def a_disputed_score(path: Path) -> AsyncIterator[Engine]:
    """A says 1 at home, B, who has not seen it, says 2; somebody else's game lies between. Then the server restarts."""
    async with open_engine(path, app=app) as engine:
        a, b = engine.replica("a"), engine.replica("b")
        await a.push(edit(a, 0, op="create", home=1, venue="park"))
        await a.push(a.change("create", "other", 0, _type="game", _scope="league"))
        (outcome,) = await b.push(edit(b, 0, home=2))
        assert (outcome["outcome"], outcome["conflicts"]) == ("conflict", [SCORE])
        assert (await game(engine))["version"] == QUESTION_SEEN
        engine.clock.advance(60)
    async with open_engine(path, app=app, clock=engine.clock) as engine:
        yield engine


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    async with a_disputed_score(tmp_path / "syncd.db") as engine:
        yield engine


def edit(replica: Replica, base: int, *, op: str = "update", conflict: str = "", **fields: Any) -> dict[str, Any]:
    made = replica.change(op, "g", base, _type="game", _scope="league", **fields)
    return made | ({"conflict": conflict} if conflict else {})


def settlement(replica: Replica, home: int, base: int = QUESTION_SEEN) -> dict[str, Any]:
    return edit(replica, base, op="settle", conflict=SCORE, home=home)


async def game(engine: Engine) -> dict[str, Any]:
    return (await engine.states("league"))["g"]


async def question(engine: Engine) -> dict[str, Any]:
    return dict((await engine.states("league"))[SCORE]["fields"])


async def test_a_later_edit_that_has_seen_the_question_settles_it(engine: Engine) -> None:
    """Its clock is an hour slow: who has seen it may answer it (law 2)."""
    referee = engine.replica("referee", ahead_s=-3600)
    (outcome,) = await referee.push(edit(referee, QUESTION_SEEN, home=3))
    assert outcome["outcome"] == "applied"
    asked = await question(engine)
    assert (asked["status"], asked["settlement"]["value"], asked["settlement"]["replica"]) == ("settled", 3, "referee")
    assert (await game(engine))["fields"]["home"] == 3


@pytest.mark.parametrize("replica", ["a", "c"])
async def test_an_edit_that_has_seen_the_value_but_not_the_question_leaves_it_open(
    engine: Engine, replica: str
) -> None:
    """A himself, or C who was shown A's value: neither knows that B disagrees."""
    unaware = engine.replica(replica)
    unaware.n = 2 if replica == "a" else 0
    (outcome,) = await unaware.push(edit(unaware, VALUE_SEEN, home=5))
    assert outcome["outcome"] == "applied"
    asked = await question(engine)
    assert (asked["status"], asked["settlement"], asked["accepted"]) == ("open", None, 5)
    assert [candidate["value"] for candidate in asked["candidates"]] == [1, 2], "what was asked is still asked"


async def test_an_edit_that_has_seen_neither_is_one_more_candidate(engine: Engine) -> None:
    stranger = engine.replica("stranger", ahead_s=30)
    (outcome,) = await stranger.push(edit(stranger, 0, home=7))
    assert outcome["outcome"] == "conflict"
    asked = await question(engine)
    assert (asked["status"], asked["accepted"]) == ("open", 1)
    assert [candidate["value"] for candidate in asked["candidates"]] == [1, 2, 7]


async def test_a_whole_row_that_repeats_the_accepted_value_settles_nothing_by_accident(engine: Engine) -> None:
    """A form that posts back every field: who moved the game to another venue has said nothing of its score."""
    form = engine.replica("form", ahead_s=30)
    (outcome,) = await form.push(edit(form, QUESTION_SEEN, home=1, away=0, venue="hall"))
    assert outcome["outcome"] == "applied"
    assert (await game(engine))["fields"] == {"home": 1, "away": 0, "venue": "hall"}
    asked = await question(engine)
    assert (asked["status"], asked["settlement"], asked["accepted"]) == ("open", None, 1)
    assert [candidate["value"] for candidate in asked["candidates"]] == [1, 2]
    # And it can still be settled, with the accepted value too, by who names it.
    referee = engine.replica("referee")
    await referee.push(settlement(referee, 1))
    assert (await question(engine))["settlement"]["value"] == 1


async def test_an_edit_of_another_field_of_the_same_kind_settles_nothing(engine: Engine) -> None:
    form = engine.replica("form")
    (outcome,) = await form.push(edit(form, QUESTION_SEEN, away=4))
    assert outcome["outcome"] == "applied"
    assert (await question(engine))["status"] == "open"


@pytest.mark.parametrize("named", [conflict_id("game", "g", "away"), conflict_id("game", "other", "home"), "c-none"])
async def test_a_settlement_that_names_another_conflict_settles_nothing(engine: Engine, named: str) -> None:
    before = await engine.states("league")
    referee = engine.replica("referee")
    (outcome,) = await referee.push(settlement(referee, 2) | {"conflict": named})
    assert (outcome["outcome"], outcome["code"]) == ("rejected", "no_such_conflict")
    assert await engine.states("league") == before


@pytest.mark.parametrize("first_to_arrive", ["early", "late"])
async def test_two_settlements_unseen_by_one_another_end_in_one_that_both_are_told(
    engine: Engine, first_to_arrive: str
) -> None:
    """Both made offline on the same question; whichever arrives first, the later stamp stands."""
    early, late = engine.replica("early", ahead_s=-20), engine.replica("late", ahead_s=-10)
    made = {"early": (early, settlement(early, 1)), "late": (late, settlement(late, 2))}
    order = sorted(made, key=lambda name: name != first_to_arrive)
    outcomes = {}
    for name in order:
        replica, change = made[name]
        (outcomes[name],) = await replica.push(change)
    assert outcomes["late"]["outcome"] in ("applied", "merged")
    if first_to_arrive == "late":
        assert (outcomes["early"]["outcome"], outcomes["early"]["code"]) == ("overruled", "settled_otherwise")
        assert outcomes["early"]["resource"]["fields"]["home"] == 2, "and is told what stands"
    else:
        assert outcomes["early"]["outcome"] == "applied"
    assert (await game(engine))["fields"]["home"] == 2
    asked = await question(engine)
    assert (asked["status"], asked["accepted"]) == ("settled", 2)
    assert (asked["settlement"]["value"], asked["settlement"]["replica"]) == (2, "late")
    assert [(each["value"], each["replica"]) for each in asked["settlements"]] == [(1, "early")]


@pytest.mark.parametrize("first_to_arrive", ["early", "late"])
async def test_whoever_settled_otherwise_meets_the_outcome_in_the_next_pull(
    engine: Engine, first_to_arrive: str
) -> None:
    """A push whose answer was lost is no matter: both replicas pull the conflict, with both settlements in it."""
    early, late = engine.replica("early", ahead_s=-20), engine.replica("late", ahead_s=-10)
    cursor = (await engine.puller.pull(None, {"league": None}))["league"].cursor
    settled = [(early, settlement(early, 1)), (late, settlement(late, 2))]
    for replica, change in settled if first_to_arrive == "early" else reversed(settled):
        await replica.push(change)
    for replica in (early, late):
        page = (await engine.puller.pull(replica.id, {"league": cursor}))["league"]
        assert (page.settled, page.more) == (1, False)
        assert any(SCORE.encode() in body and b'"settlements":[{' in body for body in page.bodies)


async def test_a_settlement_that_has_seen_another_stands_whatever_its_clock_says(engine: Engine) -> None:
    first, second = engine.replica("first", ahead_s=30), engine.replica("second", ahead_s=-3600)
    await first.push(settlement(first, 2))
    (outcome,) = await second.push(settlement(second, 1, (await game(engine))["version"]))
    assert outcome["outcome"] == "applied"
    asked = await question(engine)
    assert (asked["settlement"]["value"], [each["value"] for each in asked["settlements"]]) == (1, [2])


async def test_two_that_settle_alike_agree(engine: Engine) -> None:
    early, late = engine.replica("early", ahead_s=-20), engine.replica("late", ahead_s=-10)
    mine, theirs = settlement(early, 2), settlement(late, 2)
    outcomes = [(await late.push(theirs))[0], (await early.push(mine))[0]]
    assert {outcome["outcome"] for outcome in outcomes} <= {"applied", "merged"}
    asked = await question(engine)
    assert (asked["settlement"]["value"], (await game(engine))["fields"]["home"]) == (2, 2)
