"""What is done by the clock: again and again, one that fails like the others."""

from __future__ import annotations

import asyncio
import time

import pytest

from syncd.errors import StoreUnavailable
from syncd.jobs.schedule import Task, scheduled


async def test_each_is_done_again_and_again_even_if_it_fails() -> None:
    calls = {"well": 0, "badly": 0, "worse": 0}
    enough = asyncio.Event()

    def counted(name: str, failure: Exception | None) -> Task:
        async def work() -> None:
            calls[name] += 1
            if min(calls.values()) >= 2:
                enough.set()
            if failure is not None:
                raise failure

        return Task(name, 0.05, work)

    tasks = [counted("well", None), counted("badly", StoreUnavailable("locked")), counted("worse", ValueError("?"))]
    async with scheduled(tasks):
        assert calls == {"well": 0, "badly": 0, "worse": 0}
        await asyncio.wait_for(enough.wait(), 20)


@pytest.mark.parametrize("turns", range(6))
async def test_nothing_is_begun_after_its_end(turns: int) -> None:
    calls = 0

    async def work() -> None:
        nonlocal calls
        calls += 1

    async with scheduled([Task("due", 0.05, work)]):
        time.sleep(0.1)  # noqa: ASYNC251 - the event loop is busy, so that the work is due and has not begun
        for _ in range(turns):
            await asyncio.sleep(0)
    at_the_end = calls
    await asyncio.sleep(0.15)
    assert calls == at_the_end


async def test_what_is_under_way_when_it_ends_has_ended_after_it() -> None:
    events: list[str] = []
    begun = asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            events.append("given back what it held")

    async with scheduled([Task("long", 0.05, work)]):
        await asyncio.wait_for(begun.wait(), 20)
    assert events == ["given back what it held"]
