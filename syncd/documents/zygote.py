"""The process that workers are forked from: it has imported pycrdt, has made a document of its own, and has never
seen a byte of anybody's.

A fork of it is ready after a millisecond or two; a fresh interpreter takes sixty. It has one thread, as a process that
forks should, no secret in its environment, and ends with the server: its control socket closes, and its workers go with
it, hung or not.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
from typing import Final

from conflict_rules.documents.document import Document
from conflict_rules.documents.yjs_shape import KINDS
from syncd.documents.frames import FORK, PID_BYTES, READY
from syncd.documents.limits import WorkerLimits
from syncd.documents.worker import work

__all__ = ["main"]

_TRUSTED: Final = b"\x01\x01\x01\x00\x04\x01\x04warm\x01a\x00"
"""Client 1 types an "a" into the text "warm"."""


class Zygote:
    """Forks workers on request, until the server has gone."""

    def __init__(self, control: socket.socket, limits: WorkerLimits) -> None:
        self._control = control
        self._limits = limits
        self._children: set[int] = set()

    def serve(self) -> None:
        """Answer requests until there can be no more."""
        signal.signal(signal.SIGCHLD, lambda *_: self._reap())
        try:
            self._control.sendall(READY)
            while self._fork():
                pass
        except ConnectionError:
            pass
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._reap()
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    def _fork(self) -> bool:
        request, descriptors, _, _ = socket.recv_fds(self._control, len(FORK), 1)
        if not request or not descriptors:
            return False
        pid = os.fork()
        if pid == 0:
            self._become_worker(descriptors[0])
        os.close(descriptors[0])
        self._children.add(pid)
        self._control.sendall(pid.to_bytes(PID_BYTES, "little"))
        return True

    def _become_worker(self, descriptor: int) -> None:
        """Never returns: nothing that a worker does may end in the code of its zygote."""
        try:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._control.close()
            work(socket.socket(fileno=descriptor), self._limits)
        finally:
            os._exit(1)

    def _reap(self) -> None:
        """Only children that are not waited for yet are killed in the end: their ids belong to nobody else."""
        for pid in tuple(self._children):
            try:
                gone = os.waitpid(pid, os.WNOHANG)[0] != 0
            except ChildProcessError:
                # Another has ended meanwhile: the same handler ran inside of this one, and has waited for it.
                gone = True
            if gone:
                self._children.discard(pid)


def warm_up() -> None:
    """Do once what a worker does: what is imported and set up with the first document costs each fork 20 to 70 ms."""
    for kind in KINDS:
        document = Document.load(kind, "warm", b"", [_TRUSTED] if kind == "text" else [])
        document.view()
        Document.load(kind, "warm", document.round_trip()).diff({})


def main(control_descriptor: int, limits: str) -> None:
    """`limits`: the fields of `WorkerLimits`, as JSON."""
    control = socket.socket(fileno=control_descriptor)
    warm_up()
    gc.collect()
    gc.freeze()
    Zygote(control, WorkerLimits(**json.loads(limits))).serve()
