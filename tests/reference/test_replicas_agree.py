"""Two to eight real replicas through random histories: in the end all are equal, and equal to the reference model.

Play one again: SYNCD_HISTORY=1234 pytest tests/reference/test_replicas_agree.py -s
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.reference.histories import Sum, play
from tests.sizes import SIZES

CHUNK = 20
ONE = os.environ.get("SYNCD_HISTORY")
SEEDS = (
    [range(int(ONE), int(ONE) + 1)]
    if ONE
    else [
        range(first, min(first + CHUNK, SIZES.replica_histories)) for first in range(0, SIZES.replica_histories, CHUNK)
    ]
)


@pytest.mark.parametrize("seeds", SEEDS, ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}")
async def test_replicas_and_the_model_agree_in_the_end(
    seeds: range, folder: Path, server_file: Path, record_property: Callable[[str, object], None]
) -> None:
    total = Sum()
    for seed in seeds:
        home = folder / str(seed)
        home.mkdir()
        total += await play(seed, home, server_file)
    record_property("replica_histories", total.as_dict())
    print(total.sentence())
    if len(seeds) == CHUNK:
        assert total.concurrent * 3 > total.changes, "a third of the changes is to be truly concurrent"
