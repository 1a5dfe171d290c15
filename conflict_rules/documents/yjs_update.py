"""What an update in the format Yjs v1 covers and what it needs, read without pycrdt (law 12).

pycrdt is native code, and bytes of strangers have ended, hung and poisoned it. So each update is read here first: no
recursion, no memory by a claimed length, every number bounded, and whatever this refuses it refuses with a sentence.
What it lets through it describes: which clocks of which clients are in it, and what must be there before it can be
integrated.

It must not know of a document: what an update hangs on is judged in `yjs_shape`, when it can be merged in
`waiting_room`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from conflict_rules.documents.yjs_reader import (
    MAX_CLIENT,
    MAX_CLOCK,
    MAX_NESTING,
    Id,
    MalformedUpdate,
    Reader,
    Ref,
    Struct,
)

__all__ = [
    "MAX_CLIENT",
    "MAX_CLOCK",
    "MAX_NESTING",
    "MAX_RUN_BYTES",
    "MAX_STRUCTS",
    "Extent",
    "Id",
    "MalformedUpdate",
    "Ref",
    "Struct",
    "read_state_vector",
    "read_update",
    "with_deletes",
    "write_deletes",
    "write_number",
    "write_state_vector",
]

MAX_STRUCTS: Final = 100_000
"""How many structs one update may bring."""

MAX_RUN_BYTES: Final = 256 << 20
"""What joining the structs of an update may copy. pycrdt joins neighbours of one client one by one, and keeps each step
until the transaction ends: 40,000 letters typed in a row and never joined (263 kB) take 914 MB, 10,000 values put into
an array one after another (70 kB) 2.3 GB."""

_VALUE_BYTES: Final = 48
"""What a value takes in pycrdt's memory when it is copied; what it points to is shared."""


@dataclass(frozen=True, slots=True)
class Extent:
    """What one update covers and needs.

    `structs`: in the order of the bytes, the clocks of a client rising; skips are left out. `ranges`: by client, the
    clocks it brings, as [from, before), joined and rising. `deletes`: by client, the clocks it deletes. `needs`: by
    client, how far a state vector must have come before all of this can be integrated. `roots`: the roots it names.
    """

    structs: Sequence[Struct]
    ranges: Mapping[int, Sequence[tuple[int, int]]]
    deletes: Mapping[int, Sequence[tuple[int, int]]]
    needs: Mapping[int, int]
    roots: frozenset[str]

    @property
    def ends(self) -> dict[int, int]:
        """By client, how far a state vector has come at least once this is integrated."""
        return {client: ranges[-1][1] for client, ranges in self.ranges.items() if ranges}


def read_update(update: bytes, *, max_structs: int | None = MAX_STRUCTS) -> Extent:
    """The extent of `update`; raises `MalformedUpdate`.

    `max_structs` None: a snapshot of our own, which may be as large as its document and has been joined already.
    """
    reader = Reader(update)
    structs: list[Struct] = []
    ranges: dict[int, list[tuple[int, int]]] = {}
    left = len(update) if max_structs is None else max_structs
    joined_bytes = 0
    for _ in range(reader.count()):
        count, client, clock = reader.count(), reader.client(), reader.clock()
        if client in ranges:
            raise MalformedUpdate(f"the update names client {client} twice")
        if count == 0:
            raise MalformedUpdate(f"the update names client {client} and brings nothing of it")
        left -= count
        if left < 0:
            raise MalformedUpdate(f"the update brings more than {max_structs:,} structs")
        own: list[tuple[int, int]] = []
        ranges[client] = own
        run_bytes = 0
        last: Struct | None = None
        for _ in range(count):
            one = reader.struct(client, clock)
            clock = one.end
            if one.ref == Ref.SKIP:
                last = None
                continue
            structs.append(one)
            if own and own[-1][1] == one.clock:
                own[-1] = (own[-1][0], clock)
            else:
                own.append((one.clock, clock))
            if last is not None and _joins(last, one):
                run_bytes += _content_bytes(one)
                joined_bytes += run_bytes
            else:
                run_bytes = _content_bytes(one)
            last = one
    if max_structs is not None and joined_bytes > MAX_RUN_BYTES:
        raise MalformedUpdate(
            f"joining the structs of the update would copy {joined_bytes >> 20:,} MiB, "
            f"more than {MAX_RUN_BYTES >> 20}; "
            "send what was typed in a row as one struct (a diff of the document), not as merged updates"
        )
    deletes = reader.deletes()
    reader.finish()
    roots = frozenset(one.parent for one in structs if isinstance(one.parent, str))
    return Extent(structs, ranges, deletes, _needs(structs, ranges, deletes), roots)


def read_state_vector(state: bytes) -> dict[int, int]:
    """A state vector, by client and rising; raises `MalformedUpdate`."""
    reader = Reader(state, "state vector")
    clocks: dict[int, int] = {}
    for _ in range(reader.count()):
        client, clock = reader.client(), reader.clock()
        if client in clocks:
            raise MalformedUpdate(f"the state vector names client {client} twice")
        clocks[client] = clock
    reader.finish()
    return dict(sorted(clocks.items()))


def write_state_vector(clocks: Mapping[int, int]) -> bytes:
    """The bytes of a state vector: the same for equal ones, whereas those of pycrdt come in the order of a hash
    table."""
    out = bytearray(write_number(len(clocks)))
    for client, clock in sorted(clocks.items()):
        out += write_number(client) + write_number(clock)
    return bytes(out)


def write_deletes(deletes: Mapping[int, Sequence[tuple[int, int]]]) -> bytes:
    """What an update ends with: by client, the ranges [from, before) that it deletes."""
    out = bytearray(write_number(len(deletes)))
    for client, ranges in deletes.items():
        out += write_number(client) + write_number(len(ranges))
        for start, end in ranges:
            out += write_number(start) + write_number(end - start)
    return bytes(out)


def with_deletes(update: bytes, deletes: Iterable[Mapping[int, Sequence[tuple[int, int]]]]) -> bytes:
    """The structs of `update`, and these deletes together in the place of its own. Raises `MalformedUpdate`.

    The encoded difference to a state vector has every delete of the document, however old.
    """
    reader = Reader(update)
    for _ in range(reader.count()):
        count, client, clock = reader.count(), reader.client(), reader.clock()
        for _ in range(count):
            clock = reader.struct(client, clock).end
    ranges: dict[int, list[tuple[int, int]]] = {}
    for some in deletes:
        for client, deleted in some.items():
            ranges.setdefault(client, []).extend(deleted)
    return update[: reader.at] + write_deletes({client: _merged(own) for client, own in sorted(ranges.items())})


def _merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same ranges, rising, those that touch as one."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def write_number(number: int) -> bytes:
    """An unsigned number as Yjs writes it."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _joins(last: Struct, one: Struct) -> bool:
    """Whether pycrdt may join the two into one."""
    return one.ref == last.ref and one.origin == (last.client, last.end - 1)


def _content_bytes(one: Struct) -> int:
    """What pycrdt copies of a struct when it joins it to another."""
    if one.text is not None:
        return len(one.text) if one.text.isascii() else len(one.text.encode())
    return _VALUE_BYTES * (one.end - one.clock) if one.ref == Ref.ANY else 0


def _needs(
    structs: Sequence[Struct],
    ranges: Mapping[int, Sequence[tuple[int, int]]],
    deletes: Mapping[int, Sequence[tuple[int, int]]],
) -> dict[int, int]:
    """How far a state vector must have come: to the start of each range, and beyond whatever the update refers to."""
    needs: dict[int, int] = {}

    def need(client: int, clock: int) -> None:
        if needs.get(client, 0) < clock:
            needs[client] = clock

    def refer(client: int, clock: int) -> None:
        if needs.get(client, 0) <= clock and not _within(ranges.get(client, ()), clock):
            needs[client] = clock + 1

    for client, own in ranges.items():
        for start, _ in own:
            need(client, start)
    for one in structs:
        if one.origin is not None:
            refer(*one.origin)
        if one.right is not None:
            refer(*one.right)
        if type(one.parent) is tuple:
            refer(*one.parent)
    for client, deleted in deletes.items():
        for start, end in deleted:
            if end > start:
                refer(client, end - 1)
    return needs


def _within(ranges: Sequence[tuple[int, int]], clock: int) -> bool:
    if not ranges:
        return False
    place = bisect_right(ranges, (clock, MAX_CLOCK + 1)) - 1
    return place >= 0 and clock < ranges[place][1]
