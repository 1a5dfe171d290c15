"""Invariant 3, for groups: a reader who has caught up holds the whole of each, or nothing of it.

Counterexample 13: "A page boundary, or a delta, falls inside a group: the reader shows the substitution's first half.
Consistency is promised at `more: false` and for whole deltas."
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from syncd.engine.connection import Connection
from syncd.engine.limits import Limits
from tests.support.engine import Engine, Replica, open_engine

HALF_BYTES = 900
PLAYERS = ["off", "on"]


@dataclass
class Pitch:
    """What a reader holds: who goes off and who comes on, by minute."""

    cursor: str | None = None
    held: dict[str, Any] = field(default_factory=dict)

    def take(self, states: list[dict[str, Any]], cursor: str) -> None:
        self.held.update({state["id"]: state["fields"]["minute"] for state in states})
        self.cursor = cursor

    @property
    def is_whole(self) -> bool:
        """Whether every substitution has both of its halves, made in the same minute."""
        return all(self.held.get(f"{name[:2]}-off") == self.held.get(f"{name[:2]}-on") for name in self.held)


def substitution(coach: Replica, name: str, minute: int, op: str = "create") -> list[dict[str, Any]]:
    return [
        coach.change(op, f"{name}-{half}", 99, _group=f"{name}-{minute}", minute=minute, note="x" * HALF_BYTES)
        for half in PLAYERS
    ]


@pytest.mark.parametrize("limit_bytes", [1, HALF_BYTES, 2500, 4500])
async def test_a_reader_who_has_more_to_pull_may_hold_half_a_group_and_one_who_has_not_never_does(
    engine: Engine, limit_bytes: int
) -> None:
    """Substitutions are made and corrected while the reader goes from page to page."""
    coach, reader = engine.replica("coach"), Pitch()
    await coach.push(*substitution(coach, "s1", 60), *substitution(coach, "s2", 61), *substitution(coach, "s3", 62))
    halves, more, pages = 0, True, 0
    while more or pages < 12:
        page = (await engine.puller.pull(None, {"main": reader.cursor}, limit_bytes))["main"]
        reader.take(list(map(json.loads, page.bodies)), page.cursor)
        more, pages = page.more, pages + 1
        assert more or reader.is_whole
        halves += not reader.is_whole
        if pages < 6:
            outcomes = await coach.push(*substitution(coach, "s1", 60 + pages, "update"))
            assert {outcome["outcome"] for outcome in outcomes} == {"applied"}
    assert reader.held == {"s1-off": 65, "s1-on": 65, **{f"s{i}-{half}": 59 + i for i in (2, 3) for half in PLAYERS}}
    if limit_bytes < 2 * HALF_BYTES:
        assert halves > 0, "a page boundary did fall inside of a group"


async def next_frame(connection: Connection) -> Mapping[str, Any]:
    async with asyncio.timeout(10):
        frame = await connection.take()
    assert frame is not None
    return dict(json.loads(frame.body))


async def test_a_delta_holds_the_whole_of_every_group_in_it(engine: Engine) -> None:
    coach, reader, connection = engine.replica("coach"), Pitch(), engine.watcher.connect()
    reader.cursor = (await engine.puller.pull(None, {"main": None}))["main"].cursor
    await engine.watcher.subscribe(connection, {"main": reader.cursor})
    last = ""
    for minute in range(5):
        await coach.push(*substitution(coach, f"s{minute}", minute), *substitution(coach, "s0", 10 + minute, "update"))
        last = (await engine.puller.pull(None, {"main": None}, 1 << 20))["main"].cursor
    while reader.cursor != last:
        frame = await next_frame(connection)
        assert (frame["type"], frame["after"]) == ("delta", reader.cursor)
        reader.take(frame["entries"], frame["upto"])
        assert reader.is_whole
    assert len(reader.held) == 10


async def test_a_group_of_another_node_that_does_not_fit_into_a_delta_is_told_as_a_pull(tmp_path: Path) -> None:
    """What was not committed here is read from the store, by bytes: the first half of a group is no delta."""
    limits = replace(Limits(), max_page_bytes=HALF_BYTES)
    async with open_engine(tmp_path / "syncd.db", limits=limits) as engine:
        reader, connection = Pitch(), engine.watcher.connect()
        reader.cursor = (await engine.puller.pull(None, {"main": None}))["main"].cursor
        await engine.watcher.subscribe(connection, {"main": reader.cursor})
        engine.watcher.offer = lambda delta: None  # type: ignore[method-assign]  # the bus only names a version
        coach = engine.replica("coach")
        await coach.push(*substitution(coach, "s1", 60))
        assert await next_frame(connection) == {"type": "pull", "scopes": ["main"]}
