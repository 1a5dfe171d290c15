"""What it costs to read documents in another process: updates a second in this process and through a worker.

    python benchmarks/documents.py [--trace friendsforever] [--warm 0] [--updates 3000]

One recorded text, one document, the same updates each time; a figure for each number of updates a call. The raw ceiling
is pycrdt alone, which is what breaks. `--warm`: how many updates the document has taken before: the cost of the round
trip after each call grows with the document, that of the process does not. Checks each time that the text is right.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

from pycrdt import Doc, Text

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from conflict_rules.documents.document import Document  # noqa: E402
from syncd.documents.pool import DocumentPool  # noqa: E402
from syncd.documents.protocol import Verdict  # noqa: E402
from syncd.store.protocol import DocumentKey, StoredDocument  # noqa: E402
from tests.support.crdt import trace  # noqa: E402

A_CALL: Final = (1, 8, 64)
KEY: Final = DocumentKey("note", "n1", "text")


def raw(before: Sequence[bytes], updates: Sequence[bytes]) -> tuple[float, str]:
    """pycrdt alone: seconds, and the text."""
    doc: Doc[Text] = Doc()
    doc["text"] = text = Text()
    for update in before:
        doc.apply_update(update)
    started = time.perf_counter()
    for update in updates:
        doc.apply_update(update)
    return time.perf_counter() - started, str(text)


def in_process(before: Sequence[bytes], updates: Sequence[bytes], a_call: int) -> tuple[float, str]:
    """What a worker does, here: each update read and merged, and after each call a round trip."""
    document = Document.load("text", "text", b"", before)
    started = time.perf_counter()
    for start in range(0, len(updates), a_call):
        for update in updates[start : start + a_call]:
            document.offer(update)
        document.round_trip()
    return time.perf_counter() - started, str(document.view())


async def through_the_worker(
    before: Sequence[bytes], updates: Sequence[bytes], a_call: int, pool: DocumentPool
) -> tuple[float, str]:
    """The same by the pool."""
    stored = StoredDocument(a_call, len(before), b"", 0, list(enumerate(before, 1)))

    async def load() -> StoredDocument:
        return stored

    seq = len(before)
    await pool.view(KEY, "text", a_call, seq, load)
    started = time.perf_counter()
    for start in range(0, len(updates), a_call):
        part = updates[start : start + a_call]
        verdicts = await pool.check(KEY, "text", a_call, seq, load, part)
        assert verdicts == [Verdict()] * len(part)
        seq += len(part)
    took_s = time.perf_counter() - started
    return took_s, str(await pool.view(KEY, "text", a_call, seq, load))


async def respawn_ms(pool: DocumentPool) -> float:
    """From the death of a worker to the first verdict of the next, in the middle of 20, in ms."""
    times = []

    async def load() -> StoredDocument | None:
        return None

    for index in range(20):
        key = DocumentKey("note", f"respawn-{index}", "text")
        for pid in pool.pids:
            os.kill(pid, 9)
        while pool.pids:  # noqa: ASYNC110  # there is no event behind it
            await asyncio.sleep(0.0005)
        started = time.perf_counter()
        await pool.check(key, "text", 0, 0, load, [b"\x01\x01\x01\x00\x04\x01\x04text\x01a\x00"])
        times.append((time.perf_counter() - started) * 1000)
    return sorted(times)[len(times) // 2]


async def measure(name: str, warm: int, count: int) -> None:
    recorded = trace(name).updates
    before, updates = recorded[:warm], recorded[warm : warm + count]
    ceiling_s, text = raw(before, updates)
    text_bytes = len(text.encode())
    lines = [
        f"Python {platform.python_version()}, pycrdt {version('pycrdt')}, {os.cpu_count()} cores",
        f"trace {name}: {len(updates)} updates after {len(before)}, {text_bytes:,} bytes of text at the end",
        f"pycrdt alone, which is what breaks: {len(updates) / ceiling_s:,.0f} updates/s",
        "",
        "| updates a call | in process | through the worker | ratio | of pycrdt alone |",
        "| --- | --- | --- | --- | --- |",
    ]

    def row(a_call: int, here_s: float, there_s: float) -> str:
        rate: Callable[[float], float] = lambda took_s: len(updates) / took_s  # noqa: E731
        return (
            f"| {a_call} | {rate(here_s):,.0f}/s | {rate(there_s):,.0f}/s | {here_s / there_s:.2f} "
            f"| {ceiling_s / there_s:.3f} |"
        )

    pool = DocumentPool()
    try:
        await pool.start()
        for a_call in A_CALL:
            here_s, here = in_process(before, updates, a_call)
            there_s, there = await through_the_worker(before, updates, a_call, pool)
            assert here == there == text
            lines.append(row(a_call, here_s, there_s))
        lines += [
            "",
            f"a worker that has ended is replaced, up to its first verdict, in {await respawn_ms(pool):.1f} ms",
        ]
    finally:
        await pool.close()
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trace", default="friendsforever")
    parser.add_argument("--warm", type=int, default=0)
    parser.add_argument("--updates", type=int, default=3_000)
    given = parser.parse_args()
    asyncio.run(measure(given.trace, given.warm, given.updates))
