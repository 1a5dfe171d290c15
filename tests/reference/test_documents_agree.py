"""Two to eight real replicas write into documents at random: in the end all are equal, and nothing written is missing.

Play one again: SYNCD_HISTORY=1234 pytest tests/reference/test_documents_agree.py -s
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from syncd.documents.limits import PoolLimits
from syncd.documents.pool import DocumentPool
from tests.reference.document_histories import play_documents
from tests.reference.field_rules import MOST_UPDATE_BYTES
from tests.reference.histories import Sum
from tests.sizes import SIZES

CHUNK = 30
ONE = os.environ.get("SYNCD_HISTORY")
SEEDS = (
    [range(int(ONE), int(ONE) + 1)]
    if ONE
    else [
        range(first, min(first + CHUNK, SIZES.document_histories))
        for first in range(0, SIZES.document_histories, CHUNK)
    ]
)


@pytest.fixture
async def pool() -> AsyncIterator[DocumentPool]:
    """Workers for all histories of a test: to fork the first one takes longer than a history's edits."""
    pool = DocumentPool(limits=PoolLimits(update_bytes=MOST_UPDATE_BYTES))
    yield pool
    await pool.close()


@pytest.mark.parametrize("seeds", SEEDS, ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}")
async def test_all_hold_in_the_end_what_was_written(
    seeds: range,
    pool: DocumentPool,
    folder: Path,
    server_file: Path,
    record_property: Callable[[str, object], None],
) -> None:
    total = Sum()
    for seed in seeds:
        home = folder / str(seed)
        home.mkdir()
        total += await play_documents(seed, home, pool, server_file)
    record_property("document_histories", total.as_dict())
    print(total.sentence())
    if len(seeds) == CHUNK:
        assert total.concurrent * 3 > total.changes, "a third of the edits is to be truly concurrent"
