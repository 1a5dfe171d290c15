"""Law 9, unknown ids: updating what never was, or what is gone for good, is rejected and kept; never a resurrection."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from conflict_rules import Kind, Rule, apply_change
from tests.conflict_rules.make import RULES, change, each, offers, play
from tests.support.engine import Engine, open_engine

each_rule = each(RULES)


@each_rule
@pytest.mark.parametrize("base", [0, 3, 900])
def test_an_update_of_what_is_not_there_is_rejected_and_makes_nothing(rule: Rule, base: int) -> None:
    """Counterexample 14: the tombstone has been trimmed, so there is nothing; a phone that slept sends its update."""
    zombie = apply_change(rule, None, change("sleeper", "update", 99, base=base, **offers(rule, "x")), 1)
    assert zombie.state is None
    assert (zombie.outcome.kind, zombie.outcome.code, zombie.outcome.field) == (
        Kind.REJECTED,
        "unknown_resource",
        "id",
    )
    assert zombie.outcome.message


@each_rule
def test_an_update_of_what_was_deleted_brings_nothing_back(rule: Rule) -> None:
    *_, deleted, zombie = play(
        rule,
        change("a", "create", 10, **offers(rule, "x", "y")),
        change("b", "delete", 20, base=1),
        change("sleeper", "update", 99, base=1, **offers(rule, "x")),
    )
    assert zombie.state is deleted.state
    assert zombie.state is not None
    assert zombie.state.deleted is not None
    assert zombie.state.fields == {}


async def test_the_server_keeps_a_rejected_update_with_its_reason_and_the_queue_behind_it_goes_on(
    tmp_path: Path,
) -> None:
    async with open_engine(tmp_path / "syncd.db") as engine:
        phone = engine.replica("phone")
        rejected, applied = await phone.push(
            phone.change("update", "never-was", 3, note="typed on the train"),
            phone.change("create", "x", 0, v=1),
        )
        assert (rejected["outcome"], rejected["code"]) == ("rejected", "unknown_resource")
        assert applied["outcome"] == "applied"
        assert list(await engine.states()) == ["x"]
    with sqlite3.connect(tmp_path / "syncd.db") as database:
        ((kept, outcome),) = database.execute("select change, outcome from changes where kind = 'rejected'").fetchall()
    database.close()
    assert b"typed on the train" in bytes(kept)
    assert b"unknown_resource" in bytes(outcome)


async def test_a_phone_that_slept_until_the_tombstone_was_gone_brings_nothing_back_half_empty(tmp_path: Path) -> None:
    """Counterexample 14, on a server: its update names what it was shown a year ago, and one field of it."""
    async with open_engine(tmp_path / "syncd.db") as engine:
        await engine.replica("a").create("x", title="a whole note", body="with a body")
        await engine.replica("a2").delete("x", 1)
        await engine.replica("a3").create("y", title="another")
    with sqlite3.connect(tmp_path / "syncd.db") as database:
        # What retention does in the end.
        assert database.execute("delete from states where deleted").rowcount == 1
    database.close()
    async with open_engine(tmp_path / "syncd.db") as engine:
        sleeper = engine.replica("sleeper")
        zombie = sleeper.change("update", "x", 1, title="typed before it fell asleep")
        unnamed = sleeper.change("update", "x", 1, title="the same without its scope")
        del unnamed["scope"]
        back = sleeper.change("restore", "x", 2)
        alive = sleeper.change("update", "y", 3, title="of what is there")
        outcomes = await sleeper.push(zombie, unnamed, back, alive)
        assert [(each["outcome"], each.get("code")) for each in outcomes] == [
            *[("rejected", "unknown_resource")] * 3,
            ("applied", None),
        ]
        assert list(await engine.states()) == ["y"]
        async with engine.store.snapshot() as snapshot:
            kept = await snapshot.quarantine(limit=10, limit_bytes=1 << 20)
        assert [json.loads(row.settled.change) for row in kept.rows] == [zombie, unnamed, back]


async def test_a_delete_of_what_never_was_leaves_no_tombstone(engine: Engine) -> None:
    assert (await engine.replica("phone").delete("never-was", 3))["outcome"] == "applied"
    assert await engine.states() == {}
