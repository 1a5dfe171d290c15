"""Law 10: a restored or copied database is noticed, whatever it has written since."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from tests.support.engine import Engine, open_engine


async def write(engine: Engine, name: str, count: int) -> str:
    """Write `count` resources, and return the scope's cursor."""
    replica = engine.replica(name)
    await replica.push(*(replica.change("create", f"{name}-{i}", 0, v=i) for i in range(count)))
    return (await engine.puller.pull(name, {"main": None}))["main"].cursor


def copy_database(source: Path, target: Path) -> None:
    """What an operator's nightly backup does."""
    with sqlite3.connect(source) as live, sqlite3.connect(target) as copy:
        live.backup(copy)
    live.close()
    copy.close()


async def test_a_cursor_outlives_restarts_of_the_same_file(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "db") as engine:
        cursor = await write(engine, "a", 3)
    for _ in range(2):
        async with open_engine(tmp_path / "db") as engine:
            page = (await engine.puller.pull("a", {"main": cursor}))["main"]
            assert (page.reset, page.bodies) == (False, [])
    async with open_engine(tmp_path / "db") as engine:
        await write(engine, "b", 2)
        page = (await engine.puller.pull("a", {"main": cursor}))["main"]
        assert (page.reset, len(page.bodies)) == (False, 2)


async def test_phones_ahead_of_a_restored_database_start_over(tmp_path: Path) -> None:
    """Counterexample 15: new commits soon pass the phone's cursor, and what the new versions were would be missed."""
    async with open_engine(tmp_path / "db") as engine:
        early = await write(engine, "a", 5)
        copy_database(tmp_path / "db", tmp_path / "backup")
        ahead = await write(engine, "b", 5)
    shutil.copy(tmp_path / "backup", tmp_path / "restored")
    async with open_engine(tmp_path / "restored") as engine:
        await write(engine, "c", 10)
        pages = {
            name: (await engine.puller.pull(name, {"main": c}))["main"] for name, c in (("a", early), ("b", ahead))
        }
        assert (pages["a"].reset, len(pages["a"].bodies)) == (False, 10), "who is not ahead goes on"
        assert (pages["b"].reset, len(pages["b"].bodies)) == (True, 15), "who is ahead starts over"


async def test_two_copies_of_one_file_do_not_take_each_others_cursors(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "db") as engine:
        await write(engine, "a", 5)
    shutil.copy(tmp_path / "db", tmp_path / "copy")
    async with open_engine(tmp_path / "db") as engine:
        cursor = await write(engine, "b", 1)
    async with open_engine(tmp_path / "copy") as engine:
        await write(engine, "c", 3)
        assert (await engine.puller.pull("b", {"main": cursor}))["main"].reset


async def test_a_subscriber_from_an_earlier_incarnation_is_given_its_cursor_in_this_one(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "db") as engine:
        cursor = await write(engine, "a", 3)
    async with open_engine(tmp_path / "db") as engine:
        connection = engine.watcher.connect()
        standing = (await engine.watcher.subscribe(connection, {"main": cursor}))["main"]
        assert standing.cursor not in (None, cursor)
        page = (await engine.puller.pull("a", {"main": standing.cursor}))["main"]
        assert (page.cursor, page.reset) == (standing.cursor, False)


async def test_a_base_that_a_restored_database_has_not_reached_claims_nothing(tmp_path: Path) -> None:
    """Law 1: its person was shown a version of a past that is gone, and nothing of what was written since."""
    async with open_engine(tmp_path / "db") as engine:
        await write(engine, "a", 1)
        copy_database(tmp_path / "db", tmp_path / "restored")
        for version in range(1, 9):
            await engine.replica(f"lost-{version}").update("a-0", version, v=version)
        phone = engine.replica("phone")
        pending = phone.change("update", "a-0", 9, v="made before the restore")
    async with open_engine(tmp_path / "restored") as engine:
        engine.clock.advance(60)
        await engine.replica("b").update("a-0", 1, v="made after it")
        outcome = (await engine.replica("phone").push(pending))[0]
        assert outcome["outcome"] == "overruled"
        assert (await engine.fields())["a-0"] == {"v": "made after it"}
