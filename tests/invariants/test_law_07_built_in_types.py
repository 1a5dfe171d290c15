"""Law 7: built-in types change only through their own commands, authorised against the scope they are about.

Counterexample 12: "User 42 may write `user:42`; memberships are resources there; he pushes one that says owner of
match:9f." Played with every type that is built in; memberships and share links come with accounts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import pytest

from conflict_rules import CONFLICT_TYPE, Change, Op, conflict_id
from syncd.app import App, Conflict, HookTransaction, Resource, new_id, rules
from syncd.app.builtin import BUILTIN_TYPES
from tests.support.engine import Engine, Replica, open_engine

MATCH, OWN = "match:9f", "user:42"

app = App("club")


@app.resource(scope="match:{match_id}", rule=rules.merge)
class Game(Resource):
    match_id: str
    home: Annotated[int, rules.manual] = 0


@app.resource(scope="match:{match_id}", rule=rules.append)
class Goal(Resource):
    match_id: str


@app.resource(scope="user:{user_id}", rule=rules.merge)
class Note(Resource):
    user_id: str
    text: str = ""


@app.on_change(Note)
async def writes_to_conflicts(tx: HookTransaction, change: Change) -> None:
    match change.fields.get("text"):
        case "create":
            await tx.create(Conflict(id="mine", about={"type": "game", "id": "g"}))
        case "settle":
            await tx.update(Conflict, SCORE, status="settled")
        case "answer":
            await tx.update(Conflict, ASKED, settlement={"value": "one"})
        case "delete":
            await tx.delete(Conflict, SCORE)
        case "withdraw":
            await tx.delete(Conflict, ASKED)


@app.on_change(Goal)
async def one_or_two(tx: HookTransaction, change: Change) -> None:
    goals = await tx.all(Goal, change.scope)
    if len(goals) > 1:
        await tx.ask("same_goal", about=goals[0], others=goals[1:], options=["one", "two"], id=f"asked-{change.id}")


SCORE = conflict_id("game", "g", "home")
ASKED = "asked-goal-b"

FORGED = {
    "about": {"type": "game", "id": "g"},
    "field": "home",
    "accepted": 9,
    "candidates": [{"key": "mine", "value": 9}],
    "status": "settled",
    "settlement": {"value": 9, "key": "mine"},
    "role": "owner",
}
"""What somebody would push who wants his own answer to stand, or more rights than he has."""


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    """A match with a question of each kind: over a score, and over two goals."""
    async with open_engine(tmp_path / "syncd.db", app=app) as engine:
        for name, score in (("a", 1), ("b", 2)):
            phone = engine.replica(name)
            await phone.push(
                phone.change("create", "g", 0, _type="game", _scope=MATCH, match_id="9f", home=score),
                phone.change("create", f"goal-{name}", 0, _type="goal", _scope=MATCH, match_id="9f"),
            )
        types = {name: state["type"] for name, state in (await engine.states(MATCH)).items()}
        assert (types[SCORE], types[ASKED]) == (CONFLICT_TYPE, CONFLICT_TYPE)
        yield engine


def pushed(user: Replica, op: Op | str, id: str, *, type: str, scope: str, group: str = "") -> dict[str, Any]:
    """Made by somebody who has seen everything, so that only the law stands in his way."""
    fields = {} if op == Op.DELETE else FORGED
    return user.change(str(op), id, 99, _type=type, _scope=scope, _group=group, **fields)


def note(user: Replica, group: str = "", text: str = "") -> dict[str, Any]:
    return user.change("create", new_id(), 0, _type="note", _scope=OWN, _group=group, user_id="42", text=text)


def told(outcomes: list[dict[str, Any]]) -> list[tuple[str, str | None]]:
    return [(outcome["outcome"], outcome.get("code")) for outcome in outcomes]


OPS = [op for op in Op if op is not Op.SETTLE]
"""A settlement is the command of a conflict; see below for what it may not do."""

each_op = pytest.mark.parametrize("op", OPS)
each_type = pytest.mark.parametrize("type", sorted(BUILTIN_TYPES))


@each_type
@each_op
async def test_who_may_write_his_own_scope_puts_nothing_there_that_speaks_of_another(
    engine: Engine, type: str, op: Op
) -> None:
    """Counterexample 12."""
    before = await engine.states(MATCH)
    user = engine.replica("user-42")
    outcomes = await user.push(pushed(user, op, "mine", type=type, scope=OWN), note(user))
    assert told(outcomes) == [("rejected", "built_in_type"), ("applied", None)]
    assert {state["type"] for state in (await engine.states(OWN)).values()} == {"note"}
    assert await engine.states(MATCH) == before


@each_op
@pytest.mark.parametrize("id", [SCORE, ASKED])
async def test_a_built_in_resource_is_not_changed_where_it_stands(engine: Engine, op: Op, id: str) -> None:
    before = await engine.states(MATCH)
    user = engine.replica("user-42")
    named = pushed(user, op, id, type=CONFLICT_TYPE, scope=MATCH)
    unnamed = pushed(user, op, id, type=CONFLICT_TYPE, scope=MATCH)
    del unnamed["scope"]
    assert told(await user.push(named, unnamed)) == [("rejected", "built_in_type")] * 2
    assert await engine.states(MATCH) == before


@each_op
@pytest.mark.parametrize("place", [0, 1, 2])
async def test_a_group_that_holds_one_is_refused_as_a_whole(engine: Engine, op: Op, place: int) -> None:
    """Whichever of its members it is, and though the others are his to make."""
    before = await engine.states(MATCH)
    user = engine.replica("user-42")
    group = [
        pushed(user, op, SCORE, type=CONFLICT_TYPE, scope=MATCH, group="g") if at == place else note(user, "g")
        for at in range(3)
    ]
    expected = [("rejected", "built_in_type" if at == place else "group_rejected") for at in range(3)]
    assert told(await user.push(*group)) == expected
    assert await engine.states(MATCH) == before
    assert await engine.states(OWN) == {}


@pytest.mark.parametrize("id", [SCORE, ASKED, "mine"])
@pytest.mark.parametrize("fields", [FORGED, {"status": "settled"}, {"settlement": {"value": 9}}, {"choice": "nine"}])
async def test_a_settlement_chooses_and_writes_nothing_else(engine: Engine, id: str, fields: dict[str, Any]) -> None:
    """The one op that a conflict knows: what it may name is an answer to what was asked."""
    before = await engine.states(MATCH)
    user = engine.replica("user-42")
    scope = OWN if id == "mine" else MATCH
    change = user.change("settle", id, 99, _type=CONFLICT_TYPE, _scope=scope, **fields) | {"conflict": id}
    (outcome,) = await user.push(change)
    code = {SCORE: "settle_the_resource", ASKED: "unknown_choice", "mine": "unknown_resource"}[id]
    assert (outcome["outcome"], outcome["code"]) == ("rejected", code)
    assert (await engine.states(MATCH), await engine.states(OWN)) == (before, {})


@each_op
async def test_the_server_makes_no_exception_for_whom_it_acts_for(engine: Engine, op: Op) -> None:
    before = await engine.states(MATCH)
    draft = pushed(engine.replica("any"), op, SCORE, type=CONFLICT_TYPE, scope=MATCH)
    del draft["n"], draft["stamp"]
    assert told(await engine.pusher.act([draft])) == [("rejected", "built_in_type")]
    assert await engine.states(MATCH) == before


@pytest.mark.parametrize("text", ["create", "settle", "answer", "delete"])
async def test_a_hook_settles_no_question_and_takes_none_about_a_field_away(engine: Engine, text: str) -> None:
    """Were the delete taken, the score would be in dispute for ever, with nothing left to settle."""
    before = await engine.states(MATCH)
    user = engine.replica("user-42")
    assert told(await user.push(note(user, text=text))) == [("rejected", "hook_failed")]
    assert (await engine.states(MATCH), await engine.states(OWN)) == (before, {})


async def test_a_hook_may_withdraw_a_question_that_a_hook_has_asked(engine: Engine) -> None:
    user = engine.replica("user-42")
    assert told(await user.push(note(user, text="withdraw"))) == [("applied", None)]
    assert (await engine.states(MATCH))[ASKED]["deleted"]


@pytest.mark.parametrize("scope", [OWN, MATCH])
async def test_nobody_keeps_a_question_from_being_asked_by_taking_its_id(engine: Engine, scope: str) -> None:
    """Not by a refused create either, in whose place law 11 puts a tombstone for those who hear of it by pull only."""
    user, scorer = engine.replica("user-42"), engine.replica("scorer")
    before = await engine.states(scope)
    change = pushed(user, Op.CREATE, "asked-goal-c", type=CONFLICT_TYPE, scope=scope)
    reply = await engine.pusher.push(user.id, 1, [change], corrects=True)
    assert told([dict(outcome) for outcome in reply.outcomes]) == [("rejected", "built_in_type")]
    assert await engine.states(scope) == before
    outcome = await scorer.create("goal-c", _type="goal", _scope=MATCH, match_id="9f")
    assert (outcome["outcome"], outcome["conflicts"]) == ("conflict", ["asked-goal-c"])
    assert (await engine.fields(MATCH))["asked-goal-c"]["status"] == "open"
