"""What is watched while hostile updates come: the event loop, the memory of every process, and what ends a worker."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from conflict_rules.crdt import DocumentKind
from syncd.documents.pool import DocumentPool
from syncd.documents.protocol import Load, Verdict
from syncd.store.protocol import DocumentKey

__all__ = ["Memory", "Recorded", "Ticker"]

_WORTH_A_LOOK_S = 0.1
_BROKE = ("did not end", "made the merging library fail", "ended the process")


def held_up_s() -> float:
    """How long this thread has waited for a processor so far; 0 where the system does not tell."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


class Ticker:
    """Turns with the event loop, and knows its longest pause: by the clock, without the time for which this thread was
    ready and a busy machine had no processor for it. `seen`: what the loop was at in the pauses of some length, the
    longest last."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self.seen: list[str] = []
        self._running = True
        self._turned = time.monotonic()

    async def run(self) -> None:
        loop_thread = threading.get_ident()
        onlooker = threading.Thread(target=self._look_on, args=(loop_thread,), daemon=True)
        onlooker.start()
        while self._running:
            before, held_up = time.monotonic(), held_up_s()
            self._turned = before
            await asyncio.sleep(0.005)
            pause_s = time.monotonic() - before - (held_up_s() - held_up)
            self.longest_s = max(self.longest_s, pause_s)
        onlooker.join()

    def stop(self) -> None:
        self._running = False

    def _look_on(self, loop_thread: int) -> None:
        """From beside, since whoever holds the loop does not say so."""
        longest_s = _WORTH_A_LOOK_S
        while self._running:
            time.sleep(0.02)
            turned = self._turned
            if (since_s := time.monotonic() - turned) > longest_s and (frame := sys._current_frames().get(loop_thread)):
                longest_s = since_s
                self.seen.append(f"{since_s * 1000:.0f} ms\n{''.join(traceback.format_stack(frame)[-6:])}")


class Memory:
    """How much of it this process and the workers hold, at most, of all the times that it was looked at."""

    def __init__(self, pids: Callable[[], Sequence[int | None]]) -> None:
        self._pids = pids
        self._first = _resident_bytes(os.getpid())
        self.growth_bytes = 0
        self.worker_bytes = 0

    def look(self) -> None:
        self.growth_bytes = max(self.growth_bytes, _resident_bytes(os.getpid()) - self._first)
        workers = [_resident_bytes(pid) for pid in self._pids() if pid is not None]
        self.worker_bytes = max([self.worker_bytes, *workers])


def _resident_bytes(pid: int) -> int:
    """0 for a process that is no more, and where the system does not tell."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


class Recorded:
    """Reads documents as the pool does, and remembers its verdicts. `crashers`: what has ended, hung or panicked a
    worker, as lines for `fixtures/crdt/crashers.json`."""

    def __init__(self, pool: DocumentPool) -> None:
        self._pool = pool
        self._taken: dict[DocumentKey, list[bytes]] = {}
        self.verdicts: dict[DocumentKey, dict[bytes, Verdict]] = {}
        self.crashers: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    async def check(
        self, key: DocumentKey, kind: DocumentKind, since: int, seq: int, load: Load, updates: Sequence[bytes]
    ) -> Sequence[Verdict]:
        verdicts = await self._pool.check(key, kind, since, seq, load, updates)
        self.verdicts.setdefault(key, {}).update(zip(updates, verdicts, strict=True))
        taken = self._taken.setdefault(key, [])
        del taken[seq:]
        for update, verdict in zip(updates, verdicts, strict=True):
            if verdict.code is None:
                taken.append(update)
            elif any(said in verdict.message for said in _BROKE):
                line = {
                    "name": key.id,
                    "alone": f"in the {kind} {key.field}: {verdict.message}",
                    "updates": [one.hex() for one in (*taken, update)],
                }
                self.crashers.append(json.dumps(line))
        return verdicts

    def forget(self, key: DocumentKey) -> None:
        """It is written to no more."""
        self._taken.pop(key, None)
        self.verdicts.pop(key, None)
