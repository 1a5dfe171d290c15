"""The schedule: what the server does by the clock, and how often. Each task may run at any time, and twice.

APScheduler keeps it in memory; what has to outlive the process is a row of the jobs' own table (`syncd.jobs.runner`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from syncd.errors import SyncdError

__all__ = ["HOUR_S", "MINUTE_S", "Task", "scheduled"]

log = structlog.get_logger(__name__)

MINUTE_S: Final = 60
HOUR_S: Final = 60 * MINUTE_S


@dataclass(frozen=True, slots=True)
class Task:
    """`work` is called every `every_s` seconds, the first time after that; never while it still runs."""

    name: str
    every_s: float
    work: Callable[[], Awaitable[Any]]


@asynccontextmanager
async def scheduled(tasks: Sequence[Task]) -> AsyncIterator[None]:
    """Do these for the length of the block: what is under way then is cancelled, and has ended after it."""
    under_way: set[asyncio.Task[Any]] = set()

    async def run(task: Task) -> None:
        this = asyncio.current_task()
        assert this is not None
        under_way.add(this)
        try:
            await _run(task)
        finally:
            under_way.discard(this)

    scheduler: Any = AsyncIOScheduler(timezone="UTC")
    for task in tasks:
        scheduler.add_job(
            run, "interval", [task], seconds=task.every_s, id=task.name, max_instances=1, coalesce=True,
            misfire_grace_time=None,
        )  # fmt: skip
    scheduler.start()
    try:
        yield
    finally:
        scheduler.shutdown(wait=False)
        # It only asks the event loop to, and cancels what is under way without waiting for it.
        await asyncio.sleep(0)
        await asyncio.gather(*under_way, return_exceptions=True)


async def _run(task: Task) -> None:
    """One that fails is done again at its next time; the others do not notice."""
    try:
        await task.work()
    except SyncdError as error:
        log.warning("task_failed", task=task.name, code=error.problem_code, reason=error.message)
    except Exception:
        log.exception("task_failed", task=task.name)
