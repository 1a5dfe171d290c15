"""Group commit: waiting jobs share a run, and a failing one fails alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from syncd.engine.group_commit import GroupCommit
from syncd.errors import ShuttingDown, StoreUnavailable


class Runner:
    """Doubles numbers; a negative one cannot be doubled, and for 0 the store is not to be had.

    The first run waits until it is let go.
    """

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.first_is_under_way = asyncio.Event()
        self.first_may_go = asyncio.Event()

    async def __call__(self, jobs: Sequence[int]) -> list[int]:
        self.groups.append(list(jobs))
        self.first_is_under_way.set()
        if len(self.groups) == 1:
            await self.first_may_go.wait()
        if 0 in jobs:
            raise StoreUnavailable("the database is locked")
        if any(job < 0 for job in jobs):
            raise ValueError(f"cannot double {min(jobs)}")
        return [2 * job for job in jobs]


def committer(runner: Runner, *, max_weight: int = 100, max_waiting: int = 100) -> GroupCommit[int, int]:
    return GroupCommit(runner, weigh=lambda _: 1, max_weight=max_weight, max_waiting=max_waiting)


async def start(commits: GroupCommit[int, int], runner: Runner, *jobs: int) -> list[asyncio.Task[int]]:
    """Submit jobs while a first one is under way, so that they wait together."""
    tasks = [asyncio.create_task(commits.submit(job)) for job in jobs]
    await runner.first_is_under_way.wait()
    return tasks


async def test_what_waits_together_runs_together_in_order() -> None:
    runner = Runner()
    commits = committer(runner)
    tasks = await start(commits, runner, 1)
    tasks += [asyncio.create_task(commits.submit(job)) for job in (2, 3, 4)]
    await asyncio.sleep(0)
    runner.first_may_go.set()
    assert await asyncio.gather(*tasks) == [2, 4, 6, 8]
    assert runner.groups == [[1], [2, 3, 4]]


async def test_a_group_is_bounded() -> None:
    runner = Runner()
    commits = committer(runner, max_weight=2)
    tasks = await start(commits, runner, 1)
    tasks += [asyncio.create_task(commits.submit(job)) for job in (2, 3, 4)]
    await asyncio.sleep(0)
    runner.first_may_go.set()
    await asyncio.gather(*tasks)
    assert runner.groups == [[1], [2, 3], [4]]


async def test_a_failing_job_fails_alone() -> None:
    runner = Runner()
    commits = committer(runner)
    tasks = await start(commits, runner, 1)
    tasks += [asyncio.create_task(commits.submit(job)) for job in (2, -3, 4)]
    await asyncio.sleep(0)
    runner.first_may_go.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [results[0], results[1], results[3]] == [2, 4, 8]
    assert isinstance(results[2], ValueError)


async def test_where_the_store_is_not_to_be_had_all_hear_of_it_at_once() -> None:
    """One by one, each would wait for the lock of the database again while the queue behind it grows."""
    runner = Runner()
    commits = committer(runner)
    tasks = await start(commits, runner, 1)
    tasks += [asyncio.create_task(commits.submit(job)) for job in (2, 0, 4)]
    await asyncio.sleep(0)
    runner.first_may_go.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [int, StoreUnavailable, StoreUnavailable, StoreUnavailable]
    assert runner.groups == [[1], [2, 0, 4]]


async def test_nobody_is_left_waiting_when_the_work_is_ended() -> None:
    runner = Runner()
    commits = committer(runner)
    tasks = await start(commits, runner, 1)
    tasks.append(asyncio.create_task(commits.submit(2)))
    await asyncio.sleep(0)
    (worker,) = (task for task in asyncio.all_tasks() if task.get_name() == "group-commit")
    worker.cancel()
    async with asyncio.timeout(5):
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [ShuttingDown, ShuttingDown]


async def test_a_caller_that_goes_away_does_not_take_its_job_back() -> None:
    runner = Runner()
    commits = committer(runner)
    tasks = await start(commits, runner, 1)
    waiting = asyncio.create_task(commits.submit(2))
    await asyncio.sleep(0)
    waiting.cancel()
    runner.first_may_go.set()
    assert await tasks[0] == 2
    await commits.close()
    assert runner.groups == [[1], [2]]


async def test_when_too_many_wait_new_ones_are_told_to_come_back() -> None:
    runner = Runner()
    commits = committer(runner, max_waiting=2)
    tasks = await start(commits, runner, 1)
    tasks += [asyncio.create_task(commits.submit(job)) for job in (2, 3)]
    await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable) as refused:
        await commits.submit(4)
    assert refused.value.retry_after_s
    runner.first_may_go.set()
    await asyncio.gather(*tasks)
    assert await commits.submit(5) == 10


async def test_closing_finishes_what_was_taken_and_takes_no_more() -> None:
    runner = Runner()
    commits = committer(runner)
    tasks = await start(commits, runner, 1, 2)
    closing = asyncio.create_task(commits.close())
    await asyncio.sleep(0)
    with pytest.raises(ShuttingDown):
        await commits.submit(3)
    runner.first_may_go.set()
    await closing
    assert [task.result() for task in tasks] == [2, 4]
