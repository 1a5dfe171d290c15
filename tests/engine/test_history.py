"""History: who changed what, when by whose clock, what it took the place of, and what stands instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from syncd.engine.history import History
from syncd.errors import InvalidMessage
from tests.engine.club import club
from tests.support.engine import NOON_MS, Engine, open_engine


def history_of(engine: Engine) -> History:
    return History(engine.store, club())


async def lines(engine: Engine, id: str = "x", **how: Any) -> list[dict[str, Any]]:
    page: Any = await history_of(engine).page("note", id, **how)
    return list(page["changes"])


async def test_a_line_says_who_when_by_whose_clock_and_what_became_of_it(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "syncd.db", app=club()) as engine:
        phone = engine.replica("phone", ahead_s=3600)
        engine.clock.advance(5)
        await phone.create("x", title="one")
        (line,) = await lines(engine)
    assert (line["replica"], line["n"], line["op"], line["fields"]) == ("phone", 1, "create", {"title": "one"})
    assert (line["outcome"], line["version"], line["base"]) == ("applied", 1, 0)
    assert line["arrived_at_ms"] == NOON_MS + 5000
    assert line["made_at_ms"] == NOON_MS + 5000 + 3_600_000
    assert line["clock_ahead_ms"] == 3_600_000 - 60_000
    assert line["stamp"].endswith(".phone")
    assert line["effective_stamp"] < line["stamp"]


async def test_a_line_says_what_it_took_the_place_of_and_whether_that_was_known(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "syncd.db", app=club()) as engine:
        a, b = engine.replica("a"), engine.replica("b", ahead_s=1)
        await a.create("x", title="one", body="one")
        await a.update("x", 1, body="two")
        await b.update("x", 1, title="three", body="three")
        told = await lines(engine)
    assert [line.get("over") for line in told] == [
        None,
        {"body": {"replica": "a", "n": 1, "value": "one", "seen": True}},
        {
            "title": {"replica": "a", "n": 1, "value": "one", "seen": True},
            "body": {"replica": "a", "n": 2, "value": "two", "seen": False},
        },
    ]


async def test_a_line_of_what_lost_says_what_stands_instead(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "syncd.db", app=club()) as engine:
        a, b = engine.replica("a"), engine.replica("b", ahead_s=30)
        await a.create("x", title="one")
        await b.update("x", 1, title="two")
        await a.update("x", 1, title="three")
        *_, line = await lines(engine)
    assert (line["outcome"], line["code"], line["lost"]) == ("overruled", "later_change_stands", ["title"])
    assert line["stands_instead"] == {"title": {"replica": "b", "n": 1, "value": "two", "seen": False}}
    assert line["fields"] == {"title": "three"}


async def test_what_was_rejected_is_a_line_too_with_the_reason(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "syncd.db", app=club()) as engine:
        a = engine.replica("a")
        await a.update("x", 0, title="on nothing")
        (line,) = await lines(engine)
    assert (line["outcome"], line["code"], line["quarantine"]) == ("rejected", "unknown_resource", "waiting")
    assert line["message"]


async def test_what_a_hook_wrote_is_told_apart(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "syncd.db", app=club()) as engine:
        await engine.replica("a").create("x", title="echo")
        (line,) = await lines(engine, "x-echo")
    assert line["by_server"] is True


async def test_it_comes_in_pages_each_of_which_knows_what_was_before(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "syncd.db", app=club()) as engine:
        a = engine.replica("a")
        await a.create("x", title="0")
        for n in range(1, 7):
            await a.update("x", n, title=str(n))
        whole = await lines(engine)
        found: list[dict[str, Any]] = []
        after: Any = 0
        while after is not None:
            page: Any = await history_of(engine).page("note", "x", after=after, limit=3)
            assert len(page["changes"]) <= 3
            found += page["changes"]
            after = page["next"]
    assert found == whole
    assert [line["fields"]["title"] for line in whole] == [str(n) for n in range(7)]


async def test_of_one_field_it_tells_what_set_it_and_what_made_it_live_or_end(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "syncd.db", app=club()) as engine:
        a = engine.replica("a")
        await a.create("x", title="one", body="b")
        await a.update("x", 1, body="two")
        await a.update("x", 2, title="three")
        await a.delete("x", 3)
        assert [line["n"] for line in await lines(engine, field="title")] == [1, 3, 4]


async def test_of_what_never_was_there_are_no_lines(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "syncd.db", app=club()) as engine:
        assert await lines(engine, "nobody") == []
        for bad in (("No type", "x"), ("note", "no id")):
            with pytest.raises(InvalidMessage):
                await history_of(engine).page(*bad)
