"""What it costs to read documents in another process: updates a second in this process and through a worker.

    python benchmarks/documents.py [--trace friendsforever] [--warm 0] [--updates 3000]
    python benchmarks/documents.py --copies 16 --updates 500

One recorded text, one document, the same updates each time; a figure for each number of updates a call. The raw ceiling
is pycrdt alone, which is what breaks. `--warm`: how many updates the document has taken before. `--copies`: instead, a
large document, in which so many people have each written the recorded text json-crdt-blog-post, and somebody types
single letters here and there. What reading the document, and its round trips, cost grows with the document; what the
process costs does not. Checks each time that the text is right.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from pycrdt import Doc, Text

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from conflict_rules.documents.document import Document  # noqa: E402
from syncd.documents.frames import NOWHERE, Step  # noqa: E402
from syncd.documents.limits import WorkerLimits  # noqa: E402
from syncd.documents.opened import OpenDocument, Progress, Request  # noqa: E402
from syncd.documents.pool import DocumentPool  # noqa: E402
from syncd.documents.protocol import Verdict  # noqa: E402
from syncd.store.protocol import DocumentKey, StoredDocument  # noqa: E402
from tests.support.crdt import recorded, trace  # noqa: E402

A_CALL: Final = (1, 8, 64)
KEY: Final = DocumentKey("note", "n1", "text")


class Silent(Progress):
    """Marks nothing: nobody watches."""

    def __init__(self) -> None:
        self.index = NOWHERE
        self.within = None

    def __call__(self, step: Step) -> None:
        """See `Progress`."""


def raw(before: StoredDocument, updates: Sequence[bytes]) -> tuple[float, str]:
    """pycrdt alone: seconds, and the text."""
    doc: Doc[Text] = Doc()
    doc["text"] = text = Text()
    if before.snapshot:
        doc.apply_update(before.snapshot)
    for _, update in before.updates:
        doc.apply_update(update)
    started = time.perf_counter()
    for update in updates:
        doc.apply_update(update)
    return time.perf_counter() - started, str(text)


def in_process(before: StoredDocument, updates: Sequence[bytes], a_call: int) -> tuple[float, str]:
    """What a worker does, here: each update read and merged, and after each call the document read; its round trip when
    it is due."""
    rows = [*before.updates]
    whole: Any = ((before.since, before.seq, before.snapshot, rows), [])
    request = Request("check", *KEY, "text", before.since, before.seq, 0, whole, None)
    opened = OpenDocument(request, WorkerLimits(), Silent())
    started = time.perf_counter()
    for start in range(0, len(updates), a_call):
        part = updates[start : start + a_call]
        for update in part:
            opened.document.offer(update)
        assert opened.verify(part) is None
        opened.taken(part)
    return time.perf_counter() - started, str(opened.document.view())


async def through_the_worker(
    before: StoredDocument, updates: Sequence[bytes], a_call: int, pool: DocumentPool
) -> tuple[float, str]:
    """The same by the pool."""
    since, seq = before.since, before.seq

    async def load() -> StoredDocument:
        return before

    # Another life of the document for each number of updates a call, so that it is loaded anew.
    await pool.view(KEY, "text", since, seq, load)
    started = time.perf_counter()
    for start in range(0, len(updates), a_call):
        part = updates[start : start + a_call]
        verdicts = await pool.check(KEY, "text", since, seq, load, part)
        assert verdicts == [Verdict()] * len(part)
        seq += len(part)
    took_s = time.perf_counter() - started
    return took_s, str(await pool.view(KEY, "text", since, seq, load))


def from_a_trace(name: str, warm: int, count: int) -> tuple[StoredDocument, Sequence[bytes]]:
    """The document after `warm` updates, and the next ones."""
    updates = trace(name).updates
    log = list(enumerate(updates[:warm], 1))
    return StoredDocument(1, warm, b"", 0, log), updates[warm : warm + count]


def from_copies(copies: int, count: int) -> tuple[StoredDocument, Sequence[bytes]]:
    """A snapshot of so many copies of a text, each as it was written by somebody else, and letters typed into it."""
    whole: Doc[Text] = Doc()
    whole["text"] = text = Text()
    transactions = recorded("json-crdt-blog-post")["txns"]
    for _ in range(copies):
        own: Doc[Text] = Doc()
        own["text"] = written = Text()
        for transaction in transactions:
            for position, deleted, inserted in transaction["patches"]:
                # Not the very text where it is not ASCII, but as many edits as far apart.
                end = len(written)
                if deleted:
                    del written[min(position, end) : min(position + deleted, end)]
                if inserted:
                    written.insert(min(position, len(written)), inserted if inserted.isascii() else "?" * len(inserted))
        whole.apply_update(own.get_update())
    snapshot = whole.get_update()
    made: list[bytes] = []
    subscription = whole.observe(lambda event: made.append(event.update))
    dice = random.Random(1)
    for _ in range(count):
        text.insert(dice.randrange(len(text)), "x")
    whole.unobserve(subscription)
    return StoredDocument(1, 1, snapshot, 1, []), made


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


async def measure(what: str, before: StoredDocument, updates: Sequence[bytes]) -> None:
    ceiling_s, text = raw(before, updates)
    stored = Document.load("text", "text", before.snapshot, [update for _, update in before.updates])
    encoded_bytes = len(stored.round_trip())
    lines = [
        f"Python {platform.python_version()}, pycrdt {version('pycrdt')}, {os.cpu_count()} cores",
        (
            f"{what}: {len(updates)} updates to a document of {encoded_bytes:,} bytes; "
            f"{len(text.encode()):,} bytes of text at the end"
        ),
        f"pycrdt alone, which is what breaks: {len(updates) / ceiling_s:,.0f} updates/s",
        "",
        "| updates a call | in process | through the worker | ms a call | ratio | of pycrdt alone |",
        "| --- | --- | --- | --- | --- | --- |",
    ]

    def row(a_call: int, here_s: float, there_s: float) -> str:
        rate: Callable[[float], float] = lambda took_s: len(updates) / took_s  # noqa: E731
        call_ms = there_s / -(-len(updates) // a_call) * 1000
        return (
            f"| {a_call} | {rate(here_s):,.0f}/s | {rate(there_s):,.0f}/s | {call_ms:.2f} | {here_s / there_s:.2f} "
            f"| {ceiling_s / there_s:.3f} |"
        )

    pool = DocumentPool()
    try:
        await pool.start()
        for a_call in A_CALL:
            here_s, here = in_process(before, updates, a_call)
            there_s, there = await through_the_worker(replace(before, since=a_call), updates, a_call, pool)
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
    parser.add_argument("--copies", type=int, default=0)
    parser.add_argument("--updates", type=int, default=3_000)
    given = parser.parse_args()
    if given.copies:
        asyncio.run(measure(f"{given.copies} copies", *from_copies(given.copies, given.updates)))
    else:
        asyncio.run(measure(f"trace {given.trace}", *from_a_trace(given.trace, given.warm, given.updates)))
