"""The contract of a JobStore (syncd/store/jobs.py), on every adapter."""

from __future__ import annotations

from typing import Any

import pytest

from syncd.store.jobs import JobRow, JobState, JobStore
from syncd.store.protocol import Store


@pytest.fixture
def jobs(store: Store) -> JobStore:
    adapter: Any = store
    found: JobStore = adapter.jobs
    return found


FULL = JobRow("j", "export", "a", 1, JobState.DONE, 2, 3, 4, 5, "why", '{"x": 1}', "j.zip", 6, "ab", 7)


async def test_a_job_is_what_was_put_last(jobs: JobStore) -> None:
    assert await jobs.job("j") is None
    await jobs.put(FULL)
    assert await jobs.job("j") == FULL
    await jobs.put(FULL._replace(state=JobState.FAILED, file=""))
    assert await jobs.job("j") == FULL._replace(state=JobState.FAILED, file="")
    assert [row.id for row in await jobs.of_account("a")] == ["j"]
    assert await jobs.of_account("b") == []


async def test_those_under_way_come_in_the_order_of_their_making(jobs: JobStore) -> None:
    states = {"old": JobState.RUNNING, "older": JobState.QUEUED, "done": JobState.DONE, "bad": JobState.FAILED}
    for place, (name, state) in enumerate(states.items()):
        await jobs.put(JobRow(name, "export", "a", 10 - place, state))
    assert [row.id for row in await jobs.under_way()] == ["older", "old"]


async def test_what_expired_is_found_while_there_is_a_file_and_old_receipts_are_forgotten(jobs: JobStore) -> None:
    await jobs.put(FULL)
    assert await jobs.expired(6) == []
    assert await jobs.expired(7) == [FULL]
    assert await jobs.forget(100) == 0
    await jobs.put(FULL._replace(file=""))
    assert await jobs.expired(7) == []
    await jobs.put(JobRow("queued", "export", "a", 1))
    assert await jobs.forget(3) == 0
    assert await jobs.forget(4) == 1
    assert [row.id for row in await jobs.of_account("a")] == ["queued"]
