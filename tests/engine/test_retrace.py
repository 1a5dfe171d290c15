"""The states that a resource has had, told from the ledger, are those that it has had: in random histories of every
rule, with deletes, restores, vetoes, groups, stale bases and wrong clocks."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from conflict_rules.wire import encode_state
from syncd.engine.entry import read_entry
from syncd.engine.history import History
from syncd.engine.retrace import Retrace
from syncd.errors import InvalidMessage
from tests.engine.club import club
from tests.sizes import SIZES
from tests.support.engine import Engine, Replica, open_engine

STEPS = 25


def edit(dice: random.Random, *, plain: bool) -> dict[str, Any]:
    """Some fields of a note. `plain`: as a create gives them."""
    number = dice.randrange(9)
    tags = dice.sample("abcd", 2)
    offers: dict[str, Any] = {
        "title": dice.choice(["one", "two", "forbidden"]),
        "body": f"body {number}",
        "likes": number if plain else {"increment": number},
        "best": number,
        "tags": tags if plain else {"add": tags[:1], "remove": tags[1:]},
        "score": number,
    }
    return {name: offers[name] for name in dice.sample(sorted(offers), dice.randrange(1, 5))}


async def step(engine: Engine, replica: Replica, dice: random.Random, head: int) -> None:
    """One push of one or two changes to `x`, made over any version up to now."""
    engine.clock.advance(dice.random())
    op = dice.choice(["create", "update", "update", "update", "update", "delete", "restore"])
    group = "g" if dice.random() < 0.2 else None
    changes = []
    for _ in range(2 if group else 1):
        fields = {} if op == "delete" else edit(dice, plain=op != "update")
        changes.append(replica.change(op, "x", dice.randint(0, head), _group=group, **fields))
    await replica.push(*changes)


@pytest.mark.parametrize("seed", range(SIZES.engine_histories))
async def test_every_state_is_told_as_it_was_and_can_be_gone_back_to(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    app = club()
    states: dict[int, dict[str, Any]] = {}
    async with open_engine(tmp_path / "syncd.db", app=app) as engine:
        replicas = [engine.replica(name, ahead_s=ahead) for name, ahead in (("a", 0), ("b", -300), ("c", 86400))]
        for _ in range(STEPS):
            await step(engine, dice.choice(replicas), dice, max(states, default=0))
            for state in (await engine.states()).values():
                states[state["version"]] = state
        async with engine.store.snapshot() as snapshot:
            page = await snapshot.history(("note", "x"), limit=1000, limit_bytes=1 << 30)
        declared = app.type("note")
        assert declared is not None
        retrace = Retrace(declared.rule, app.upgrades.lift)
        told: dict[int, Any] = {}
        for row in page.rows:
            retrace.take(read_entry(row))
            if retrace.state is not None:
                told[retrace.state.version] = encode_state(retrace.state)
        assert retrace.exact
        assert {version: told[version] for version in states} == states
        history = History(engine.store, app)
        why: Any = await history.explain("note", "x")
        assert all("set_by" in field for field in why["fields"] if "value" in field)
        await go_back(engine, history, dice, told)


async def go_back(engine: Engine, history: History, dice: random.Random, told: dict[int, Any]) -> None:
    """Undo to some version, and see that the resource says what it said then, but for what was said to stay."""
    if not told:
        return
    version = dice.choice(sorted(told))
    try:
        undo: Any = await history.undo("note", "x", version=version)
    except InvalidMessage as nothing:
        if nothing.problem_code != "nothing_to_undo":
            raise
        return
    change = undo["change"]
    judge = engine.replica("judge")
    made = judge.change(change["op"], "x", change["base"], **change.get("fields", {}))
    (outcome,) = await judge.push(made)
    if change.get("fields", {}).get("title") == "forbidden":
        return
    assert outcome["outcome"] == "applied", outcome
    now = (await engine.states())["x"]
    then = told[version]
    assert now.get("deleted", False) == then.get("deleted", False)
    left = set(undo["left"])
    for name, value in then.get("fields", {}).items():
        assert name in left or now["fields"][name] == value
    assert {*now.get("fields", {})} - {*then.get("fields", {})} <= {*left, "likes", "tags"}
