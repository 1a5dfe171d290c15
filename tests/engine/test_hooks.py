"""Hooks: the author's code in the same transaction. It may veto, read what was written before, and write elsewhere."""

from __future__ import annotations

import asyncio
from pathlib import Path

from conflict_rules import Change
from syncd.app import App, HookTransaction, Resource, Veto, rules
from tests.support.engine import Engine, open_engine


class Place(Resource):
    """A game with room for two."""

    capacity: int = 2


class Join(Resource):
    place_id: str
    player: str


class Tally(Resource):
    joins: int = 0


def club(**hooks: object) -> App:
    app = App("club")
    app.resource(scope="place:{id}", rule=rules.merge)(Place)
    app.resource(scope="place:{place_id}", rule=rules.append)(Join)
    app.resource(scope="tally", rule=rules.merge)(Tally)
    return app


async def full_when_full(tx: HookTransaction, change: Change) -> None:
    join = await tx.get(Join, change.id)
    assert join is not None, "a hook sees the change that it is called for"
    place = await tx.get(Place, join.place_id)
    assert place is not None
    if len(await tx.all(Join, change.scope)) > place.capacity:
        raise Veto("this game is full", code="full")


async def open_place(engine: Engine) -> None:
    await engine.replica("owner").create("p", _type="place", _scope="place:p", capacity=2)


async def test_ten_joins_for_two_places_in_one_group_commit_let_two_in(tmp_path: Path) -> None:
    """Law 5, counterexample 8."""
    app = club()
    app.on_change(Join)(full_when_full)
    async with open_engine(tmp_path / "db", app=app) as engine:
        await open_place(engine)
        phones = [engine.replica(f"phone-{i}") for i in range(10)]
        outcomes = await asyncio.gather(
            *(phone.create(phone.id, _type="join", _scope="place:p", place_id="p", player=phone.id) for phone in phones)
        )
        assert [outcome["outcome"] for outcome in outcomes].count("applied") == 2
        refused = [outcome for outcome in outcomes if outcome["outcome"] == "rejected"]
        assert {(outcome["code"], outcome["message"]) for outcome in refused} == {("full", "this game is full")}
        assert len(await engine.fields("place:p")) == 3


async def test_a_hook_that_fails_refuses_its_change_and_no_stranger(tmp_path: Path) -> None:
    app = club()

    @app.on_change(Join)
    async def broken(tx: HookTransaction, change: Change) -> None:
        if change.fields.get("player") == "poison":
            raise RuntimeError("a bug of the author's")

    async with open_engine(tmp_path / "db", app=app) as engine:
        outcomes = await asyncio.gather(
            *(
                engine.replica(player).create(player, _type="join", _scope="place:p", place_id="p", player=player)
                for player in ("good", "poison", "better")
            )
        )
        assert [(o["outcome"], o.get("code")) for o in outcomes] == [
            ("applied", None),
            ("rejected", "hook_failed"),
            ("applied", None),
        ]
        assert "bug" not in outcomes[1]["message"], "what the author's code says is for the log"


async def test_a_veto_takes_back_what_the_hook_wrote(tmp_path: Path) -> None:
    app = club()

    @app.on_change(Join)
    async def count_then_refuse(tx: HookTransaction, change: Change) -> None:
        await tx.create(Tally(id=change.id, joins=1))
        raise Veto("never")

    async with open_engine(tmp_path / "db", app=app) as engine:
        outcome = await engine.replica("a").create("j", _type="join", _scope="place:p", place_id="p", player="a")
        assert (outcome["outcome"], outcome["code"]) == ("rejected", "vetoed")
        assert await engine.fields("tally") == {}
        assert await engine.fields("place:p") == {}


async def test_hooks_that_write_to_each_others_scopes_do_not_deadlock(tmp_path: Path) -> None:
    """Law 5, counterexample 9: a hook that touches an unlocked scope re-runs the push with the larger sorted set."""
    app = club()
    runs: list[str] = []

    @app.on_change(Join)
    async def join_the_other_place(tx: HookTransaction, change: Change) -> None:
        runs.append(change.scope)
        other = {"a": "z", "z": "a"}[str(change.fields["place_id"])]
        await tx.create(Join(id=f"{change.id}-echo", place_id=other, player="echo"))

    async with open_engine(tmp_path / "db", app=app) as engine:
        await asyncio.gather(
            *(
                engine.replica(f"r-{place}").create(
                    f"j-{place}", _type="join", _scope=f"place:{place}", place_id=place, player="p"
                )
                for place in ("a", "z")
            )
        )
        assert set(await engine.fields("place:a")) == {"j-a", "j-z-echo"}
        assert set(await engine.fields("place:z")) == {"j-z", "j-a-echo"}
        runs.clear()
        await engine.replica("alone").create("j", _type="join", _scope="place:a", place_id="a", player="p")
        assert runs == ["place:a", "place:a"], "the hook ran again once the lock of the other place was held"


async def test_a_group_is_refused_as_a_whole_when_a_hook_vetoes_its_last_member(tmp_path: Path) -> None:
    app = club()
    app.on_change(Join)(full_when_full)
    async with open_engine(tmp_path / "db", app=app) as engine:
        await open_place(engine)
        a = engine.replica("a")
        outcomes = await a.push(
            *(
                a.change("create", f"j{i}", 0, _type="join", _scope="place:p", _group="g", place_id="p", player="a")
                for i in range(3)
            )
        )
        assert [o["code"] for o in outcomes] == ["group_rejected", "group_rejected", "full"]
        assert set(await engine.fields("place:p")) == {"p"}


async def test_a_hook_updates_and_deletes_what_stands(tmp_path: Path) -> None:
    app = club()

    @app.on_change(Join)
    async def keep_the_tally(tx: HookTransaction, change: Change) -> None:
        tally = await tx.get(Tally, "t")
        if tally is None:
            await tx.create(Tally(id="t", joins=1))
        elif tally.joins == 2:
            await tx.delete(Tally, "t")
        else:
            await tx.update(Tally, "t", joins=tally.joins + 1)

    async with open_engine(tmp_path / "db", app=app) as engine:
        a = engine.replica("a")
        for i, expected in enumerate(({"joins": 1}, {"joins": 2}, None)):
            await a.create(f"j{i}", _type="join", _scope="place:p", place_id="p", player="a")
            assert (await engine.fields("tally")).get("t") == expected
