"""Conflicts in the engine: opened, widened, settled and reopened in the commit of the change that does it (law 8)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import pytest

from conflict_rules import Change, conflict_id
from syncd.app import App, Conflict, HookTransaction, Resource, rules
from tests.support.engine import Engine, open_engine

app = App("league")


@app.resource(scope="league", rule=rules.merge)
class Game(Resource):
    home_score: Annotated[int, rules.manual] = 0
    venue: str = ""


@app.resource(scope="league", rule=rules.append)
class Goal(Resource):
    minute: int


@app.on_change(Goal)
async def twice(tx: HookTransaction, change: Change) -> None:
    new = await tx.get(Goal, change.id)
    for other in await tx.all(Goal, "league"):
        if new is not None and other.id != new.id and other.minute == new.minute:
            await tx.ask("same_goal", about=other, others=[new], options=["one", "two"], id=f"goal-{new.id}")


SCORE = conflict_id("game", "g", "home_score")


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    async with open_engine(tmp_path / "syncd.db", app=app) as opened:
        starter = opened.replica("starter")
        await starter.push(starter.change("create", "g", 0, _type="game", _scope="league", home_score=0, venue="park"))
        yield opened


def edit(replica: Any, base: int, *, op: str = "update", conflict: str | None = None, **fields: Any) -> dict[str, Any]:
    made: dict[str, Any] = replica.change(op, "g", base, _type="game", _scope="league", **fields)
    return made | ({"conflict": conflict} if conflict else {})


async def one(replica: Any, change: dict[str, Any]) -> dict[str, Any]:
    (outcome,) = await replica.push(change)
    return dict(outcome)


async def conflict(engine: Engine, name: str = SCORE) -> dict[str, Any]:
    return dict((await engine.states("league"))[name]["fields"])


async def disagree(engine: Engine, *scores: int) -> list[Any]:
    """Each score is entered by a replica of its own, on the state with none."""
    replicas = [engine.replica(f"phone-{score}") for score in scores]
    for replica, score in zip(replicas, scores, strict=True):
        await replica.push(edit(replica, 1, home_score=score))
    return replicas


async def test_five_replicas_that_disagree_are_one_conflict_with_five_candidates(engine: Engine) -> None:
    await disagree(engine, 1, 2, 3, 4, 5)
    open_one = await conflict(engine)
    assert open_one["status"] == "open"
    assert open_one["about"] == {"type": "game", "id": "g"}
    assert [candidate["value"] for candidate in open_one["candidates"]] == [1, 2, 3, 4, 5]
    assert open_one["accepted"] == 1
    assert (await engine.fields("league"))["g"]["home_score"] == 1


async def test_the_change_is_told_the_conflict_and_its_other_fields_take_effect(engine: Engine) -> None:
    await disagree(engine, 1)
    late = engine.replica("late")
    outcome = await one(late, edit(late, 1, home_score=2, venue="stadium"))
    assert (outcome["outcome"], outcome["conflicts"], outcome["lost"]) == ("conflict", [SCORE], ["home_score"])
    assert (await engine.fields("league"))["g"] == {"home_score": 1, "venue": "stadium"}


async def test_choosing_settles_it_for_everybody(engine: Engine) -> None:
    await disagree(engine, 1, 2)
    judge = engine.replica("judge")
    outcome = await one(judge, edit(judge, 5, op="settle", conflict=SCORE, home_score=2))
    assert outcome["outcome"] in ("applied", "merged")
    settled = await conflict(engine)
    assert (settled["status"], settled["settlement"]["value"], settled["accepted"]) == ("settled", 2, 2)
    assert settled["settlement"]["key"] == "phone-2.1"
    assert (await engine.fields("league"))["g"]["home_score"] == 2


async def test_it_can_be_opened_again_and_settled_anew(engine: Engine) -> None:
    await disagree(engine, 1, 2)
    judge = engine.replica("judge")
    await one(judge, edit(judge, 5, op="settle", conflict=SCORE, home_score=2))
    version = (await engine.states("league"))[SCORE]["version"]
    reopen = judge.change("settle", SCORE, version, _type="conflict", _scope="league", status="open")
    assert (await one(judge, reopen | {"conflict": SCORE}))["outcome"] == "applied"
    assert (await conflict(engine))["status"] == "open"
    states = await engine.states("league")
    assert states["g"]["rule_data"]["home_score"]["open"]
    await one(judge, edit(judge, states["g"]["version"], op="settle", conflict=SCORE, home_score=1))
    again = await conflict(engine)
    assert (again["settlement"]["value"], [each["value"] for each in again["settlements"]]) == (1, [2])


async def test_a_group_with_a_disagreement_is_in_conflict_as_a_whole(engine: Engine) -> None:
    await disagree(engine, 1)
    phone = engine.replica("phone")
    group = [
        phone.change("create", "before", 0, _type="goal", _scope="league", _group="g", minute=3),
        edit(phone, 1, home_score=2, venue="elsewhere") | {"group": "g"},
        phone.change("create", "after", 0, _type="goal", _scope="league", _group="g", minute=4),
    ]
    outcomes = await phone.push(*group)
    assert [(each["outcome"], each["code"]) for each in outcomes] == [
        ("conflict", "group_conflict"),
        ("conflict", "values_differ"),
        ("conflict", "group_conflict"),
    ]
    fields = await engine.fields("league")
    assert fields.keys().isdisjoint({"before", "after"})
    assert fields["g"] == {"home_score": 1, "venue": "park"}
    assert (await conflict(engine))["candidates"][1]["group"] == [1, 2, 3]


async def test_a_hook_asks_and_somebody_answers(engine: Engine) -> None:
    a, b = engine.replica("a"), engine.replica("b")
    await a.push(a.change("create", "one", 0, _type="goal", _scope="league", minute=36))
    told = await one(b, b.change("create", "two", 0, _type="goal", _scope="league", minute=36))
    assert (told["outcome"], told["conflicts"]) == ("conflict", ["goal-two"])
    asked = await conflict(engine, "goal-two")
    assert (asked["question"], asked["about"], asked["others"]) == (
        "same_goal",
        {"type": "goal", "id": "one"},
        [{"type": "goal", "id": "two"}],
    )
    version = (await engine.states("league"))["goal-two"]["version"]
    answer = a.change("settle", "goal-two", version, _type="conflict", _scope="league", choice="one")
    assert (await one(a, answer | {"conflict": "goal-two"}))["outcome"] == "applied"
    settled = Conflict.from_fields("goal-two", await conflict(engine, "goal-two"))
    assert (settled.open, settled.answer) == (False, "one")
    wrong = b.change("settle", "goal-two", version, _type="conflict", _scope="league", choice="three")
    assert (await one(b, wrong | {"conflict": "goal-two"}))["code"] == "unknown_choice"


async def test_a_deleted_resource_leaves_no_question(engine: Engine) -> None:
    (first, _) = await disagree(engine, 1, 2)
    await one(first, edit(first, 9, op="delete"))
    assert (await conflict(engine))["settlement"]["deleted"]


async def test_the_server_can_settle_for_somebody_who_has_no_replica(engine: Engine) -> None:
    await disagree(engine, 1, 2)
    draft = {"scope": "league", "type": "game", "id": "g", "op": "settle", "base": 3, "conflict": SCORE}
    outcomes = await engine.pusher.act([{**draft, "fields": {"home_score": 2}}, {**draft, "fields": {"home_score": 3}}])
    assert [each["outcome"] for each in outcomes] == ["applied", "applied"]
    (again,) = await engine.pusher.act([{**draft, "fields": {"home_score": 4}}])
    assert again["n"] == 3
    assert (await conflict(engine))["settlement"]["value"] == 4
