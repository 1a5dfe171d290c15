"""What the random histories have found, each as the short history that it comes down to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.reference.questions import question_id
from tests.reference.types import app_of
from tests.support.engine import Engine, open_engine

GAME: dict[str, Any] = {"_scope": "north", "_type": "game"}
ROSTER: dict[str, Any] = {"_scope": "south", "_type": "roster"}


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    async with open_engine(tmp_path / "syncd.db", app=app_of(["game", "roster"])) as engine:
        yield engine


async def test_a_group_that_fails_over_two_fields_asks_about_both(engine: Engine) -> None:
    a, b = engine.replica("a"), engine.replica("b")
    await a.create("g", x=1, y=1, **GAME)
    first = b.change("create", "g", 0, x=2, y=2, _group="both", **GAME)
    other = b.change("create", "h", 0, x=1, _group="both", **GAME)
    outcome, _ = await b.push(first, other)
    asked = [question_id("game", "g", name) for name in ("x", "y")]
    states = await engine.states("north")
    assert sorted(outcome["conflicts"]) == sorted(asked)
    assert [states[name]["fields"]["candidates"][1]["value"] for name in asked] == [2, 2]


async def test_what_was_in_dispute_before_a_delete_is_asked_again_when_an_edit_brings_the_resource_back(
    engine: Engine,
) -> None:
    a, b, c = engine.replica("a"), engine.replica("b"), engine.replica("c")
    await a.create("r", x=1, **ROSTER)
    await b.create("r", x=2, **ROSTER)
    asked = question_id("roster", "r", "x")
    await a.delete("r", 3, **ROSTER)
    assert (await engine.states("south"))[asked]["fields"]["status"] == "settled"
    await c.update("r", 1, y=5, **ROSTER)
    states = await engine.states("south")
    assert states["r"]["fields"] == {"x": 1, "y": 5}
    assert states["r"]["rule_data"]["x"]["open"]
    assert states[asked]["fields"]["status"] == "open"
    assert [each["value"] for each in states[asked]["fields"]["candidates"]] == [1, 2]


async def disputed_and_settled(engine: Engine) -> str:
    """Game `g`, whose x was in dispute between 1 and 2, and is 2 by an edit of a that had seen that."""
    a, b = engine.replica("a"), engine.replica("b")
    await a.create("g", x=1, **GAME)
    await b.create("g", x=2, **GAME)
    await a.update("g", 3, x=2, **GAME)
    return question_id("game", "g", "x")


async def reopen(engine: Engine, asked: str) -> dict[str, Any]:
    operator = engine.replica("operator")
    change = operator.change("settle", asked, 9, status="open", _scope="north", _type="conflict")
    return (await operator.push(change | {"conflict": asked}))[0]


async def test_a_conflict_is_opened_again_over_what_its_field_holds_by_then(engine: Engine) -> None:
    asked = await disputed_and_settled(engine)
    await engine.replica("c").update("g", 5, x=7, **GAME)
    await reopen(engine, asked)
    states = await engine.states("north")
    assert states[asked]["fields"]["status"] == "open"
    assert states[asked]["fields"]["accepted"] == states["g"]["fields"]["x"]


async def test_a_conflict_over_a_field_that_a_restore_has_left_out_is_not_opened_again(engine: Engine) -> None:
    asked = await disputed_and_settled(engine)
    d = engine.replica("d")
    await d.delete("g", 5, **GAME)
    await d.push(d.change("restore", "g", 5, y=3, **GAME))
    assert (await reopen(engine, asked))["code"] == "no_such_conflict"
    assert (await engine.fields("north"))["g"] == {"y": 3}
