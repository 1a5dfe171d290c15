"""Law 11, dialects: clients that name no version, send no stamp and hear no outcome are merged as soundly as any."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import pytest

from conflict_rules.by_value import parts_by_value
from conflict_rules.wire import decode_state
from syncd.app import App, Resource, Veto, rules
from syncd.app.hooks import HookTransaction
from syncd.engine.authorise import membership_id
from syncd.engine.principal import OPERATOR
from tests.support.engine import Engine, Replica, open_engine, user
from tests.support.roles_club import roles_club

app = App("league")


@app.resource(scope="league", rule=rules.merge)
class Game(Resource):
    score: Annotated[int, rules.manual] = 0
    likes: Annotated[int, rules.counter] = 0
    place: str = ""


@app.on_change(Game)
async def nowhere(tx: HookTransaction, change: Any) -> None:
    if change.fields.get("place") == "nowhere":
        raise Veto("there is no such place")


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    async with open_engine(tmp_path / "syncd.db", app=app) as opened:
        yield opened


def game(replica: Any, op: str, base: int, /, **fields: Any) -> dict[str, Any]:
    made: dict[str, Any] = replica.change(op, "g", base, _type="game", _scope="league", **fields)
    return made


async def state(engine: Engine) -> Any:
    return (await engine.states("league"))["g"]


async def post_back(engine: Engine, replica: Any, believed: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """What an adapter does for a client that posts the row it was filled with."""
    now = decode_state(await state(engine), "league")
    parts = parts_by_value(app.type_of(Game).rule, now, believed, wanted)
    outcomes = await replica.push(*(game(replica, "update", part.base, **part.fields) for part in parts))
    return [outcome["outcome"] for outcome in outcomes]


async def test_who_pulls_before_every_push_does_not_overwrite_what_he_never_showed_anybody(engine: Engine) -> None:
    """Counterexample 16: B pulls A's 11 over his dirty 9, keeps the 9, and names the version of the 11 as his base."""
    a, b = engine.replica("a"), engine.replica("b")
    await a.push(game(a, "create", 0, score=0))
    await a.push(game(a, "update", 1, score=11))
    assert await post_back(engine, b, {"score": 0}, {"score": 9}) == ["conflict"]
    assert (await state(engine))["fields"]["score"] == 11
    # The base that the law forbids: as of the pull before the push. The 11 would be gone, and nobody asked.
    naive = engine.replica("naive")
    await naive.push(game(naive, "update", (await state(engine))["version"], score=9))
    assert (await state(engine))["fields"]["score"] == 9


async def test_a_belief_is_taken_field_by_field(engine: Engine) -> None:
    a, b = engine.replica("a"), engine.replica("b")
    await a.push(game(a, "create", 0, place="park", score=1))
    await a.push(game(a, "update", 1, score=2))
    outcomes = await post_back(engine, b, {"place": "park", "score": 1}, {"place": "hall", "score": 3})
    assert outcomes == ["applied", "conflict"]
    assert (await state(engine))["fields"] | {"likes": 0} == {"place": "hall", "score": 2, "likes": 0}


async def test_absolute_values_of_a_counter_add_up(engine: Engine) -> None:
    a, b, c = (engine.replica(name) for name in "abc")
    await a.push(game(a, "create", 0, likes=5))
    await post_back(engine, b, {"likes": 5}, {"likes": 6})
    await post_back(engine, c, {"likes": 5}, {"likes": 7})
    assert (await state(engine))["fields"]["likes"] == 8


async def test_a_change_without_a_stamp_gets_one_when_it_arrives(engine: Engine) -> None:
    a, b = engine.replica("a"), engine.replica("b")
    await a.push(game(a, "create", 0, place="early"))
    engine.clock.advance(5)
    late = game(b, "update", 0, place="late")
    del late["stamp"]
    (outcome,) = await b.push(late)
    assert outcome["outcome"] == "merged"
    assert (await state(engine))["fields"]["place"] == "late"


@pytest.mark.parametrize("corrects", [True, False])
async def test_the_refusal_that_nobody_hears_is_put_right_by_the_next_pull(engine: Engine, corrects: bool) -> None:
    """Counterexample 17; without the correction the client would show for ever what was refused."""
    a = engine.replica("a")
    await a.push(game(a, "create", 0, place="park"))
    cursor = (await engine.puller.pull("deaf", {"league": None}, None))["league"].cursor
    deaf = engine.replica("deaf")
    reply = await engine.pusher.push("deaf", 1, [game(deaf, "update", 1, place="nowhere")], corrects=corrects)
    assert reply.outcomes[0]["outcome"] == "rejected"
    page = (await engine.puller.pull("deaf", {"league": cursor}, None))["league"]
    assert [b'"park"' in body for body in page.bodies] == ([True] if corrects else [])


async def test_a_refused_create_comes_back_as_a_tombstone(engine: Engine) -> None:
    deaf = engine.replica("deaf")
    reply = await engine.pusher.push("deaf", 1, [game(deaf, "create", 0, place="nowhere")], corrects=True)
    assert reply.outcomes[0]["version"] == 1
    assert (await state(engine))["deleted"]


MATCH, NEW = "match:m1", "match:new"


@pytest.fixture
async def members(tmp_path: Path) -> AsyncIterator[Engine]:
    """A club with a match of Olga's, whose scorer is Sam, and a goal in it."""
    async with open_engine(tmp_path / "club.db", app=roles_club()) as opened:
        olga = opened.replica("olga-phone", principal=user("olga"))
        await olga.push(olga.change("create", "g1", 0, _type="event", _scope=MATCH, match_id="m1"))
        await opened.memberships.grant(OPERATOR, MATCH, "sam", "scorer")
        yield opened


async def push_apart(phone: Replica, *changes: dict[str, Any]) -> list[str]:
    """Push members of one group that do not stand together, which are refused whatever they say; how each came out."""
    first, *rest = changes
    between = phone.change("delete", "nothing", 0, _type="event", _scope=first["scope"])
    apart = [first, between, *rest]
    for n, change in enumerate(apart, 1):
        change["n"] = n
    reply = await phone.engine.pusher.push(phone.id, 1, apart, corrects=True, principal=phone.principal)
    return [str(outcome["outcome"]) for outcome in reply.outcomes]


async def test_what_was_refused_for_its_group_is_corrected_for_those_who_may_write_there(members: Engine) -> None:
    heads = []
    for name in ("sam", "stan"):
        phone = members.replica(f"{name}-phone", principal=user(name))
        changes = [phone.change("update", "g1", 1, _type="event", _scope=MATCH, _group="x", kind=kind) for kind in "ab"]
        first, _, last = await push_apart(phone, *changes)
        assert (first, last) == ("rejected", "rejected")
        heads.append((await members.states(MATCH))["g1"]["version"])
    # Sam's pull puts his phone right. Stan has no rights there, and leaves no trace.
    assert heads == [3, 3]


async def test_a_refusal_writes_nothing_of_what_changes_by_command_only(members: Engine) -> None:
    """Law 7: under the id of a membership a tombstone would keep Bob from ever beginning that scope."""
    stan, bob = (members.replica(f"{name}-phone", principal=user(name)) for name in ("stan", "bob"))
    place = {"_type": "membership", "_scope": "user:bob", "_group": "x", "of": NEW, "role": "owner"}
    changes = [stan.change("create", membership_id(NEW, "bob"), 0, **place) for _ in range(2)]
    assert await push_apart(stan, *changes) == ["rejected"] * 3
    assert await members.states("user:bob") == {}
    [outcome] = await bob.push(bob.change("create", "g2", 0, _type="event", _scope=NEW, match_id="new"))
    assert outcome["outcome"] == "applied"


async def test_a_refused_create_begins_no_scope(members: Engine) -> None:
    """With a tombstone in it, and nobody, it could never be anybody's."""
    stan, bob = (members.replica(f"{name}-phone", principal=user(name)) for name in ("stan", "bob"))
    creates = [
        stan.change("create", f"s{i}", 0, _type="event", _scope=NEW, _group="x", match_id="new") for i in range(2)
    ]
    assert await push_apart(stan, *creates) == ["rejected"] * 3
    assert (await members.states(NEW), await members.states("user:stan")) == ({}, {})
    [outcome] = await bob.push(bob.change("create", "g2", 0, _type="event", _scope=NEW, match_id="new"))
    assert outcome["outcome"] == "applied"
