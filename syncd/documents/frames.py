"""What passes between the server and a worker: requests one way, marks of progress and replies the other.

    request  := u32 length, msgpack
    from the worker, in units of 4 bytes:
      mark   := letter of a step, u24 index of the update (NOWHERE: of no single one)
      reply  := "=", 3 zero bytes, u32 length, msgpack
    from the zygote: "R" once; then, for each "f" with a socket, the u32 process id of a worker that has it

A mark is written before a step that may never come back, so that whoever finds the worker dead knows where it was. The
worker merges what strangers sent and its memory may be spoilt: what it says is read within bounds, and anything
unexpected is `Garbled`.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgpack

__all__ = [
    "FORK",
    "MARK_BYTES",
    "NOWHERE",
    "PANIC",
    "PID_BYTES",
    "READY",
    "REPLY",
    "STEP_LETTERS",
    "Garbled",
    "Step",
    "decode",
    "encode",
    "mark",
    "read_mark",
    "receive",
    "reply_start",
]

Step = Literal["load", "replay", "scan", "apply", "release", "read", "encode", "decode", "compare"]
"""What a worker does: loads what is stored, repeats what was found fine before, reads an update without pycrdt; the
rest as in `conflict_rules.documents.document`."""

STEP_LETTERS: Final[Mapping[Step, int]] = {
    "load": ord("l"),
    "replay": ord("p"),
    "scan": ord("s"),
    "apply": ord("a"),
    "release": ord("w"),
    "read": ord("r"),
    "encode": ord("e"),
    "decode": ord("d"),
    "compare": ord("c"),
}
_STEPS: Final = {letter: step for step, letter in STEP_LETTERS.items()}

PANIC: Final = ord("!")
"""Instead of a step: native code has panicked, and the worker ends."""

REPLY: Final = ord("=")
MARK_BYTES: Final = 4
NOWHERE: Final = 0xFFFFFF

FORK: Final = b"f"
READY: Final = b"R"
PID_BYTES: Final = 4

_LENGTH_BYTES: Final = 4


class Garbled(Exception):
    """What came is not what a worker says."""


def encode(message: object) -> bytes:
    """A request as it is sent."""
    body: bytes = msgpack.packb(message)
    return len(body).to_bytes(_LENGTH_BYTES, "little") + body


def decode(body: bytes) -> Any:
    """The value of a message; raises `Garbled`."""
    try:
        return msgpack.unpackb(body)
    except (ValueError, msgpack.UnpackException) as failure:
        raise Garbled("a message that is not MessagePack") from failure


def receive(connection: socket.socket) -> Any:
    """The next request, on the worker's side; None when the server has gone."""
    head = _exactly(connection, _LENGTH_BYTES)
    if head is None:
        return None
    body = _exactly(connection, int.from_bytes(head, "little"))
    return None if body is None else decode(body)


def reply_start(message: object) -> bytes:
    """A reply as it is sent."""
    return bytes((REPLY, 0, 0, 0)) + encode(message)


def mark(letter: int, index: int) -> bytes:
    """A mark of progress as it is sent. `letter`: of a step, or `PANIC`."""
    return (letter | index << 8).to_bytes(MARK_BYTES, "little")


def read_mark(unit: bytes) -> tuple[Step | None, int | None]:
    """The step of a mark (None: a panic) and the index of its update; raises `Garbled`."""
    index = int.from_bytes(unit[1:MARK_BYTES], "little")
    step = _STEPS.get(unit[0])
    if step is None and unit[0] != PANIC:
        raise Garbled(f"a mark {unit[0]}")
    return step, None if index == NOWHERE else index


def _exactly(connection: socket.socket, count: int) -> bytes | None:
    """So many bytes; None if the other side has gone before."""
    data = bytearray()
    while len(data) < count:
        more = connection.recv(min(count - len(data), 1 << 20))
        if not more:
            return None
        data += more
    return bytes(data)
