"""The JobStore: durable work on one account's data, as rows. Knows nothing of what the work is.

The contract: when a method has returned, a kill -9 of everything loses nothing of what it wrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

__all__ = ["JobRow", "JobState", "JobStore"]


class JobState(StrEnum):
    """How far a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    """It was begun; if the server was stopped meanwhile, it goes on at the next start."""
    DONE = "done"
    FAILED = "failed"

    @property
    def under_way(self) -> bool:
        """Whether something of it is still to come."""
        return self in (JobState.QUEUED, JobState.RUNNING)


class JobRow(NamedTuple):
    """A job. `kind`: what is done; `account`: with whose data. `done`, `total`: how many steps are done, of how many.

    `message`: why it failed, a sentence; "" otherwise. `detail`: JSON; while it is under way what the job has to know
    of itself, afterwards its receipt. `file`: the name of its result, "" for none; `bytes`, `digest`: its size, and
    SHA-256 in hexadecimal. `expires_at_ms`: when the result is deleted, None if there is none.
    """

    id: str
    kind: str
    account: str
    created_at_ms: int
    state: JobState = JobState.QUEUED
    started_at_ms: int | None = None
    finished_at_ms: int | None = None
    done: int = 0
    total: int = 0
    message: str = ""
    detail: str = "{}"
    file: str = ""
    bytes: int = 0
    digest: str = ""
    expires_at_ms: int | None = None


class JobStore(Protocol):
    """The jobs of one database."""

    async def put(self, job: JobRow) -> None:
        """Write a job; it takes the place of the one with its id."""
        ...

    async def job(self, id: str) -> JobRow | None:
        """By id; None if there is none."""
        ...

    async def of_account(self, account: str) -> Sequence[JobRow]:
        """All of an account's, oldest first."""
        ...

    async def under_way(self) -> Sequence[JobRow]:
        """Those that are queued or running, oldest first."""
        ...

    async def expired(self, now_ms: int) -> Sequence[JobRow]:
        """Those whose result was to be deleted by now, and was not."""
        ...

    async def forget(self, before_ms: int) -> int:
        """Delete those that were finished before that moment and have no result; how many."""
        ...
