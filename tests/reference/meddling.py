"""What goes wrong around documents: workers that are killed in the middle, and a server that is gone at once.

Both beside the real thing: the pool's processes, and the engine on its file.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from client_sdk.errors import Unreachable
from conflict_rules.crdt import DocumentKind
from conflict_rules.values import JsonValue
from syncd.documents.pool import DocumentPool
from syncd.documents.protocol import Load, Squash, Verdict
from syncd.store.protocol import DocumentKey
from tests.reference.in_process import Network

__all__ = ["Crashed", "CrashingNetwork", "KilledWorkers", "as_the_disk_has_it"]

T = TypeVar("T")


class Crashed(Exception):
    """The server's process is no more."""


class KilledWorkers:
    """The documents of a server. `killed`: how often a worker was. `crash`: end with the next that is judged."""

    def __init__(self, pool: DocumentPool, dice: random.Random) -> None:
        self.pool = pool
        self.dice = dice
        self.faulty = True
        self.crash = False
        self.killed = 0
        self.squashes = 0

    def kill(self) -> None:
        """kill -9 for every worker there is."""
        for pid in self.pool.pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                self.killed += 1

    async def check(
        self, key: DocumentKey, kind: DocumentKind, since: int, seq: int, load: Load, updates: Sequence[bytes]
    ) -> Sequence[Verdict]:
        """See `Documents.check`."""
        verdicts = await self._amid(self.pool.check(key, kind, since, seq, load, updates))
        if self.crash:
            raise Crashed
        return verdicts

    async def view(self, key: DocumentKey, kind: DocumentKind, since: int, seq: int, load: Load) -> JsonValue:
        """See `Documents.view`."""
        return await self._amid(self.pool.view(key, kind, since, seq, load))

    async def diff(
        self, key: DocumentKey, kind: DocumentKind, since: int, seq: int, load: Load, state_vector: bytes
    ) -> bytes:
        """See `Documents.diff`."""
        return await self._amid(self.pool.diff(key, kind, since, seq, load, state_vector))

    async def squash(self, key: DocumentKey, kind: DocumentKind, since: int, seq: int, load: Load) -> Squash:
        """See `Documents.squash`."""
        self.squashes += 1
        return await self.pool.squash(key, kind, since, seq, load)

    async def _amid(self, work: Coroutine[Any, Any, T]) -> T:
        if not self.faulty or self.dice.random() >= 0.04:
            return await work
        task = asyncio.ensure_future(work)
        for _ in range(self.dice.randint(0, 4)):  # further or less far
            await asyncio.sleep(0)
        self.kill()
        return await task


class CrashingNetwork(Network):
    """A push may be the last that its server sees. `fell`: told then, to start another one."""

    documents_of: KilledWorkers
    fell: Any

    async def push(self, body: bytes) -> bytes:
        """See `Network.push`."""
        if not self.faulty or self.dice.random() >= 0.03:
            return await super().push(body)
        moment = self.dice.choice(["before", "judged", "committed"])
        if moment != "before":
            self.documents_of.crash = moment == "judged"
            with suppress(Crashed):
                await self.serve_push(body)
            self.documents_of.crash = False
        await self.fell()
        raise Unreachable("the server is gone")

    async def serve_push(self, body: bytes) -> bytes:
        """See `Network.serve_push`. Squashes come to their end, so that a seed plays the same history again."""
        answer = await super().serve_push(body)
        squasher = self.server().pusher._squasher
        assert squasher is not None
        await squasher.close()
        return answer


def as_the_disk_has_it(database: Path, copy: Path) -> None:
    """What a process that is killed now leaves behind: its file, and the log beside it."""
    shutil.copyfile(database, copy)
    log = Path(f"{database}-wal")
    if log.exists():
        shutil.copyfile(log, f"{copy}-wal")
