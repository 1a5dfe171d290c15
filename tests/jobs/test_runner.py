"""Jobs: one after the other, durable, and taken up again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from syncd.errors import NotFound, StoreUnavailable
from syncd.jobs.results import Results
from syncd.jobs.runner import Jobs, Progress
from syncd.store.jobs import JobRow, JobState
from syncd.store.sqlite import SqliteStore
from tests.support.engine import SettableClock

KEPT_MS = 1000


class Works:
    """A work that does as it is told, and remembers for whom."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.failure: Exception | None = None
        self.failures = -1
        """How often; for ever, unless it counts down to 0."""
        self.gate = asyncio.Event()
        self.gate.set()
        self.under_way = 0

    async def __call__(self, job: JobRow, progress: Progress, result: Path, /) -> Mapping[str, Any]:
        self.under_way += 1
        assert self.under_way == 1, "one at a time"
        try:
            await progress(1, 2)
            await self.gate.wait()
            if self.failure is not None and self.failures:
                self.failures -= 1
                raise self.failure
            result.write_bytes(f"all of {job.account}".encode())
        finally:
            self.under_way -= 1
        self.done.append(job.account)
        return {"lines": 1}


@asynccontextmanager
async def running(folder: Path, work: Works, clock: SettableClock) -> AsyncIterator[Jobs]:
    store = await SqliteStore.open(folder / "club.db")
    jobs = Jobs(store.jobs, {"export": work}, Results(folder / "results"), clock, KEPT_MS, rest_s=0.01)
    task = asyncio.create_task(jobs.run())
    try:
        yield jobs
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await store.close()


async def until(jobs: Jobs, id: str, *states: JobState) -> JobRow:
    async with asyncio.timeout(10):
        while True:
            job = await jobs.job(id)
            if job.state in states:
                return job
            await asyncio.sleep(0.005)


async def test_they_are_done_in_the_order_in_which_they_were_asked_for(tmp_path: Path) -> None:
    work, clock = Works(), SettableClock()
    work.gate.clear()
    async with running(tmp_path, work, clock) as jobs:
        asked = []
        for name in ("ann", "bob", "cid"):
            asked.append(await jobs.begin("export", name))
            clock.advance(1)
        await until(jobs, asked[0].id, JobState.RUNNING)
        assert (await jobs.job(asked[1].id)).state is JobState.QUEUED
        work.gate.set()
        done = await until(jobs, asked[2].id, JobState.DONE)
    assert work.done == ["ann", "bob", "cid"]
    assert (done.done, done.total, done.bytes) == (2, 2, len("all of cid"))
    assert done.expires_at_ms is not None


async def test_whoever_asks_again_while_it_is_under_way_gets_the_same(tmp_path: Path) -> None:
    work = Works()
    work.gate.clear()
    async with running(tmp_path, work, SettableClock()) as jobs:
        first = await jobs.begin("export", "ann")
        assert (await jobs.begin("export", "ann")).id == first.id
        assert (await jobs.begin("export", "bob")).id != first.id
        work.gate.set()
        await until(jobs, first.id, JobState.DONE)
        assert (await jobs.begin("export", "ann")).id != first.id


@pytest.mark.parametrize("failure", [ValueError("no"), OSError("no"), StoreUnavailable("no")])
async def test_one_that_breaks_while_it_is_stopped_has_not_failed_and_holds_nobody_up(
    tmp_path: Path, failure: Exception
) -> None:
    class Breaks(Works):
        async def __call__(self, job: JobRow, progress: Progress, result: Path, /) -> Mapping[str, Any]:
            try:
                return await super().__call__(job, progress, result)
            except asyncio.CancelledError:
                raise failure from None

    work = Breaks()
    work.gate.clear()
    async with asyncio.timeout(10), running(tmp_path, work, SettableClock()) as jobs:
        job = await jobs.begin("export", "ann")
        await until(jobs, job.id, JobState.RUNNING)
    async with running(tmp_path, Works(), SettableClock()) as jobs:
        await until(jobs, job.id, JobState.DONE)


async def test_what_was_under_way_at_a_stop_is_begun_again(tmp_path: Path) -> None:
    work = Works()
    work.gate.clear()
    async with running(tmp_path, work, SettableClock()) as jobs:
        job = await jobs.begin("export", "ann")
        job = await until(jobs, job.id, JobState.RUNNING)
    work.gate.set()
    async with running(tmp_path, work, SettableClock()) as jobs:
        await until(jobs, job.id, JobState.DONE)
    assert work.done == ["ann"]


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (StoreUnavailable("The disk is full."), "The disk is full."),
        (ValueError("Ann's secret"), "The server failed on it; its log says more."),
        (OSError(28, "No space left on device"), "Its file cannot be written: No space left on device."),
    ],
)
async def test_one_that_fails_says_why_keeps_nobody_waiting_and_can_be_asked_for_again(
    tmp_path: Path, failure: Exception, told: str
) -> None:
    work = Works()
    work.failure = failure
    async with running(tmp_path, work, SettableClock()) as jobs:
        job = await until(jobs, (await jobs.begin("export", "ann")).id, JobState.FAILED)
        assert job.message == told
        assert list((tmp_path / "results").iterdir()) == []
        with pytest.raises(NotFound, match="no file"):
            jobs.result(job)
        work.failure = None
        again = await jobs.begin("export", "ann")
        assert again.id == job.id
        assert (await until(jobs, job.id, JobState.DONE)).message == ""


async def test_a_database_that_cannot_be_written_for_a_moment_ends_nothing(tmp_path: Path) -> None:
    work = Works()
    work.failure, work.failures = StoreUnavailable("The database is locked."), 4
    async with running(tmp_path, work, SettableClock()) as jobs:
        job = await until(jobs, (await jobs.begin("export", "ann")).id, JobState.DONE, JobState.FAILED)
        assert (job.state, work.failures) == (JobState.DONE, 0)


async def test_a_job_that_could_not_even_be_noted_is_done_later(tmp_path: Path) -> None:
    async with running(tmp_path, Works(), SettableClock()) as jobs:
        store: Any = jobs._store
        put, refusals = store.put, 2

        async def refusing(job: JobRow) -> None:
            nonlocal refusals
            if job.state is JobState.RUNNING and refusals:
                refusals -= 1
                raise StoreUnavailable("The database is locked.")
            await put(job)

        store.put = refusing
        job = await until(jobs, (await jobs.begin("export", "ann")).id, JobState.DONE)
        assert (job.bytes, refusals) == (len("all of ann"), 0)


async def test_receipts_outlive_their_files(tmp_path: Path) -> None:
    clock = SettableClock()
    async with running(tmp_path, Works(), clock) as jobs:
        job = await until(jobs, (await jobs.begin("export", "ann")).id, JobState.DONE)
        assert jobs.result(job).read_bytes() == b"all of ann"
        clock.advance(KEPT_MS / 1000)
        assert await jobs.sweep() == 1
        job = await jobs.job(job.id)
        assert (job.file, job.state, job.detail) == ("", JobState.DONE, '{"lines": 1}')
        clock.advance(366 * 24 * 3600)
        assert await jobs.sweep() == 0
        with pytest.raises(NotFound):
            await jobs.job(job.id)
