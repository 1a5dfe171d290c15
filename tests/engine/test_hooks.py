"""Hooks: the author's code in the same transaction. It may veto, read what was written before, and write elsewhere."""

from __future__ import annotations

import asyncio
from itertools import groupby
from pathlib import Path

import pytest

from conflict_rules import Change
from syncd.app import App, HookTransaction, Resource, Veto, rules
from syncd.engine import hook_transaction
from tests.support.engine import Engine, open_engine


class Place(Resource):
    """A game with room for two."""

    capacity: int = 2


class Join(Resource):
    place_id: str
    player: str


class Tally(Resource):
    joins: int = 0


class Profile(Resource):
    name: str
    bio: str


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


async def test_a_hook_that_assigns_to_its_change_alters_nothing_that_is_kept(tmp_path: Path) -> None:
    app = club()

    @app.on_change(Place)
    async def careless(tx: HookTransaction, change: Change) -> None:
        change.scope, change.id, change.fields = "elsewhere", "q", {}  # type: ignore[misc]  # says the type checker

    async with open_engine(tmp_path / "db", app=app) as engine:
        await open_place(engine)
        ((_, state),) = (await engine.states("place:p")).items()
        assert (state["type"], state["id"], state["fields"]) == ("place", "p", {"capacity": 2})
        async with engine.store.snapshot() as snapshot:
            (row,) = (await snapshot.history(("place", "p"), limit=9, limit_bytes=1 << 20)).rows
        assert (row.settled.scope, row.settled.id, row.settled.kind) == ("place:p", "p", "applied")


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


async def test_a_hook_that_writes_to_what_is_not_there_refuses_its_change_and_the_queue_goes_on(tmp_path: Path) -> None:
    """Invariant 6: an error of the author's that depends on the data must not come back with every try."""
    app = club()

    @app.on_change(Join)
    async def count(tx: HookTransaction, change: Change) -> None:
        await tx.update(Tally, "t", joins=1)

    async with open_engine(tmp_path / "db", app=app) as engine:
        a = engine.replica("a")
        join = {"_type": "join", "_scope": "place:p", "place_id": "p", "player": "a"}
        outcomes = await a.push(
            a.change("create", "j1", 0, **join),
            a.change("create", "t", 0, _type="tally", _scope="tally"),
            a.change("create", "j2", 0, **join),
        )
        assert [(o["outcome"], o.get("code")) for o in outcomes] == [
            ("rejected", "hook_failed"),
            ("applied", None),
            ("applied", None),
        ]


async def test_a_hook_that_ends_in_a_cancellation_of_its_own_leaves_nobody_waiting(tmp_path: Path) -> None:
    app = club()

    @app.on_change(Join)
    async def gives_up(tx: HookTransaction, change: Change) -> None:
        if change.fields["player"] == "poison":
            errand = asyncio.create_task(asyncio.sleep(60))
            errand.cancel()
            await errand

    async with open_engine(tmp_path / "db", app=app) as engine, asyncio.timeout(10):
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


async def test_a_hook_that_waits_for_ever_refuses_its_change_and_holds_up_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook_transaction, "_PATIENCE_S", 0.05)
    app = club()

    @app.on_change(Join)
    async def waits(tx: HookTransaction, change: Change) -> None:
        if change.fields["player"] == "poison":
            await asyncio.Event().wait()

    async with open_engine(tmp_path / "db", app=app) as engine, asyncio.timeout(30):
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


async def test_a_hook_that_creates_under_an_id_taken_in_another_scope_spoils_no_version(tmp_path: Path) -> None:
    """Invariant 4: a resource lives in one scope for life, and a version counts in its own scope."""
    app = club()

    @app.on_change(Place)
    async def always_the_same_id(tx: HookTransaction, change: Change) -> None:
        await tx.create(Join(id="taken", place_id=change.id, player="echo"))

    async with open_engine(tmp_path / "db", app=app) as engine:
        a = engine.replica("a")
        for i in range(5):
            await a.create(f"j{i}", _type="join", _scope="place:p", place_id="p", player="a")
        assert (await a.create("p", _type="place", _scope="place:p"))["outcome"] == "applied"
        outcome = await a.create("q", _type="place", _scope="place:q")
        assert (outcome["outcome"], outcome["code"]) == ("rejected", "hook_failed")
        assert (await a.create("j5", _type="join", _scope="place:p", place_id="p", player="a"))["version"] == 8
        assert await engine.fields("place:q") == {}


async def test_a_hook_may_touch_many_scopes_and_swallow_whatever_it_is_told(tmp_path: Path) -> None:
    app = club()
    runs: list[str] = []

    @app.on_change(Join)
    async def tell_everybody(tx: HookTransaction, change: Change) -> None:
        runs.append(change.id)
        for i in range(40):
            try:
                await tx.create(Place(id=f"{change.id}-{i}"))
            except Exception as failure:
                raise Veto("whatever this was, it was no reason to refuse") from failure

    async with open_engine(tmp_path / "db", app=app) as engine:
        a, b = engine.replica("a"), engine.replica("b")
        outcomes = await asyncio.gather(
            *(r.create(r.id, _type="join", _scope="place:p", place_id="p", player="x") for r in (a, b))
        )
        assert [outcome["outcome"] for outcome in outcomes] == ["applied", "applied"]
        assert set(await engine.fields("place:b-39")) == {"b-39"}
        assert runs.count("a") == runs.count("b") == 2, "once to learn which locks it needs, once with them"


async def test_a_hook_that_touches_other_scopes_in_every_run_refuses_its_change_alone(tmp_path: Path) -> None:
    app = club()

    @app.on_change(Join)
    async def never_twice_the_same(tx: HookTransaction, change: Change) -> None:
        if change.fields["player"] == "poison":
            await tx.create(Place())

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


async def test_a_hooks_update_under_lww_carries_the_whole_record(tmp_path: Path) -> None:
    """Counterexample 5: were it a patch, a change stamped earlier would take the other fields, and mix two records."""
    app = club()
    app.resource(scope="profiles", rule=rules.lww)(Profile)

    @app.on_change(Join)
    async def rename(tx: HookTransaction, change: Change) -> None:
        await tx.update(Profile, "p", name="hook's")

    async with open_engine(tmp_path / "db", app=app) as engine:
        a, b = engine.replica("a"), engine.replica("b")
        await a.create("p", _type="profile", _scope="profiles", name="old", bio="old")
        early = b.change("update", "p", 1, _type="profile", _scope="profiles", name="B", bio="B")
        engine.clock.advance(5)
        await a.create("j", _type="join", _scope="place:p", place_id="p", player="a")
        assert (await b.push(early))[0]["outcome"] == "overruled"
        assert await engine.fields("profiles") == {"p": {"name": "hook's", "bio": "old"}}


async def test_a_long_push_lets_others_have_their_turn(tmp_path: Path) -> None:
    app = club()
    seen: list[str] = []

    @app.on_change(Join)
    async def look(tx: HookTransaction, change: Change) -> None:
        seen.append("change")

    async with open_engine(tmp_path / "db", app=app) as engine:
        a = engine.replica("a")
        joins = [
            a.change("create", f"j{i}", 0, _type="join", _scope="place:p", place_id="p", player="a") for i in range(350)
        ]
        pushing = asyncio.create_task(a.push(*joins))
        while not pushing.done():
            seen.append("turn")
            await asyncio.sleep(0)
    pieces = [len(list(run)) for what, run in groupby(seen) if what == "change"]
    assert sum(pieces) == 350
    assert max(pieces) <= 100
