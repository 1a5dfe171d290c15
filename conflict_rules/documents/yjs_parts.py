"""Takes an update apart that is too large to be sent at once, without pycrdt: updates that, one after the other, make
the same document.

Each part needs only what the parts before it have brought, so that none has to wait. It must not know of a document, or
of who sends what.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

from conflict_rules.documents.yjs_reader import Id, MalformedUpdate, Reader, Ref
from conflict_rules.documents.yjs_update import write_deletes, write_number

__all__ = ["parts_of"]


class _Piece(NamedTuple):
    """A struct, or a part of one, as it is written. `needs`: the units that it names."""

    client: int
    clock: int
    end: int
    written: bytes
    needs: Sequence[Id]


def parts_of(update: bytes, most_bytes: int) -> list[bytes]:
    """`update` in parts of about `most_bytes` at most; just itself if it is no larger. Raises `MalformedUpdate`.

    What cannot be divided, such as one embedded value, may make a part that is larger. An update with gaps is left as
    it is.
    """
    if len(update) <= most_bytes:
        return [update]
    reader = Reader(update)
    queues: dict[int, deque[_Piece]] = {}
    for _ in range(reader.count()):
        count, client, clock = reader.count(), reader.client(), reader.clock()
        queue = queues[client] = deque()
        for _ in range(count):
            start = reader.at
            one = reader.struct(client, clock)
            if one.ref == Ref.SKIP:
                return [update]
            needs = [need for need in (one.origin, one.right, one.parent) if isinstance(need, tuple)]
            whole = _Piece(client, clock, one.end, update[start : reader.at], needs)
            divided = len(whole.written) > most_bytes // 2 and one.ref in (Ref.STRING, Ref.ANY)
            queue.extend(_divided(whole, most_bytes // 2) if divided else [whole])
            clock = one.end
    deletes = reader.deletes()
    reader.finish()
    return [*_filled(_in_order(queues), most_bytes), *_deleting(deletes, most_bytes)]


def _divided(whole: _Piece, most_bytes: int) -> Iterator[_Piece]:
    """A run of characters or values as several, each but the first put behind the one before, as Yjs would split it."""
    reader = Reader(whole.written)
    info = reader.byte()
    named: list[Id] = [reader.id() for flag in (0x80, 0x40) if info & flag]
    if not named:
        _ = reader.string() if reader.var() else reader.id()
        if info & 0x20:
            reader.string()
    header = whole.written[: reader.at]
    right = named[-1:] if info & 0x40 else []
    clock, needs = whole.clock, whole.needs
    for content, length in _runs(reader, info & 31, most_bytes):
        yield _Piece(whole.client, clock, clock + length, header + content, needs)
        clock += length
        needs = [(whole.client, clock - 1), *right]
        header = bytes([0x80 | (0x40 if right else 0) | info & 31]) + b"".join(
            write_number(client) + write_number(unit) for client, unit in needs
        )


def _runs(reader: Reader, ref: int, most_bytes: int) -> Iterator[tuple[bytes, int]]:
    """The content in runs of at most so many bytes, or one character or value; each with how many clocks it takes."""
    if ref == Ref.STRING:
        text = reader.string()
        step = max(1, most_bytes // 4)
        for start in range(0, len(text), step):
            run = text[start : start + step]
            written = run.encode()
            yield write_number(len(written)) + written, len(run.encode("utf-16-le")) // 2
        return
    left = reader.count()
    while left:
        start, count = reader.at, 0
        while left and (count == 0 or reader.at - start < most_bytes):
            reader.any()
            left -= 1
            count += 1
        yield write_number(count) + reader.data[start : reader.at], count


def _in_order(queues: Mapping[int, deque[_Piece]]) -> Iterator[_Piece]:
    """Client by client, and on to another one where a piece names what is yet to come of it."""
    reached = {client: queue[0].clock for client, queue in queues.items() if queue}
    blocked: dict[int, list[tuple[int, int]]] = {}  # by client, a heap of (the clock wanted of it, who wants it)
    ready = sorted(reached, reverse=True)
    while ready:
        client = ready.pop()
        queue = queues[client]
        while queue:
            wanted = next((need for need in queue[0].needs if _is_to_come(need, reached, queues)), None)
            if wanted is not None:
                heappush(blocked.setdefault(wanted[0], []), (wanted[1], client))
                break
            piece = queue.popleft()
            reached[client] = piece.end
            yield piece
        waiting = blocked.get(client)
        while waiting and waiting[0][0] < reached[client]:
            ready.append(heappop(waiting)[1])
    if any(queues.values()):
        raise MalformedUpdate("items of the update hang on one another in a circle")


def _is_to_come(need: Id, reached: Mapping[int, int], queues: Mapping[int, deque[_Piece]]) -> bool:
    client, clock = need
    return bool(queues.get(client)) and reached[client] <= clock < queues[client][-1].end


def _filled(pieces: Iterator[_Piece], most_bytes: int) -> Iterator[bytes]:
    """Updates of as many pieces as go in."""
    held: dict[int, list[_Piece]] = {}
    size = 0
    for piece in pieces:
        if held and size + len(piece.written) > most_bytes:
            yield _written(held)
            held, size = {}, 0
        held.setdefault(piece.client, []).append(piece)
        size += len(piece.written)
    if held:
        yield _written(held)


def _written(held: Mapping[int, Sequence[_Piece]]) -> bytes:
    out = bytearray(write_number(len(held)))
    for client, pieces in held.items():
        out += write_number(len(pieces)) + write_number(client) + write_number(pieces[0].clock)
        out += b"".join(piece.written for piece in pieces)
    return bytes(out) + b"\x00"


def _deleting(deletes: Mapping[int, Sequence[tuple[int, int]]], most_bytes: int) -> Iterator[bytes]:
    """Updates that only delete."""
    most = max(1, most_bytes // 16)
    for client, ranges in deletes.items():
        for start in range(0, len(ranges), most):
            yield b"\x00" + write_deletes({client: ranges[start : start + most]})
