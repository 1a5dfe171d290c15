"""A worker as the server sees it: asked one thing at a time, watched while it works, and never trusted.

Time is measured by the clock and, where the system tells, by the time that the worker computes: on a busy machine an
honest update may take long, and is not to be refused for it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import weakref
from contextlib import suppress
from typing import Any, Final, Literal, cast

from syncd.documents import frames
from syncd.documents.frames import MARK_BYTES, PANIC, REPLY, Garbled, Step

__all__ = ["Wire", "Worker", "WorkerEnded"]

_BUSY_MACHINE: Final = 10
"""How many times the allowed computing time may pass by the clock."""

_WHOLE_TURN: Final = 30
"""How many times the time allowed for one step a whole request may take."""

_HEAD_BYTES: Final = 2 * MARK_BYTES
_CPU_EVERY_S: Final = 0.05
_STAT_BYTES: Final = 4096
_TICKS: Final = os.sysconf("SC_CLK_TCK")


class WorkerEnded(Exception):
    """The worker has ended, or had to be ended. `step`, `index`: the last that it marked."""

    def __init__(self, how: Literal["ended", "hung", "panicked", "garbled"], step: Step | None, index: int | None):
        super().__init__(how)
        self.how = how
        self.step = step
        self.index = index


class Wire(asyncio.Protocol):
    """The bytes that come over a connection to a process of ours, until it closes. `max_bytes`: that may lie here
    unread; beyond, the connection is cut."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.closed = asyncio.get_running_loop().create_future()
        self.max_bytes = 1 << 20
        self._news: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        self.data += data
        if len(self.data) > self.max_bytes and self._transport is not None:
            self._transport.abort()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop."""
        if not self.closed.done():
            self.closed.set_result(None)
        self._wake()

    def write(self, data: bytes) -> None:
        """Send; if the connection has closed, nobody will."""
        if self._transport is not None and not self.closed.done():
            self._transport.write(data)

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    async def more(self, timeout_s: float) -> bool:
        """Wait until there is more than at the call, or the connection has closed; False if neither in that time."""
        if self.closed.done():
            return True
        self._news = asyncio.get_running_loop().create_future()
        done, _ = await asyncio.wait([self._news], timeout=timeout_s)
        return bool(done)

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)


class Worker:
    """One worker process."""

    def __init__(self, pid: int, wire: Wire) -> None:
        self.pid = pid
        self._wire = wire
        self._clock = _Clock(pid)

    @property
    def alive(self) -> bool:
        """Whether it is there still: nobody else holds the other end of its connection."""
        return not self._wire.closed.done()

    def kill(self) -> None:
        """End it, whatever it does."""
        if self.alive:
            # It has not ended, so its id belongs to nobody else.
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        self._wire.abort()

    async def ask(self, request: bytes, *, step_s: float, reply_bytes: int) -> Any:
        """Its reply to an encoded request. Raises `WorkerEnded`, and then it is no more.

        `step_s`: how long it may compute between two marks. `reply_bytes`: how large its reply may be.
        """
        watch = _Watch(self._clock, step_s)
        self._wire.max_bytes = reply_bytes + (1 << 20)
        try:
            self._wire.write(request)
            return frames.decode(await self._reply(watch, reply_bytes))
        except Garbled:
            self.kill()
            raise WorkerEnded("garbled", watch.step, watch.index) from None
        except BaseException:
            # Also when whoever asked was cancelled: the reply that will come is nobody's.
            self.kill()
            raise

    async def _reply(self, watch: _Watch, reply_bytes: int) -> bytes:
        while (body := self._read(watch, reply_bytes)) is None:
            if not self.alive:
                raise WorkerEnded("panicked" if watch.panicked else "ended", watch.step, watch.index)
            if not await self._wire.more(watch.patience_s()) and watch.exhausted():
                raise WorkerEnded("hung", watch.step, watch.index)
        return body

    def _read(self, watch: _Watch, reply_bytes: int) -> bytes | None:
        """Take the marks off what has come; the body of the reply once it is there."""
        data = self._wire.data
        units = len(data) // MARK_BYTES
        letters = bytes(data[: units * MARK_BYTES : MARK_BYTES])
        replied = letters.find(REPLY)
        marks = units if replied < 0 else replied
        if marks:
            watch.marked(letters[:marks], bytes(data[(marks - 1) * MARK_BYTES : marks * MARK_BYTES]), data)
            del data[: marks * MARK_BYTES]
        if replied < 0 or len(data) < _HEAD_BYTES:
            return None
        length = int.from_bytes(data[MARK_BYTES:_HEAD_BYTES], "little")
        if length > reply_bytes:
            raise Garbled("a reply that is too large")
        if len(data) < _HEAD_BYTES + length:
            return None
        body = bytes(data[_HEAD_BYTES : _HEAD_BYTES + length])
        del data[: _HEAD_BYTES + length]
        return body


class _Watch:
    """How long a worker has been at its step, and which that is."""

    def __init__(self, clock: _Clock, step_s: float) -> None:
        self.step: Step | None = None
        self.index: int | None = None
        self.panicked = False
        self._clock = clock
        self._step_s = step_s
        self._now = asyncio.get_running_loop().time
        self._began = self._marked = self._read_cpu = self._now()
        self._cpu = clock.cpu_s()

    def marked(self, letters: bytes, last: bytes, data: bytearray) -> None:
        """These marks have come, in full `data`; `last` is the last of them."""
        self._marked = self._now()
        if self._marked - self._read_cpu > _CPU_EVERY_S:
            self._read_cpu, self._cpu = self._marked, self._clock.cpu_s()
        step, index = frames.read_mark(last)
        if step is None:
            self.panicked = True
            place = len(letters.rstrip(bytes((PANIC,)))) - 1
            if place >= 0:
                self.step, _ = frames.read_mark(bytes(data[place * MARK_BYTES : (place + 1) * MARK_BYTES]))
            self.index = self.index if index is None else index
        else:
            self.step, self.index = step, index

    def patience_s(self) -> float:
        """How long to wait before asking whether it has been too long."""
        left = self._marked + self._step_s - self._now()
        return left if left > 0 else self._step_s / 10

    def exhausted(self) -> bool:
        """Whether it has computed for too long at this step; without the system's word on that, whether it has been too
        long by the clock."""
        now = self._now()
        elapsed = now - self._marked
        if elapsed < self._step_s:
            return False
        if elapsed > _BUSY_MACHINE * self._step_s or now - self._began > _WHOLE_TURN * self._step_s:
            return True
        cpu = self._clock.cpu_s()
        return cpu is None or self._cpu is None or cpu - self._cpu >= self._step_s


class _Clock:
    """How long a process has computed. It is asked at every request, so its file is kept open."""

    def __init__(self, pid: int) -> None:
        self._file: int | None = None
        with suppress(OSError):
            self._file = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
            weakref.finalize(self, os.close, self._file)

    def cpu_s(self) -> float | None:
        """In seconds; None where that is not told (it may have ended)."""
        if self._file is None:
            return None
        try:
            fields = os.pread(self._file, _STAT_BYTES, 0).rpartition(b")")[2].split()
            return (int(fields[11]) + int(fields[12])) / _TICKS
        except (OSError, ValueError, IndexError):
            return None
