"""Invariant 1 at its root: what a commit has acknowledged outlives a kill -9, whole, and nothing is there by half."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

from tests.conformance.conftest import OpenStore
from tests.conformance.durable_writer import DOCUMENT
from tests.conformance.rows import load, versions
from tests.conformance.stores import Database

ROOT = Path(__file__).resolve().parent.parent.parent
KILLS = 5


async def test_what_was_acknowledged_outlives_kill_9_and_nothing_is_there_by_half(
    database_name: str, database: Database, tmp_path: Path, open_store: OpenStore
) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print("seed:", seed)
    chance = random.Random(seed)
    for _ in range(KILLS):
        acknowledged = await _write_until_killed(database_name, tmp_path, commits=chance.randrange(1, 120))

        store = await open_store(database)  # a new process need not wait for the dead one's locks
        head = (await load(store, scopes=("s",))).scopes["s"]
        # One more may have been committed than was said, but no more, since each waits for the one before.
        assert acknowledged <= head <= acknowledged + 1
        assert await versions(store, "s") == [f"id-{n}@{n}" for n in range(1, head + 1)]
        loaded = await load(store, replicas=("r",), numbers=tuple(("r", n) for n in range(1, head + 3)))
        assert loaded.replicas["r"].settled == head
        assert [n for _, n in sorted(loaded.settled)] == list(range(1, head + 1))
        async with store.snapshot() as snapshot:
            document = await snapshot.document(DOCUMENT)
        assert document is not None
        squashed = max(0, head - head % 3 - 1)
        left = [(n, str(n).encode()) for n in range(squashed + 1, head + 1)]
        told = (document.seq, document.snapshot, document.snapshot_seq, [*document.updates])
        assert told == (head, str(squashed).encode() if squashed else b"", squashed, left)
        await store.close()


async def _write_until_killed(name: str, folder: Path, *, commits: int) -> int:
    """Returns the last number that was acknowledged."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.conformance.durable_writer",
        name,
        str(folder),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    lines = []
    for _ in range(commits):
        line = await process.stdout.readline()
        assert line, "the writer ended by itself"
        lines.append(line)
    process.kill()
    rest = await process.stdout.read()
    await process.wait()
    # A line that the kill cut in two was not said.
    return int([*lines, *(line for line in rest.splitlines(keepends=True) if line.endswith(b"\n"))][-1])
