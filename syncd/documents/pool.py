"""Documents, read by worker processes: each document has its worker, and what a worker dies of is found and refused.

A worker that ends, hangs or panics takes nothing with it but time. Its document is then kept in a process beside the
others for a while, where `judging` finds out which update it was; other documents do not wait for that.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from weakref import WeakValueDictionary

import structlog

from conflict_rules.crdt import DocumentKind
from conflict_rules.values import JsonValue
from syncd.documents import frames
from syncd.documents.frames import Garbled
from syncd.documents.judging import Died, Judging
from syncd.documents.limits import PoolLimits, WorkerLimits
from syncd.documents.process import Worker, WorkerEnded
from syncd.documents.protocol import LARGE_BYTES, Load, RoundTripFailed, Squash, Verdict
from syncd.documents.replies import Cold, Done, Judgement, Operation, Refused, read_reply
from syncd.documents.spawn import Spawner
from syncd.errors import DocumentUnreadable, InvalidMessage, ShuttingDown
from syncd.store.protocol import DocumentKey, StoredDocument

__all__ = ["DocumentPool"]

log = structlog.get_logger(__name__)

_SECONDS_PER_BYTE: Final = 2e-6
_REPLY_BYTES: Final = 4 << 20
_MAX_KNOWN: Final = 10_000
_ATTEMPTS: Final = 3
"""So often a request is sent whose worker was gone before it had begun with it."""

V = TypeVar("V")


@dataclass(slots=True)
class _Call:
    """One document, as it is asked for. `stored`: as it was last read from the store. `aside`: by a process that nobody
    else waits for."""

    key: DocumentKey
    kind: DocumentKind
    since: int
    seq: int
    load: Load
    stored: StoredDocument | None = None
    aside: bool = False

    @property
    def stored_bytes(self) -> int:
        """How large it is in the store."""
        stored = self.stored
        return 0 if stored is None else len(stored.snapshot) + sum(len(update) for _, update in stored.updates)

    async def read(self) -> None:
        """Read the document from the store. It may have moved on there: then that is where it is."""
        if self.seq == 0:
            return
        stored = await self.load()
        if stored is None:
            raise DocumentUnreadable.of(self.key, f"it has taken {self.seq} updates, and the store has nothing of it.")
        above = [seq for seq, _ in stored.updates if seq > stored.snapshot_seq]
        if above != list(range(stored.snapshot_seq + 1, stored.seq + 1)) or bool(stored.snapshot_seq) > bool(
            stored.snapshot
        ):
            raise DocumentUnreadable.of(self.key, "a part of what it has taken is missing from the store.")
        self.stored, self.since, self.seq = stored, stored.since, stored.seq

    def request(self, operation: Operation, argument: object, accepted: Sequence[bytes], *, whole: bool) -> bytes:
        """As it is sent. `whole`: with all that a worker needs that does not hold the document."""
        log_ = None
        if whole:
            stored = self.stored
            log_ = [
                stored and [stored.since, stored.seq, stored.snapshot, [list(row) for row in stored.updates]],
                list(accepted),
            ]
        return frames.encode([operation, *self.key, self.kind, self.since, self.seq, len(accepted), log_, argument])


class _Slot:
    """The place of one worker, which works for one call at a time. One that has ended is replaced at the next call."""

    def __init__(self, spawner: Spawner) -> None:
        self._spawner = spawner
        self._turn = asyncio.Lock()
        self.worker: Worker | None = None

    @asynccontextmanager
    async def turn(self, *, anew: bool) -> AsyncIterator[Worker]:
        """Have the worker to oneself, in the order of asking; a fresh one if `anew`."""
        async with self._turn:
            if self.worker is not None and (anew or not self.worker.alive):
                self.close()
            if self.worker is None:
                self.worker = await self._spawner.worker()
            yield self.worker

    def close(self) -> None:
        """End the worker."""
        if self.worker is not None:
            self.worker.kill()
            self.worker = None


class DocumentPool:
    """See `Documents`. `workers`: how many work at once; one more stands by for documents that have ended one, and one
    is started to squash a large one."""

    def __init__(
        self,
        *,
        workers: int = 1,
        limits: PoolLimits | None = None,
        worker_limits: WorkerLimits | None = None,
        zygote: str = "syncd.documents.zygote",
    ) -> None:
        self._limits = limits or PoolLimits()
        self._worker_limits = worker_limits or WorkerLimits()
        self._spawner = Spawner(self._worker_limits, zygote)
        self._slots = [_Slot(self._spawner) for _ in range(workers)]
        self._apart = _Slot(self._spawner)
        self._aside = _Slot(self._spawner)
        self._apart_until: OrderedDict[DocumentKey, float] = OrderedDict()
        self._moved: set[DocumentKey] = set()
        self._sizes: OrderedDict[DocumentKey, int] = OrderedDict()
        self._turns: WeakValueDictionary[DocumentKey, asyncio.Lock] = WeakValueDictionary()
        self._squashing = asyncio.Lock()
        self._closed = False
        self.ended = 0
        """How many workers have ended at their work so far."""

    @property
    def pids(self) -> Sequence[int]:
        """The process ids of the workers there are."""
        slots = [*self._slots, self._apart, self._aside]
        return [slot.worker.pid for slot in slots if slot.worker is not None and slot.worker.alive]

    @property
    def zygote_pid(self) -> int | None:
        """The id of the process that workers are forked from, None while there is none."""
        return self._spawner.pid

    async def start(self) -> None:
        """Have it ready, so that the first call need not wait for it."""
        await self._spawner.start()

    async def close(self) -> None:
        """End all processes. Calls under way raise `ShuttingDown`."""
        self._closed = True
        for slot in (*self._slots, self._apart, self._aside):
            slot.close()
        await self._spawner.close()

    async def check(
        self, key: DocumentKey, kind: DocumentKind, since: int, seq: int, load: Load, updates: Sequence[bytes]
    ) -> Sequence[Verdict]:
        """See `Documents.check`."""
        call = _Call(key, kind, since, seq, load)

        async def attempt(accepted: Sequence[bytes], part: Sequence[bytes], anew: bool) -> Judgement | Died:
            reply: Judgement | Died = await self._ask(call, "check", list(part), accepted, anew=anew)
            return reply

        async with self._turn_of(key):
            return await Judging(updates, self._limits, attempt).verdicts()

    async def view(self, key: DocumentKey, kind: DocumentKind, since: int, seq: int, load: Load) -> JsonValue:
        """See `Documents.view`."""
        content: JsonValue = await self._answer(_Call(key, kind, since, seq, load), "view", None)
        return content

    async def diff(
        self, key: DocumentKey, kind: DocumentKind, since: int, seq: int, load: Load, state_vector: bytes
    ) -> bytes:
        """See `Documents.diff`."""
        update: bytes = await self._answer(_Call(key, kind, since, seq, load), "diff", state_vector)
        return update

    async def revert(
        self, key: DocumentKey, kind: DocumentKind, since: int, seq: int, load: Load, earlier: Sequence[bytes]
    ) -> bytes:
        """See `Documents.revert`."""
        update: bytes = await self._answer(_Call(key, kind, since, seq, load), "revert", list(earlier))
        return update

    async def squash(self, key: DocumentKey, kind: DocumentKind, since: int, seq: int, load: Load) -> Squash:
        """See `Documents.squash`."""
        call = _Call(key, kind, since, seq, load)
        await call.read()
        call.aside = call.stored_bytes > LARGE_BYTES
        squash: Squash
        if not call.aside:
            squash = await self._answer(call, "squash", None)
            return squash
        async with self._squashing:
            try:
                squash = await self._answer_in_turn(call, "squash", None)
            finally:
                # What it took of memory goes with it; it is not asked for that document again.
                self._aside.close()
        return squash

    async def _answer(self, call: _Call, operation: Operation, argument: object) -> Any:
        """What a worker says of a document, which is nobody else's meanwhile."""
        async with self._turn_of(call.key):
            return await self._answer_in_turn(call, operation, argument)

    async def _answer_in_turn(self, call: _Call, operation: Operation, argument: object) -> Any:
        """What a worker says of a document; it may end once for other reasons."""
        value = await self._ask(call, operation, argument, (), anew=False)
        if isinstance(value, Died):
            value = await self._ask(call, operation, argument, (), anew=True)
        if isinstance(value, Died):
            if operation == "squash" and value.in_the_round_trip:
                raise RoundTripFailed(value.sentence)
            raise DocumentUnreadable.of(call.key, f"{value.sentence}.")
        return value

    async def _ask(
        self, call: _Call, operation: Operation, argument: object, accepted: Sequence[bytes], *, anew: bool
    ) -> Any:
        """One request: the value of its reply, or how the worker ended."""
        whole = anew or call.aside
        if anew:
            await call.read()
        while True:
            reply = await self._exchange(call, operation, argument, accepted, whole=whole, anew=anew)
            match reply:
                case Died():
                    if reply.step == "load" and anew:
                        raise DocumentUnreadable.of(call.key, f"{reply.sentence}.")
                    return reply
                case Done(size, value):
                    self._know(call.key, size)
                    return value
                case Refused(why, "unreadable"):
                    raise DocumentUnreadable.of(call.key, why)
                case Refused(why, "unproven"):
                    raise RoundTripFailed(why)
                case Refused(why, "invalid"):
                    raise InvalidMessage(why)
            if call.stored is None:
                await call.read()
            whole = True

    async def _exchange(
        self,
        call: _Call,
        operation: Operation,
        argument: object,
        accepted: Sequence[bytes],
        *,
        whole: bool,
        anew: bool,
    ) -> Cold | Done | Refused | Died:
        request = call.request(operation, argument, accepted, whole=whole)
        count = len(argument) if isinstance(argument, list) else 0
        size = self._sizes.get(call.key, 0) + len(request)
        for attempt in range(_ATTEMPTS):
            slot = self._aside if call.aside else self._apart if anew else self._slot_of(call.key)
            if self._closed:
                raise ShuttingDown("The server is closing.")
            # What it may hold there of an earlier time apart was perhaps never committed, and stands at the same place.
            moved = slot is self._apart and call.key in self._moved
            async with slot.turn(anew=anew or moved) as worker:
                if slot is self._apart:
                    self._moved.discard(call.key)
                try:
                    reply = await worker.ask(
                        request,
                        step_s=self._limits.step_s + size * _SECONDS_PER_BYTE,
                        reply_bytes=3 * self._worker_limits.document_bytes + _REPLY_BYTES,
                    )
                    return read_reply(operation, reply, count=count, seq=call.seq + len(accepted), cold=not whole)
                except Garbled:
                    worker.kill()
                    end = WorkerEnded("garbled", None, None)
                except WorkerEnded as ended:
                    end = ended
            if end.how != "ended" or end.step is not None or attempt + 1 == _ATTEMPTS:
                break
            # It was gone before it had begun: nobody's fault.
        return self._died(call, end)

    def _died(self, call: _Call, end: WorkerEnded) -> Died:
        if self._closed:
            raise ShuttingDown("The server is closing.")
        self.ended += 1
        self._moved.add(call.key)
        self._apart_until[call.key] = asyncio.get_running_loop().time() + self._limits.isolation_s
        _newest(self._apart_until, call.key)
        log.warning("document worker ended", how=end.how, step=end.step, type=call.key.type, id=call.key.id)
        return Died(end.how, end.step, end.index)

    def _slot_of(self, key: DocumentKey) -> _Slot:
        until = self._apart_until.get(key)
        if until is not None:
            if until > asyncio.get_running_loop().time():
                return self._apart
            del self._apart_until[key]
            self._moved.discard(key)
        return self._slots[zlib.crc32(repr(key).encode()) % len(self._slots)]

    def _turn_of(self, key: DocumentKey) -> asyncio.Lock:
        return self._turns.setdefault(key, asyncio.Lock())

    def _know(self, key: DocumentKey, size: int) -> None:
        """How long a step may take goes by the document's size."""
        self._sizes[key] = min(size, 2 * self._worker_limits.document_bytes)
        _newest(self._sizes, key)


def _newest(known: OrderedDict[DocumentKey, V], key: DocumentKey) -> None:
    """Move to the end, and forget the oldest if there are too many."""
    known.move_to_end(key)
    if len(known) > _MAX_KNOWN:
        known.popitem(last=False)
