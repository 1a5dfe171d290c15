"""Law 4: a page says, from its own snapshot, up to which number the replica's changes are in it."""

from __future__ import annotations

import json
from pathlib import Path

from conflict_rules import Change
from syncd.app import App, HookTransaction, Resource, rules
from tests.support.engine import Engine, open_engine


async def test_a_pull_says_that_a_change_whose_reply_was_lost_is_settled(engine: Engine) -> None:
    """Counterexample 6: otherwise the pending +1 is shown on top of a state that has it already."""
    a = engine.replica("a")
    await a.push(*(a.change("create", f"r{i}", 0, v=i) for i in range(3)))  # the reply never arrives
    page = (await engine.puller.pull("a", {"main": None}))["main"]
    assert (page.settled, page.more) == (3, False)


async def test_a_page_speaks_only_of_changes_within_its_own_range(engine: Engine) -> None:
    a = engine.replica("a")
    await a.push(*(a.change("create", f"r{i}", 0, text="x" * 900) for i in range(6)))
    cursor, more, told = None, True, []
    while more:
        page = (await engine.puller.pull("a", {"main": cursor}, 2000))["main"]
        cursor, more = page.cursor, page.more
        told.append((page.settled, max(json.loads(body)["origin"][1] for body in page.bodies)))
    assert len(told) > 1
    assert all(settled == newest for settled, newest in told)


async def test_each_scope_is_told_its_own_number(engine: Engine) -> None:
    a = engine.replica("a")
    await a.create("x", _scope="north", v=1)
    await a.create("y", _scope="south", v=1)
    await a.create("z", _scope="north", v=1)
    pages = await engine.puller.pull("a", {"north": None, "south": None, "west": None})
    assert {scope: page.settled for scope, page in pages.items()} == {"north": 3, "south": 2, "west": 0}


async def test_changes_without_an_effect_are_told_as_settled_too(engine: Engine) -> None:
    a = engine.replica("a")
    await a.create("x", v=1)
    await a.update("nobody", 1, v=1)
    assert (await engine.puller.pull("a", {"main": None}))["main"].settled == 2


async def test_other_replicas_are_told_nothing_of_it(engine: Engine) -> None:
    await engine.replica("a").create("x", v=1)
    pages = await engine.puller.pull("b", {"main": None})
    assert pages["main"].settled == 0
    assert (await engine.puller.pull(None, {"main": None}))["main"].settled == 0


async def test_a_change_that_says_what_already_stands_is_not_told_as_settled_before_earlier_ones(
    engine: Engine,
) -> None:
    """The SDK drops what is settled from its outbox, so the number it is told must cover a prefix of its changes."""
    await engine.replica("b", ahead_s=10).create("x", v="same", text="x" * 2000)
    a = engine.replica("a")
    await a.push(a.change("create", "y", 0, v=1))
    assert (await a.update("x", 0, v="same"))["version"] == 1, "it changed nothing, and points at what stands"

    first = (await engine.puller.pull("a", {"main": None}, 1000))["main"]
    assert (first.settled, first.more) == (0, True)
    last = (await engine.puller.pull("a", {"main": first.cursor}))["main"]
    assert (last.settled, last.more) == (2, False)


class Goal(Resource):
    text: str


async def test_a_page_that_ends_between_a_change_and_what_its_hook_wrote_tells_the_change_as_settled(
    tmp_path: Path,
) -> None:
    """The page holds what the change did; were it not told as settled, the pending one would be counted on top."""
    app = App("football")
    app.resource(scope="main", rule=rules.append)(Goal)

    @app.on_change(Goal)
    async def echo(tx: HookTransaction, change: Change) -> None:
        await tx.create(Goal(id=f"{change.id}-echo", text="x" * 900))

    async with open_engine(tmp_path / "db", app=app) as engine:
        a = engine.replica("a")
        await a.push(*(a.change("create", f"g{i}", 0, _type="goal", text="x" * 900) for i in range(3)))
        cursor, more, told = None, True, []
        while more:
            page = (await engine.puller.pull("a", {"main": cursor}, 1000))["main"]
            cursor, more = page.cursor, page.more
            told.append(([json.loads(body)["id"] for body in page.bodies], page.settled))
    assert told == [
        (["g0"], 1),
        (["g0-echo"], 1),
        (["g1"], 2),
        (["g1-echo"], 2),
        (["g2"], 3),
        (["g2-echo"], 3),
    ]
