"""Pools for the tests of documents: the real one, and one whose workers trust what comes and break of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from syncd.documents.limits import PoolLimits, WorkerLimits
from syncd.documents.pool import DocumentPool


@pytest.fixture
async def pool() -> AsyncIterator[DocumentPool]:
    pool = DocumentPool()
    try:
        yield pool
    finally:
        await pool.close()


@pytest.fixture
async def trusting() -> AsyncIterator[DocumentPool]:
    pool = DocumentPool(
        limits=PoolLimits(step_s=0.1, update_bytes=1 << 20, turn_bytes=1 << 20),
        worker_limits=WorkerLimits(memory_bytes=512 << 20),
        zygote="tests.documents.trusting_zygote",
    )
    try:
        yield pool
    finally:
        await pool.close()
