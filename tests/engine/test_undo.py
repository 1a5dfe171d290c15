"""Undo: the ordinary change that leads back, for every rule; and what cannot be taken back is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from syncd.engine.history import History
from syncd.errors import InvalidMessage
from tests.engine.club import club
from tests.support.engine import Engine, Replica, open_engine


async def undo(engine: Engine, id: str = "x", type: str = "note", **to: Any) -> dict[str, Any]:
    told: Any = await History(engine.store, club()).undo(type, id, **to)
    return dict(told)


async def push(replica: Replica, change: dict[str, Any]) -> dict[str, Any]:
    """As whoever asked pushes it: with a number and a stamp of his own."""
    fields = {**change.get("fields", {}), "_type": change["type"], "_scope": change["scope"]}
    made = replica.change(change["op"], change["id"], change["base"], **fields)
    return (await replica.push(made))[0]


async def test_a_field_goes_back_to_what_it_said_at_a_version(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "syncd.db", app=club()) as engine:
        a = engine.replica("a")
        await a.create("x", title="one", body="one")
        await a.update("x", 1, title="two")
        await a.update("x", 2, title="three", body="three")
        told = await undo(engine, version=2, field="title")
        assert told == {
            "change": {
                "scope": "main",
                "type": "note",
                "id": "x",
                "op": "update",
                "base": 3,
                "fields": {"title": "two"},
            },
            "left": [],
        }
        assert (await push(a, told["change"]))["outcome"] == "applied"
        assert (await engine.fields())["x"] == {"title": "two", "body": "three"}


async def test_all_fields_go_back_together(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "syncd.db", app=club()) as engine:
        a = engine.replica("a")
        await a.create("x", title="one", likes=3, tags=["a", "b"])
        await a.update("x", 1, title="two", likes={"increment": 4}, tags={"add": ["c"], "remove": ["a"]})
        told = await undo(engine, version=1)
        assert told["change"]["fields"] == {
            "title": "one",
            "likes": {"increment": -4},
            "tags": {"add": ["a"], "remove": ["c"]},
        }
        await push(a, told["change"])
        assert (await engine.fields())["x"] == {"title": "one", "likes": 3, "tags": ["a", "b"]}


async def test_one_change_is_taken_back_and_what_came_after_it_in_other_fields_stays(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "syncd.db", app=club()) as engine:
        a, b = engine.replica("a"), engine.replica("b")
        await a.create("x", title="one", body="one")
        await b.update("x", 1, title="two")
        await a.update("x", 2, body="three")
        told = await undo(engine, change=("b", 1))
        await push(a, told["change"])
        assert (await engine.fields())["x"] == {"title": "one", "body": "three"}


async def test_what_was_deleted_comes_back(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "syncd.db", app=club()) as engine:
        a = engine.replica("a")
        await a.create("x", title="one", likes=2, tags=["t"])
        await a.delete("x", 1)
        told = await undo(engine, change=("a", 2))
        assert (told["change"]["op"], told["change"]["base"]) == ("restore", 2)
        await push(a, told["change"])
        assert (await engine.fields())["x"] == {"title": "one", "likes": 2, "tags": ["t"]}


async def test_what_was_not_there_yet_is_deleted(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "syncd.db", app=club()) as engine:
        a = engine.replica("a")
        await a.create("y", title="before it")
        await a.create("x", title="one")
        for told in (await undo(engine, change=("a", 2)), await undo(engine, version=1)):
            assert told["change"] == {"scope": "main", "type": "note", "id": "x", "op": "delete", "base": 2}
        assert (await push(a, told["change"]))["outcome"] == "applied"


async def test_a_whole_record_goes_back_as_a_whole(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "syncd.db", app=club()) as engine:
        a = engine.replica("a")
        await a.create("p", name="Ann", town="Ulm", _type="profile")
        await a.update("p", 1, name="Anna", town="Ulm", _type="profile")
        told = await undo(engine, "p", "profile", version=1)
    assert told["change"]["fields"] == {"name": "Ann", "town": "Ulm"}


async def test_what_no_change_can_take_back_is_named(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "syncd.db", app=club()) as engine:
        a = engine.replica("a")
        await a.create("x", title="one", best=3)
        await a.update("x", 1, title="two", best=5, body="set later")
        told = await undo(engine, version=1)
    assert told["left"] == ["best", "body"]
    assert told["change"]["fields"] == {"title": "one"}


@pytest.mark.parametrize(
    ("to", "code"),
    [
        ({"version": 2}, "nothing_to_undo"),
        ({"change": ("a", 9)}, "not_in_history"),
        ({"change": ("b", 1)}, "not_in_history"),
    ],
)
async def test_what_says_the_same_or_never_took_effect_is_a_sentence(
    tmp_path: Path, to: dict[str, Any], code: str
) -> None:
    async with open_engine(tmp_path / "syncd.db", app=club()) as engine:
        a = engine.replica("a")
        await a.create("x", title="one")
        await a.update("x", 1, title="two")
        await engine.replica("b").update("x", 0, title="forbidden")
        with pytest.raises(InvalidMessage) as refused:
            await undo(engine, **to)
    assert refused.value.problem_code == code


async def test_an_undo_can_be_undone(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "syncd.db", app=club()) as engine:
        a = engine.replica("a")
        await a.create("x", title="one")
        await a.update("x", 1, title="two")
        await push(a, (await undo(engine, version=1))["change"])
        await push(a, (await undo(engine, change=("a", 3)))["change"])
        assert (await engine.fields())["x"] == {"title": "two"}


async def test_a_counter_and_a_set_that_are_not_there_any_more_are_told_by_how_much_they_change(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "syncd.db", app=club()) as engine:
        a = engine.replica("a")
        await a.create("x", title="one", likes=2, tags=["t"])
        await a.delete("x", 1)
        await a.push(a.change("restore", "x", 2, title="one"))
        told = await undo(engine, version=1)
        assert told["change"]["op"] == "update"
        assert (await push(a, told["change"]))["outcome"] == "applied"
        assert (await engine.fields())["x"] == {"title": "one", "likes": 2, "tags": ["t"]}
