"""Explain: which change set a value, by what law, and what became of every other that wanted the field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from conflict_rules import Algebra, RecordRule
from conflict_rules.own import Own
from syncd.app import App, Resource
from syncd.engine.history import History
from tests.engine.club import club
from tests.support.engine import Engine, open_engine


async def explain(
    engine: Engine, id: str = "x", field: str | None = None, *, type: str = "note", app: App | None = None
) -> dict[str, Any]:
    told: Any = await History(engine.store, app or club()).explain(type, id, field=field)
    return dict(told)


async def field(engine: Engine, name: str, id: str = "x") -> dict[str, Any]:
    """What is told of one field, and of no other."""
    told = await explain(engine, id, name)
    assert told["exact"] is True
    (only,) = told["fields"]
    assert only["field"] == name
    return dict(only)


def fates(told: dict[str, Any]) -> list[tuple[str, Any, str]]:
    """The candidates, newest first: who, what, and what became of it."""
    return [(f"{each['replica']}.{each['n']}", each["value"], each["fate"]) for each in told["candidates"]]


async def test_a_first_value_came_with_the_resource(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "syncd.db", app=club()) as engine:
        await engine.replica("a").create("x", title="one")
        told = await explain(engine)
    assert (told["stands"], told["scope"], told["version"], told["rule"]) == ("living", "main", 1, "merge")
    assert told["because"] == "created by a #1 at version 1"
    (title,) = told["fields"]
    assert (title["field"], title["value"], title["rule"]) == ("title", "one", "lww")
    assert (title["set_by"]["replica"], title["set_by"]["n"]) == ("a", 1)
    assert title["because"] == "it came with the resource"
    assert title["candidates"] == []


async def test_who_had_seen_the_value_overwrites_it_by_law_2(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "syncd.db", app=club()) as engine:
        a, b = engine.replica("a", ahead_s=30), engine.replica("b", ahead_s=-3600)
        await a.create("x", title="one")
        await b.update("x", 1, title="two")
        told = await field(engine, "title")
    assert told["because"] == (
        "seen: its base 1 is not below version 1, which set this, so it may overwrite whatever the clocks say (law 2)"
    )
    assert fates(told) == [("a.1", "one", "overwritten")]
    assert told["candidates"][0]["by"] == {"replica": "b", "n": 1, "who": "b #1"}


async def test_a_replica_knows_its_own_earlier_changes_by_law_1(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "syncd.db", app=club()) as engine:
        a = engine.replica("a")
        await a.create("x", title="one")
        await a.update("x", 0, title="two")
        told = await field(engine, "title")
    assert "a had set this itself, and knows its own earlier changes (law 1)" in told["because"]


async def test_of_two_that_have_not_seen_each_other_the_later_stamp_stands_and_the_other_is_told_why(
    tmp_path: Path,
) -> None:
    async with open_engine(tmp_path / "syncd.db", app=club()) as engine:
        a, b = engine.replica("a"), engine.replica("b", ahead_s=30)
        await a.create("x", title="one")
        await b.update("x", 1, title="two")
        await a.update("x", 1, title="three")
        told = await field(engine, "title")
    assert (told["value"], told["set_by"]["replica"]) == ("two", "b")
    assert fates(told) == [("a.2", "three", "lost"), ("a.1", "one", "overwritten")]
    because = told["candidates"][0]["because"]
    assert because.startswith("not seen: its base 1 is below version 2, at which the field stood, and its stamp is the")
    assert "T12:00:30.000Z is after 2025-11-20T12:00:00.000Z (law 2)" in because


async def test_what_wins_by_its_stamp_says_that_it_had_not_seen_the_other(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "syncd.db", app=club()) as engine:
        a, b = engine.replica("a"), engine.replica("b", ahead_s=30)
        await a.create("x", title="one")
        await a.update("x", 1, title="two")
        await b.update("x", 1, title="three")
        told = await field(engine, "title")
    assert told["because"].startswith("not seen: its base 1 is below version 2")
    assert "its stamp is the later one" in told["because"]


async def test_a_whole_record_names_the_field_of_which_it_lost_only_a_part(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "syncd.db", app=club()) as engine:
        a, b = engine.replica("a"), engine.replica("b", ahead_s=30)
        await a.create("x", title="one", body="one")
        await b.update("x", 1, title="two")
        await a.update("x", 1, title="three", body="three")
        title, body = await field(engine, "title"), await field(engine, "body")
    assert fates(title)[0] == ("a.2", "three", "lost")
    assert (body["value"], fates(body)) == ("three", [("a.1", "one", "overwritten")])


async def test_the_parts_of_a_counter_all_stand(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "syncd.db", app=club()) as engine:
        a, b = engine.replica("a"), engine.replica("b")
        await a.create("x", likes=1)
        await b.update("x", 0, likes={"increment": 2})
        await a.update("x", 0, likes={"increment": -4})
        told = await field(engine, "likes")
    assert (told["value"], told["rule"]) == (-1, "counter")
    assert told["because"] == "counter: it adds -4; increments add up, seen or not"
    assert fates(told) == [("b.1", {"increment": 2}, "part"), ("a.1", 1, "part")]


async def test_a_rule_of_the_field_is_named(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "syncd.db", app=club()) as engine:
        a, b = engine.replica("a"), engine.replica("b", ahead_s=30)
        await a.create("x", best=5, score=1)
        await a.update("x", 1, score=2)
        await b.update("x", 1, best=3)
        await b.update("x", 1, score=3)
        best, score = await field(engine, "best"), await field(engine, "score")
    assert best["candidates"][0]["because"] == "max: a greater value stood"
    assert "under server_wins what the server holds stands" in score["candidates"][0]["because"]


def longest(base: Any, mine: Any, theirs: Any) -> Any:
    return max(mine, theirs, key=lambda text: (len(text), text))


class Motto(Resource):
    text: str


async def test_a_rule_that_is_asked_in_sight_too_does_not_speak_of_who_had_seen_what(tmp_path: Path) -> None:
    app = App("club")
    own = Own("longest", longest, Algebra(commutative=True, associative=True, idempotent=True))
    app.resource(scope="main", rule=RecordRule("longest", own))(Motto)
    async with open_engine(tmp_path / "syncd.db", app=app) as engine:
        a = engine.replica("a")
        await a.create("x", _type="motto", text="one")
        await a.update("x", 1, _type="motto", text="three")
        await a.update("x", 2, _type="motto", text="two")
        (text,) = (await explain(engine, type="motto", app=app))["fields"]
    assert (text["value"], text["because"]) == (
        "three",
        "the rule longest made this of what was held and of what came, seen or not",
    )
    assert fates(text) == [("a.3", "two", "lost"), ("a.1", "one", "overwritten")]
    assert text["candidates"][0]["because"] == "the rule longest chose what was held, seen or not"


async def test_what_was_rejected_is_a_candidate_with_its_reason(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "syncd.db", app=club()) as engine:
        a = engine.replica("a")
        await a.create("x", title="one")
        await a.update("x", 1, title="forbidden")
        told = await field(engine, "title")
    assert told["value"] == "one"
    assert fates(told) == [("a.2", "forbidden", "rejected")]
    assert told["candidates"][0]["because"] == "rejected: that title is not for us (vetoed)"


async def test_what_was_deleted_says_by_whom_and_what_came_too_late(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "syncd.db", app=club()) as engine:
        a, b = engine.replica("a"), engine.replica("b")
        await a.create("x", title="one")
        await b.delete("x", 1)
        await a.update("x", 1, title="two")
        told = await explain(engine)
    assert (told["stands"], told["because"]) == ("deleted", "deleted by b #1 at version 2")
    (title,) = told["fields"]
    assert "value" not in title
    assert fates(title) == [("a.2", "two", "lost"), ("a.1", "one", "deleted")]
    assert title["candidates"][0]["because"] == "it was deleted at version 2 by b meanwhile, and the delete wins"
    assert [each["because"] for each in told["life"]] == [
        "deleted by b #1 at version 2",
        "created by a #1 at version 1",
    ]


async def test_of_what_never_was_only_what_was_tried_is_told(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "syncd.db", app=club()) as engine:
        assert (await explain(engine))["because"] == "nothing was ever sent about it"
        await engine.replica("a").update("x", 0, title="on nothing")
        told = await explain(engine)
    assert (told["stands"], told["because"], told["changes"]) == ("nothing", "there is no such resource", 1)
    assert fates(told["fields"][0]) == [("a.1", "on nothing", "rejected")]


async def test_without_the_app_the_ledger_is_believed_and_said_to_be(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "syncd.db", app=club()) as engine:
        a = engine.replica("a")
        await a.create("x", likes=1, title="one")
        await a.update("x", 1, likes={"increment": 2})
        told = await explain(engine, app=App("another"))
    assert told["exact"] is False
    assert "rule" not in told
    assert {each["field"]: each["value"] for each in told["fields"]} == {"likes": 3, "title": "one"}
    assert all(each["set_by"]["replica"] == "a" for each in told["fields"])


async def test_of_very_many_candidates_the_newest_are_told_and_the_others_counted(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "syncd.db", app=club()) as engine:
        a = engine.replica("a")
        await a.create("x", title="0")
        await a.push(*(a.change("update", "x", 0, title=str(n)) for n in range(1, 121)))
        told = await field(engine, "title")
    assert told["value"] == "120"
    assert fates(told)[0] == ("a.120", "119", "overwritten")
    assert len(told["candidates"]) + told["older"] == 120
