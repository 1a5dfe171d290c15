"""Invariant 10: a field that a client or the app does not know survives the round trip, also over an upgrade."""

from __future__ import annotations

from pathlib import Path

from syncd.app import App, Resource, rules
from tests.support.engine import open_engine
from tests.support.walking_club import v1, v3

league = App("league", version=1)


@league.resource(scope="main", rule=rules.merge)
class Note(Resource):
    text: str


@league.resource(scope="main", rule=rules.lww)
class Profile(Resource):
    name: str


async def test_a_field_that_the_app_does_not_know_is_kept_and_sent_to_everyone(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "syncd.db", app=league) as engine:
        await engine.replica("new").create("x", text="hello", colour={"name": "red", "alpha": 0.5})
        assert await engine.fields() == {"x": {"text": "hello", "colour": {"name": "red", "alpha": 0.5}}}


async def test_an_old_client_that_does_not_know_a_field_leaves_it_alone(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "syncd.db", app=league) as engine:
        new, old = engine.replica("new"), engine.replica("old")
        await new.create("x", text="hello", colour="red")
        await old.update("x", 1, text="hello again")
        assert await engine.fields() == {"x": {"text": "hello again", "colour": "red"}}


async def test_the_whole_record_of_an_old_client_is_no_more_than_it_knows(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "syncd.db", app=league) as engine:
        new, old = engine.replica("new"), engine.replica("old")
        await new.create("p", name="Ann", photo="p.jpg", _type="profile")
        await old.update("p", 1, name="Anna", _type="profile")
        assert await engine.fields() == {"p": {"name": "Anna", "photo": "p.jpg"}}


async def test_an_unknown_field_is_there_before_during_and_after_an_upgrade_of_the_app(tmp_path: Path) -> None:
    path = tmp_path / "syncd.db"
    async with open_engine(path, app=v1.club) as engine:
        old = engine.replica("old")
        await old.create("x", title="Dunes", miles=10, colour={"name": "red"}, _type="walk")
    async with open_engine(path, app=v3.club) as engine:
        old.engine = engine
        await old.update("x", 1, miles=20, shoes=["brown"], _type="walk")
        new = engine.replica("new")
        await new.push({**new.change("update", "x", 2, name="Dunes by night", _type="walk"), "schema": 3})
        assert await engine.fields() == {
            "x": {
                "title": "Dunes",
                "miles": 10,
                "name": "Dunes by night",
                "km": 32.19,
                "colour": {"name": "red"},
                "shoes": ["brown"],
            }
        }
