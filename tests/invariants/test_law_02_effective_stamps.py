"""Law 2 on the server: the effective stamp is fixed once, clamped to the drift bound, and the device is flagged."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from conflict_rules import MAX_DRIFT_MS, Stamp
from tests.support.engine import Engine, open_engine


async def effective(engine: Engine, id: str) -> Stamp:
    return Stamp.parse((await engine.states())[id]["marks"][0][1])


async def test_a_clock_three_hours_ahead_is_clamped(engine: Engine) -> None:
    wrong = engine.replica("wrong", ahead_s=3 * 3600)
    await wrong.create("x", v="wrong")
    assert (await effective(engine, "x")).wall_ms == engine.clock() + MAX_DRIFT_MS


async def test_who_has_seen_the_wrong_clocks_value_overwrites_it(engine: Engine) -> None:
    """Counterexample 3."""
    wrong, right = engine.replica("wrong", ahead_s=24 * 3600), engine.replica("right")
    await wrong.create("x", v="wrong")
    assert (await right.update("x", 1, v="right"))["outcome"] == "applied"
    assert await engine.fields() == {"x": {"v": "right"}}


async def test_a_wrong_clock_cannot_win_for_ever(engine: Engine) -> None:
    wrong, right = engine.replica("wrong", ahead_s=24 * 3600), engine.replica("right")
    await right.create("x", v="first")
    await wrong.update("x", 0, v="wrong")
    engine.clock.advance(61)
    assert (await right.update("x", 0, v="later"))["outcome"] == "merged"
    assert await engine.fields() == {"x": {"v": "later"}}


async def test_a_slow_clock_does_not_strand_its_owner(engine: Engine) -> None:
    slow, other = engine.replica("slow", ahead_s=-3 * 3600), engine.replica("other")
    await other.create("x", v="theirs")
    assert (await slow.update("x", 1, v="mine"))["outcome"] == "applied"


async def test_the_stamps_of_a_replica_rise_with_its_numbers_even_when_they_are_clamped(engine: Engine) -> None:
    wrong = engine.replica("wrong", ahead_s=3600)
    await wrong.push(*(wrong.change("create", f"r{i}", 0, v=i) for i in range(3)))
    stamps = [await effective(engine, f"r{i}") for i in range(3)]
    assert stamps == sorted(stamps)
    assert len(set(stamps)) == 3


async def test_the_original_stamp_is_kept_and_the_device_flagged(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "db") as engine:
        change = engine.replica("wrong", ahead_s=3 * 3600).change("create", "x", 0, v=1)
        await engine.replica("wrong").push(change)
    with sqlite3.connect(tmp_path / "db") as database:
        (kept,) = database.execute("select change from changes").fetchone()
        (ahead_ms,) = database.execute("select clock_ahead_ms from replicas where id = 'wrong'").fetchone()
    database.close()
    assert change["stamp"] in bytes(kept).decode()
    assert ahead_ms == 3 * 3600 * 1000
