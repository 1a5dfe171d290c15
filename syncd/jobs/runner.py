"""Jobs: long work on one account's data, one after the other. What was asked for is done, whatever stops in between.

A job is a row before anything of it happens. One that was under way when the server stopped is begun again at the next
start, so each work has to be such that doing it twice is doing it once.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import structlog

from syncd.errors import NotFound, StoreUnavailable, SyncdError
from syncd.jobs.results import Results
from syncd.store.jobs import JobRow, JobState, JobStore

__all__ = ["Jobs", "Progress", "Work"]

log = structlog.get_logger(__name__)

_RECEIPTS_KEPT_MS: Final = 365 * 24 * 60 * 60 * 1000
_TRIES: Final = 5
_REST_S: Final = 5.0
"""Between two of them."""

Progress = Callable[[int, int], Awaitable[None]]
"""`await progress(done, total)`: how many steps are done, of how many."""


class Work(Protocol):
    """What is done for jobs of one kind."""

    def __call__(self, job: JobRow, progress: Progress, result: Path, /) -> Awaitable[Mapping[str, Any]]:
        """Do it, and return the receipt: figures, and nothing personal. `result`: an empty file; what is written there
        is what the job has made. Raises `SyncdError` if it cannot be done.
        """
        ...


class Jobs:
    """`works`: by kind. `kept_ms`: how long a result can be fetched. `rest_s`: before the next try, when the database
    cannot be reached.
    """

    def __init__(
        self,
        store: JobStore,
        works: Mapping[str, Work],
        results: Results,
        now_ms: Callable[[], int],
        kept_ms: int,
        *,
        rest_s: float = _REST_S,
    ) -> None:
        self._store = store
        self._works = works
        self._results = results
        self._now_ms = now_ms
        self._kept_ms = kept_ms
        self._rest_s = rest_s
        self._beginning = asyncio.Lock()
        self._asked = asyncio.Event()
        self._asked.set()

    async def begin(self, kind: str, account: str, detail: Mapping[str, Any] | None = None) -> JobRow:
        """Queue a job, durably. One of the same kind that is under way, or has failed, is taken up instead.

        `detail`: what the work has to know of this job.
        """
        async with self._beginning:
            for job in reversed(await self._store.of_account(account)):
                if job.kind == kind and job.state.under_way:
                    return job
                if job.kind == kind and job.state is JobState.FAILED:
                    # What it has done already is known to itself alone.
                    job = job._replace(state=JobState.QUEUED, message="", finished_at_ms=None, done=0)
                    break
            else:
                job = JobRow(secrets.token_hex(16), kind, account, self._now_ms(), detail=json.dumps(detail or {}))
            await self._store.put(job)
        self._asked.set()
        return job

    async def unfinished(self, kind: str, account: str) -> bool:
        """Whether a job of this kind is under way or has failed, so that `begin` takes it up."""
        states = (JobState.QUEUED, JobState.RUNNING, JobState.FAILED)
        return any(job.kind == kind and job.state in states for job in await self._store.of_account(account))

    async def job(self, id: str) -> JobRow:
        """A job by its id; raises `NotFound`."""
        row = await self._store.job(id)
        if row is None:
            raise no_such_job()
        return row

    def result(self, job: JobRow) -> Path:
        """The file that a job has made; raises `NotFound` if there is none yet, or no more."""
        if job.file and (job.expires_at_ms is None or job.expires_at_ms > self._now_ms()):
            return self._results.path(job.file)
        raise NotFound(
            "This job has no file now.",
            code="no_result",
            hint="Its state says whether one is still to come; a file is kept for a few days. Then ask for it again.",
        )

    async def drop_results(self, account: str) -> None:
        """Delete what was made for an account."""
        for job in await self._store.of_account(account):
            if job.file:
                await self._drop(job)

    async def sweep(self) -> int:
        """Delete the results that nobody may fetch any more, and very old receipts; how many results."""
        expired = await self._store.expired(self._now_ms())
        for job in expired:
            await self._drop(job)
        await self._store.forget(self._now_ms() - _RECEIPTS_KEPT_MS)
        return len(expired)

    async def run(self) -> None:
        """Do what is asked for, for ever."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            try:
                while waiting := await self._store.under_way():
                    await self._do(waiting[0])
            except SyncdError as error:
                # The job is a row that is still there; nothing could be noted in it.
                log.warning("jobs_rest", code=error.problem_code, reason=error.message)
                await asyncio.sleep(self._rest_s)
                self._asked.set()

    async def _do(self, job: JobRow) -> None:
        job = job._replace(state=JobState.RUNNING, started_at_ms=self._now_ms())
        await self._store.put(job)
        name = f"{job.id}.zip"
        try:
            receipt = await self._patiently(job, name)
            file = await self._results.complete(name)
        except SyncdError as error:
            log.warning("job_failed", job=job.id, kind=job.kind, code=error.problem_code, reason=error.message)
            why: str | None = error.message
        except OSError as failure:
            log.warning("job_failed", job=job.id, kind=job.kind, reason=repr(failure))
            why = f"Its file cannot be written: {failure.strerror or type(failure).__name__}."
        except Exception:
            log.exception("job_failed", job=job.id, kind=job.kind)
            why = "The server failed on it; its log says more."
        else:
            why = None
        job = (await self.job(job.id))._replace(finished_at_ms=self._now_ms())
        if why is not None:
            await self._results.delete(name)
            await self._store.put(job._replace(state=JobState.FAILED, message=why))
            return
        job = job._replace(state=JobState.DONE, done=job.total, detail=json.dumps(dict(receipt)))
        if file is not None:
            job = job._replace(file=file.name, bytes=file.bytes, digest=file.digest)
            job = job._replace(expires_at_ms=self._now_ms() + self._kept_ms)
        await self._store.put(job)
        log.info("job_done", job=job.id, kind=job.kind)

    async def _patiently(self, job: JobRow, name: str) -> Mapping[str, Any]:
        """The receipt. A database that cannot be written for a moment is no reason to give up."""

        async def progress(done: int, total: int) -> None:
            await self._store.put(job._replace(done=done, total=max(done, total)))

        for left in range(_TRIES - 1, -1, -1):
            try:
                return await self._done_or_stopped(job, progress, await self._results.start(name))
            except StoreUnavailable as error:
                if not left:
                    raise
                log.warning("job_rests", job=job.id, kind=job.kind, reason=error.message)
                await asyncio.sleep(self._rest_s)
        raise AssertionError("it is returned from, or raised")

    async def _done_or_stopped(self, job: JobRow, progress: Progress, result: Path) -> Mapping[str, Any]:
        try:
            return await self._works[job.kind](job, progress, result)
        except Exception as failure:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                # Something broke on the way out: the job has not failed, and the next start begins it again.
                raise asyncio.CancelledError from failure
            raise

    async def _drop(self, job: JobRow) -> None:
        await self._results.delete(job.file)
        await self._store.put(job._replace(file="", bytes=0, expires_at_ms=None))


def no_such_job() -> NotFound:
    """There is none of that id, or it is somebody else's."""
    return NotFound("There is no job of that id.", code="no_such_job", hint="Ask for it again, and keep the id.")
