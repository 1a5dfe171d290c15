"""What is done by the clock: again and again, one that fails like the others."""

from __future__ import annotations

import asyncio

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
    before = dict(calls)
    await asyncio.sleep(0.15)
    assert calls == before, "nothing more is begun"
