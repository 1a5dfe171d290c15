"""Group commit: all jobs that wait share one transaction, and none of them can fail a stranger.

Knows nothing of what a job is. The runner gets a group and answers for all of it, or raises for all of it; then each
job of the group is run again on its own, so that only the one that is to blame fails. Where the store is not to be had
nobody is to blame: they all hear of it at once, rather than each after another wait for the lock.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import structlog

from syncd.errors import ShuttingDown, StoreUnavailable

__all__ = ["GroupCommit"]

Job = TypeVar("Job")
Result = TypeVar("Result")
log = structlog.get_logger(__name__)


class GroupCommit(Generic[Job, Result]):
    """Collects jobs while a group is under way, and runs what has come together as the next group.

    `run` takes jobs in order of arrival and returns as many results. `weigh` tells a job's size; a group holds at most
    `max_weight` (one job at least), and at most `max_waiting` may wait before new ones are turned away.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Job]], Awaitable[Sequence[Result]]],
        *,
        weigh: Callable[[Job], int],
        max_weight: int,
        max_waiting: int,
    ) -> None:
        self._run = run
        self._weigh = weigh
        self._max_weight = max_weight
        self._max_waiting = max_waiting
        self._waiting: deque[tuple[Job, asyncio.Future[Result]]] = deque()
        self._waiting_weight = 0
        self._worker: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def busy(self) -> bool:
        """Whether a group is under way, or one is about to be."""
        return self._worker is not None and not self._worker.done()

    async def submit(self, job: Job) -> Result:
        """Run `job` in some group and return its result, or raise what it raised when run on its own.

        A caller that is cancelled does not take its job back: it may be committed all the same.
        """
        if self._closed:
            raise ShuttingDown("the server is closing; nothing was applied")
        if self._waiting_weight >= self._max_waiting:
            raise StoreUnavailable(
                "too many changes are waiting to be written; nothing was applied", retry_after_s=1, code="overloaded"
            )
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((job, future))
        self._waiting_weight += self._weigh(job)
        if not self.busy:
            self._worker = asyncio.create_task(self._work(), name="group-commit")
        return await future

    async def close(self) -> None:
        """Take no more jobs, and wait until those that were taken are done."""
        self._closed = True
        if self._worker is not None:
            await self._worker

    async def _work(self) -> None:
        group: list[tuple[Job, asyncio.Future[Result]]] = []
        try:
            while self._waiting:
                group = self._take()
                if len(group) > 1 and await self._try(group):
                    continue
                for entry in group:
                    await self._run_alone(*entry)
        finally:
            # If this task is ended, nobody may be left waiting for it.
            left = [future for _, future in (*group, *self._waiting)]
            self._waiting.clear()
            self._waiting_weight = 0
            _fail(left, ShuttingDown("the server is closing; send the same again"))

    def _take(self) -> list[tuple[Job, asyncio.Future[Result]]]:
        group: list[tuple[Job, asyncio.Future[Result]]] = []
        weight = 0
        while self._waiting:
            next_weight = self._weigh(self._waiting[0][0])
            if group and weight + next_weight > self._max_weight:
                break
            group.append(self._waiting.popleft())
            weight += next_weight
        self._waiting_weight -= weight
        return group

    async def _try(self, group: list[tuple[Job, asyncio.Future[Result]]]) -> bool:
        try:
            results = await self._run([job for job, _ in group])
        except StoreUnavailable as failure:
            _fail([future for _, future in group], failure)
            return True
        except Exception as failure:
            log.warning("group_failed_running_one_by_one", jobs=len(group), reason=repr(failure))
            return False
        for (_, future), result in zip(group, results, strict=True):
            if not future.done():
                future.set_result(result)
        return True

    async def _run_alone(self, job: Job, future: asyncio.Future[Result]) -> None:
        try:
            (result,) = await self._run([job])
        except Exception as failure:
            _fail([future], failure)
            return
        if not future.done():
            future.set_result(result)


def _fail(futures: Sequence[asyncio.Future[Result]], failure: Exception) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(failure)
