"""Hostile updates by the thousand, against the real pool: the server's process stands, its event loop turns, its memory
stays, honest documents are served, and every update gets a verdict. What was kept loads, and can be squashed."""

from __future__ import annotations

import asyncio
import os
import resource
import time
from collections import Counter
from pathlib import Path

from syncd.documents.pool import DocumentPool
from syncd.documents.protocol import Verdict
from tests.documents.hostile import FIELD, KINDS, Attacker, chains, honest
from tests.documents.shelf import Shelved
from tests.sizes import SIZES

CODES = {None, "invalid_document_update", "document_update_failed", "document_too_large"}
A_CALL = 50
A_DOCUMENT = 400
MAX_STALL_S = 0.25
MAX_GROWTH_BYTES = 200 << 20
MAX_WAIT_S = 5.0


def held_up_s() -> float:
    """How long this thread has waited for a processor so far; 0 where the system does not tell."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


class Ticker:
    """Turns with the event loop, and knows its longest pause: by the clock, without the time for which this thread was
    ready and a busy machine had no processor for it."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._running = True

    async def run(self) -> None:
        while self._running:
            before, held_up = time.monotonic(), held_up_s()
            await asyncio.sleep(0.005)
            self.longest_s = max(self.longest_s, time.monotonic() - before - (held_up_s() - held_up))

    def stop(self) -> None:
        self._running = False


async def attack(pool: DocumentPool, seed: int, count: int) -> Counter[str]:
    """Send so many hostile updates to one document, then read it as anybody would."""
    kind = KINDS[seed % len(KINDS)]
    document = Shelved(pool, f"hostile-{seed}", kind=kind, field=FIELD)
    found: Counter[str] = Counter()
    attacker = Attacker(seed, kind)
    for _ in range(0, count, A_CALL):
        sent = attacker.updates(A_CALL)
        verdicts = await document.push(*sent)
        assert len(verdicts) == len(sent)
        for update, verdict in zip(sent, verdicts, strict=True):
            if verdict == Verdict():
                attacker.learn(update)
            assert verdict.code in CODES
            assert bool(verdict.message) == (verdict.code is not None)
            found[verdict.code or ("waits" if verdict.waits else "fine")] += 1
    before = await document.view()
    await document.squash()
    # Asked for under another name, it is loaded from what is stored.
    document.key = document.key._replace(id=f"loaded-{seed}")
    assert await document.view() == before
    return found


async def test_hostile_updates_by_the_thousand(pool: DocumentPool) -> None:
    pid, memory = os.getpid(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ticker = Ticker()
    ticking = asyncio.create_task(ticker.run())
    neighbour = Shelved(pool, "honest", field=FIELD)
    stop = asyncio.Event()
    waits = []

    async def write() -> None:
        while not stop.is_set():
            began = time.monotonic()
            (verdict,) = await neighbour.push(honest(1, len(neighbour.log)))
            assert verdict.code is None
            waits.append(time.monotonic() - began)
            await asyncio.sleep(0.01)

    writing = asyncio.create_task(write())
    found: Counter[str] = Counter()
    for seed in range(SIZES.hostile_updates // A_DOCUMENT):
        found += await attack(pool, seed, A_DOCUMENT)
    stop.set()
    await writing
    ticker.stop()
    await ticking

    print(dict(found), f"{pool.ended} workers ended", f"longest pause {ticker.longest_s * 1000:.0f} ms")
    print(f"{len(waits)} honest updates meanwhile, the slowest {max(waits) * 1000:.0f} ms")
    assert found.total() == SIZES.hostile_updates // A_DOCUMENT * A_DOCUMENT
    assert min(found["invalid_document_update"], found["fine"]) > found.total() // 50
    assert os.getpid() == pid
    assert ticker.longest_s < MAX_STALL_S
    assert max(waits) < MAX_WAIT_S
    assert await neighbour.view() == "x" * len(neighbour.log)
    growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) * 1024
    assert growth < MAX_GROWTH_BYTES


async def test_what_would_take_memory_by_the_square_is_refused_in_words(pool: DocumentPool) -> None:
    document = Shelved(pool, field=FIELD)
    short, long = await document.push(chains(1000), chains(40_000))
    assert short.code is None
    assert long.code == "invalid_document_update"


def test_an_attacker_of_the_same_seed_sends_the_same() -> None:
    assert Attacker(7, "map").updates(200) == Attacker(7, "map").updates(200)
    assert len(set(Attacker(7, "map").updates(200))) > 100
