"""New workers, from a zygote that is started when it is needed and again if it is gone.

Neither gets anything of the server but its module search path: no token, no other setting, no open file.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Final

import structlog

from syncd.documents.frames import FORK, PID_BYTES, READY
from syncd.documents.limits import WorkerLimits
from syncd.documents.process import Wire, Worker
from syncd.errors import DocumentsUnavailable, ShuttingDown

__all__ = ["Spawner"]

log = structlog.get_logger(__name__)

_START_S: Final = 30.0
_FORK_S: Final = 10.0
_ATTEMPTS: Final = 3
_KEPT_ENVIRONMENT: Final = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR")
_START: Final = """\
import sys, json
import importlib
sys.path[:] = json.loads(sys.argv[4])
importlib.import_module(sys.argv[3]).main(int(sys.argv[1]), sys.argv[2])
"""


@dataclass(slots=True)
class _Zygote:
    process: subprocess.Popen[bytes]
    control: socket.socket
    wire: Wire


class Spawner:
    """Starts workers. `zygote`: the module that is run, and forked."""

    def __init__(self, limits: WorkerLimits, zygote: str) -> None:
        self._limits = json.dumps(asdict(limits))
        self._module = zygote
        self._turn = asyncio.Lock()
        self._zygote: _Zygote | None = None
        self._closed = False
        self._ends: set[asyncio.Task[None]] = set()

    @property
    def pid(self) -> int | None:
        """The zygote's process id, None while there is none."""
        return None if self._zygote is None else self._zygote.process.pid

    async def start(self) -> None:
        """Have a zygote ready, so that the first worker need not wait for it."""
        async with self._turn:
            await self._ready_zygote()

    async def worker(self) -> Worker:
        """A fresh worker. Raises `DocumentsUnavailable`."""
        async with self._turn:
            for _ in range(_ATTEMPTS):
                zygote = await self._ready_zygote()
                try:
                    return await self._fork(zygote)
                except (OSError, TimeoutError):
                    self._end(zygote)
        raise DocumentsUnavailable("The processes that read documents cannot be started.", retry_after_s=5)

    async def close(self) -> None:
        """End the zygote; its workers end with it. Nothing is left behind, not even an entry in the process table."""
        self._closed = True
        async with self._turn:
            if self._zygote is not None:
                self._end(self._zygote)
            while self._ends:
                await asyncio.gather(*self._ends)

    async def _ready_zygote(self) -> _Zygote:
        if self._closed:
            raise ShuttingDown("The server is closing.")
        if self._zygote is not None and not self._zygote.wire.closed.done():
            return self._zygote
        ours, theirs = socket.socketpair()
        # Read through the event loop, so that its end is noticed; written to directly, since a descriptor goes with it.
        control = ours.dup()
        control.setblocking(False)
        with theirs:
            try:
                _, wire = await asyncio.get_running_loop().create_unix_connection(Wire, sock=ours)
            except BaseException:
                ours.close()
                control.close()
                raise
            path = json.dumps([os.path.abspath(entry) for entry in sys.path])  # noqa: ASYNC240  # no file is read
            process = subprocess.Popen(  # noqa: ASYNC220  # it does not wait for what it starts
                [sys.executable, "-I", "-c", _START, str(theirs.fileno()), self._limits, self._module, path],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                env={name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
                | {"RUST_BACKTRACE": "0"},
            )
        zygote = self._zygote = _Zygote(process, control, wire)
        wire.closed.add_done_callback(lambda _: self._end(zygote))
        try:
            await _receive(wire, len(READY), _START_S)
        except (OSError, TimeoutError):
            self._end(zygote)
            log.exception("no zygote", status=process.poll())
            raise DocumentsUnavailable("The process that reads documents does not start.", retry_after_s=5) from None
        except BaseException:
            self._end(zygote)
            raise
        log.debug("zygote ready", pid=process.pid)
        return zygote

    async def _fork(self, zygote: _Zygote) -> Worker:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(zygote.control, [FORK], [theirs.fileno()])
            except OSError:
                ours.close()
                raise
        _, wire = await asyncio.get_running_loop().create_unix_connection(Wire, sock=ours)
        try:
            pid = int.from_bytes(await _receive(zygote.wire, PID_BYTES, _FORK_S), "little")
        except BaseException:
            wire.abort()
            self._end(zygote)
            raise
        return Worker(pid, wire)

    def _end(self, zygote: _Zygote) -> None:
        """Forget a zygote, and see to it that it ends."""
        if self._zygote is zygote:
            self._zygote = None
        if zygote.control.fileno() < 0:
            return
        zygote.control.close()
        zygote.wire.abort()
        task = asyncio.ensure_future(self._wait_for(zygote.process))
        self._ends.add(task)
        task.add_done_callback(self._ends.discard)

    @staticmethod
    async def _wait_for(process: subprocess.Popen[bytes]) -> None:
        """It ends by itself when its connection closes; then it has ended its workers too."""
        with suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(process.wait, 1.0)
            return
        process.kill()
        await asyncio.to_thread(process.wait)


async def _receive(wire: Wire, count: int, timeout_s: float) -> bytes:
    async with asyncio.timeout(timeout_s):
        while len(wire.data) < count:
            if wire.closed.done():
                raise ConnectionResetError
            await wire.more(timeout_s)
    data = bytes(wire.data[:count])
    del wire.data[:count]
    return data
