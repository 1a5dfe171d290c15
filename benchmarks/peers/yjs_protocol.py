"""The sync protocol of Yjs (y-protocols/sync), as far as a benchmark speaks it, and Hocuspocus' variant of it.

A message is: 0 (sync), its kind, and bytes with their length before them. Hocuspocus puts the document's name before
each message, since one socket may carry several documents, and wants a token first. Numbers are of seven bits a byte,
the lowest first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.harness.socket_driver import Entrance

__all__ = ["HOCUSPOCUS", "ROOT", "Y_WEBSOCKET", "Dialect", "deleted_units", "state_of", "var_uint"]

ROOT = "text"
"""The name of the text in every document of the benchmarks."""

_SYNC, _AUTH, _SYNC_REPLY = 0, 2, 4
_STEP_1, _STEP_2, _UPDATE = 0, 1, 2
_NOTHING_HELD = b"\0"


def var_uint(number: int) -> bytes:
    """A number as it is written."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def _read(data: bytes, at: int) -> tuple[int, int]:
    """The number at `at`, and where it ends."""
    found = shift = 0
    while True:
        byte = data[at]
        found |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return found, at
        shift += 7


def _counted(data: bytes) -> bytes:
    return var_uint(len(data)) + data


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a server is spoken to. `named`: as Hocuspocus wants it."""

    named: bool

    def entrance(self, port: int, document: str) -> Entrance:
        """How a socket gets to a document: it stands when it has been answered with the whole of it, see `whole`."""
        return Entrance(
            f"ws://127.0.0.1:{port}/{'' if self.named else document}",
            self._greeting(document),
            lambda frame: self.whole(frame) is not None,
        )

    def _greeting(self, document: str) -> Sequence[bytes]:
        step = self._before(document) + bytes([_SYNC, _STEP_1]) + _counted(_NOTHING_HELD)
        if not self.named:
            return [step]
        return [self._before(document) + bytes([_AUTH, 0]) + _counted(b"token"), step]

    def update(self, document: str, update: bytes) -> bytes:
        """The message that hands in an update."""
        return self._before(document) + bytes([_SYNC, _UPDATE]) + _counted(update)

    def whole(self, frame: bytes) -> bytes | None:
        """The document, if this is the answer to what a socket said first."""
        return self._payload(frame, _STEP_2)

    def updated(self, frame: bytes) -> bytes | None:
        """The update that it brings, if it is one."""
        return self._payload(frame, _UPDATE)

    def _before(self, document: str) -> bytes:
        return _counted(document.encode()) if self.named else b""

    def _payload(self, frame: bytes, wanted: int) -> bytes | None:
        at = 0
        if self.named:
            length, at = _read(frame, 0)
            at += length
        if frame[at] not in (_SYNC, _SYNC_REPLY) or frame[at + 1] != wanted:
            return None
        length, at = _read(frame, at + 2)
        return frame[at : at + length]


Y_WEBSOCKET = Dialect(named=False)
HOCUSPOCUS = Dialect(named=True)


def state_of(vector: bytes) -> int:
    """How many units have been inserted, by all clients together, according to a state vector."""
    clients, at = _read(vector, 0)
    total = 0
    for _ in range(clients):
        _, at = _read(vector, at)
        clock, at = _read(vector, at)
        total += clock
    return total


def deleted_units(delete_set: bytes) -> int:
    """How many units an encoded set of deletions holds."""
    clients, at = _read(delete_set, 0)
    total = 0
    for _ in range(clients):
        _, at = _read(delete_set, at)
        ranges, at = _read(delete_set, at)
        for _ in range(ranges):
            _, at = _read(delete_set, at)
            length, at = _read(delete_set, at)
            total += length
    return total
