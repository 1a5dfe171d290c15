"""A long push lets others go on between its changes, however long each takes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from syncd.engine.stretch import Stretch
from tests.support.engine import open_engine


async def test_others_go_on_between_two_changes_of_one_push(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rests = 0

    async def rest(self: Stretch) -> None:
        nonlocal rests
        rests += 1
        await asyncio.sleep(0)

    monkeypatch.setattr(Stretch, "is_long", True)
    monkeypatch.setattr(Stretch, "rest", rest)
    async with open_engine(tmp_path / "long.db") as engine:
        phone = engine.replica("phone")
        outcomes = await phone.push(*[phone.change("create", f"n{n}", 0, v=n) for n in range(10)])
        assert {outcome["outcome"] for outcome in outcomes} == {"applied"}
    assert rests == 10


async def test_a_stretch_is_long_after_a_while_and_short_after_a_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("syncd.engine.stretch.time", SimpleNamespace(monotonic=lambda: now))
    stretch = Stretch()
    assert not stretch.is_long
    now += 0.1
    assert stretch.is_long
    await stretch.rest()
    assert not stretch.is_long
