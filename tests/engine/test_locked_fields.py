"""Fields that a role sees and may not set: telling what they hold settles nothing, adds nothing and moves no mark."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import pytest

from conflict_rules import conflict_id
from syncd.app import App, Resource, private, roles, rules
from syncd.engine.history import History
from tests.support.engine import Engine, Replica, open_engine, user

MARKET = "market:m"
OWNER, SCORER = user("olga"), user("sam")
PRICE = conflict_id("lot", "x", "price")


def market() -> App:
    """Of its lots and cards scorers write the notes, and owners everything."""
    app = App("market")
    app.scope("market", roles=("viewer", "scorer", "owner"))
    access = roles(read="viewer", write="scorer")

    @app.resource(scope="market:{market}", access=access)
    class Lot(Resource):
        market: str
        note: str = ""
        grade: str = private("", read="viewer", write="owner")
        place: Annotated[str, rules.server_wins] = private("", read="viewer", write="owner")
        points: Annotated[int, rules.counter] = private(0, read="viewer", write="owner")
        price: Annotated[int | None, rules.manual] = private(read="viewer", write="owner")

    @app.resource(scope="market:{market}", rule=rules.lww, access=access)
    class Card(Resource):
        market: str
        note: str = ""
        grade: str = private("", read="viewer", write="owner")

    return app


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    async with open_engine(tmp_path / "market.db", app=market()) as engine:
        yield engine


def edit(replica: Replica, op: str, base: int, /, *, _type: str = "lot", **fields: Any) -> dict[str, Any]:
    return replica.change(op, "x", base, _type=_type, _scope=MARKET, **fields)


async def begun(engine: Engine, type: str = "lot", **fields: Any) -> Replica:
    """Olga's lot or card at version 1, and Sam, who is a scorer there."""
    olga = engine.replica("olga-phone", principal=OWNER)
    [outcome] = await olga.push(edit(olga, "create", 0, _type=type, market="m", **fields))
    assert outcome["outcome"] == "applied", outcome
    await engine.memberships.grant(OWNER, MARKET, "sam", "scorer")
    return engine.replica("sam-phone", principal=SCORER)


@pytest.mark.parametrize("value", [1, 2])
async def test_a_settlement_is_refused_though_it_chooses_what_stands(engine: Engine, value: int) -> None:
    sam = await begun(engine, price=1)
    tablet = engine.replica("olga-tablet", principal=OWNER)
    [asked] = await tablet.push(edit(tablet, "update", 0, price=2))
    assert (asked["outcome"], asked["conflicts"]) == ("conflict", [PRICE])
    [outcome] = await sam.push(edit(sam, "settle", 9, price=value) | {"conflict": PRICE})
    assert (outcome["outcome"], outcome["code"], outcome["field"]) == ("rejected", "forbidden_field", "price")
    asked = (await engine.states(MARKET))[PRICE]["fields"]
    assert (asked["status"], asked["settlement"]) == ("open", None)


async def test_a_counter_that_is_told_once_more_does_not_count_it(engine: Engine) -> None:
    """A create may bring the plain number, and a create of what is there is merged into it."""
    sam = await begun(engine, points=5)
    [outcome] = await sam.push(edit(sam, "create", 0, market="m", note="again", points=5))
    assert (outcome["outcome"], outcome["told"]) == ("merged", ["points"])
    assert (await engine.fields(MARKET))["x"] == {"market": "m", "note": "again", "points": 5}


async def test_the_history_keeps_what_was_sent_and_knows_that_it_set_nothing(engine: Engine) -> None:
    sam = await begun(engine, points=5)
    await sam.push(edit(sam, "create", 0, market="m", note="again", points=5))
    history = History(engine.store, market())
    told: Any = await history.explain("lot", "x", field="points")
    [points] = told["fields"]
    assert (told["exact"], points["value"], points["version"]) == (True, 5, 1)
    assert points["set_by"]["replica"] == "olga-phone"
    assert [(each["replica"], each["value"], each["fate"]) for each in points["candidates"]] == [
        ("sam-phone", 5, "same")
    ]
    page: Any = await history.page("lot", "x")
    line = page["changes"][-1]
    assert (line["fields"]["points"], line["told"]) == (5, ["points"])
    assert line["over"].keys() == {"market"}


@pytest.mark.parametrize(("type", "field"), [("lot", "grade"), ("lot", "place"), ("card", "grade")])
async def test_an_edit_of_what_another_has_only_told_is_not_overruled(engine: Engine, type: str, field: str) -> None:
    """Olga's tablet is offline while Sam sends the record as he knows it, later by his clock."""
    sam = await begun(engine, type, **{field: "a"})
    tablet = engine.replica("olga-tablet", principal=OWNER)
    offline = edit(tablet, "update", 1, _type=type, **{field: "b"})
    engine.clock.advance(60)
    [told] = await sam.push(edit(sam, "update", 1, _type=type, note="sold", **{field: "a"}))
    assert (told["outcome"], told["told"]) == ("applied", [field])
    [edited] = await tablet.push(offline)
    assert edited["outcome"] == "merged", edited
    assert (await engine.fields(MARKET))["x"] == {"market": "m", "note": "sold", field: "b"}


async def test_who_tells_what_stands_and_nothing_else_changes_nothing(engine: Engine) -> None:
    sam = await begun(engine, grade="a")
    before = await engine.states(MARKET)
    [outcome] = await sam.push(edit(sam, "update", 0, grade="a"))
    assert (outcome["version"], outcome["told"]) == (1, ["grade"])
    assert await engine.states(MARKET) == before


async def test_whoever_may_set_a_field_sets_it_by_telling_it(engine: Engine) -> None:
    await begun(engine, points=5, grade="a")
    tablet = engine.replica("olga-tablet", principal=OWNER)
    [outcome] = await tablet.push(edit(tablet, "create", 0, market="m", points=5, grade="a"))
    assert "told" not in outcome
    assert (await engine.fields(MARKET))["x"]["points"] == 10
