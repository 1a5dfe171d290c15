"""Holds updates that came before what they need, and lets them go in an order that pycrdt cannot stumble over.

pycrdt 0.14.13 has a waiting room of its own, and in some orders of arrival it forgets in there: six updates of two
clients that type in turns end in 'abc' instead of 'abcdef', with no error, for ever. So it is given only what it can
integrate at once; everything else waits here. The cost of a shuffled trace is linear.

It must not know of bytes' meaning or of pycrdt: it goes by the extents alone.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final

from conflict_rules.documents.yjs_update import Extent, Id

__all__ = ["MAX_WAITING_BYTES", "MAX_WAITING_COUNT", "Waiting", "WaitingRoom", "WaitingRoomFull"]

MAX_WAITING_BYTES: Final = 4 << 20
"""How many bytes of updates may wait for one document."""

MAX_WAITING_COUNT: Final = 50_000
"""How many updates may wait for one document."""

_MAX_ROUNDS: Final = 64


@dataclass(frozen=True, slots=True)
class Waiting:
    """An update and its extent."""

    update: bytes
    extent: Extent


@dataclass(frozen=True, slots=True, eq=False)
class _Seat:
    """One that waits. `number`: in the order of arrival."""

    waiting: Waiting
    number: int


class WaitingRoomFull(ValueError):
    """More waits for what is missing than a document may hold."""


class WaitingRoom:
    """What waits for one document. `have`: the document's state vector, which `applied` carries on."""

    def __init__(
        self,
        have: Mapping[int, int] | None = None,
        *,
        max_bytes: int = MAX_WAITING_BYTES,
        max_count: int = MAX_WAITING_COUNT,
    ) -> None:
        self.have: dict[int, int] = dict(have or {})
        self.bytes = 0
        self._max_bytes = max_bytes
        self._max_count = max_count
        self._held: dict[bytes, _Seat] = {}
        self._by_need: dict[int, list[tuple[int, int, _Seat]]] = {}
        self._by_start: dict[int, list[tuple[int, int, _Seat]]] = {}
        self._counter = 0
        self._tried = 0
        self._changed = False

    def __len__(self) -> int:
        return len(self._held)

    @property
    def updates(self) -> Sequence[bytes]:
        """What waits, oldest first."""
        return tuple(self._held)

    def missing(self) -> Mapping[int, int]:
        """By client, from which clock on something is missing that something here waits for."""
        found: dict[int, int] = {}
        for client, heap in sorted(self._by_need.items()):
            while heap and not self._waits(heap[0][2]):
                heappop(heap)
            if heap:
                found[client] = self.have.get(client, 0)
        return found

    def arrive(self, waiting: Waiting, *, bounded: bool = True) -> bool:
        """Whether it can be applied now. If not, it is held; the same bytes twice are held once.

        Raises `WaitingRoomFull`, and then does not hold it; not if `bounded` is False.
        """
        wanted = self._wanted(waiting.extent)
        if wanted is None:
            return True
        if waiting.update in self._held:
            return False
        size = len(waiting.update)
        if bounded and (self.bytes + size > self._max_bytes or len(self._held) >= self._max_count):
            raise WaitingRoomFull(
                f"{len(self._held):,} updates with {self.bytes:,} bytes already wait for others that never came; "
                f"no more than {self._max_count:,} and {self._max_bytes:,} may"
            )
        self._seat(waiting, wanted)
        return False

    def applied(self, extent: Extent) -> list[Waiting]:
        """Take note that an update has been applied. Returns those that need no longer wait for what it brought, in the
        order to `arrive` again: some will have to wait for something else."""
        due: list[Waiting] = []
        for client, end in extent.ends.items():
            if end <= self.have.get(client, 0):
                continue
            self.have[client] = end
            self._changed = True
            heap = self._by_need.get(client)
            while heap and heap[0][0] <= end:
                seat = heappop(heap)[2]
                if self._waits(seat):
                    due.append(self._release(seat))
        return due

    def together(self, *, however_few: bool = True) -> list[Waiting]:
        """What waits for one another only, and can be applied if it is merged into one; it is let go of.

        Two merged updates may need each other (one brings A0 and B5, the other B0 to B4, which need A0); what one
        transaction made never does. So this is asked when nothing else moves, and before anything is read. With
        `however_few` False it is looked for only if twice as much waits as at the last look, which keeps a long
        shuffle linear.
        """
        if not self._held or not self._changed or (not however_few and len(self._held) < 2 * self._tried):
            return []
        self._tried = len(self._held)
        closed = self._closed()
        self._changed = bool(closed)
        return [self._release(seat) for seat in closed]

    def _closed(self) -> list[_Seat]:
        """The greatest set whose needs the document and the set itself meet: drop what needs more, until nothing does.
        What brings no clocks helps nobody, and follows when it is due.

        A made-up tangle could ask for as many rounds as there are updates; after some it is left to wait.
        """
        left, reach = self._within_reach()
        for _ in range(_MAX_ROUNDS):
            staying = [
                seat
                for seat in left
                if all(reach.get(client, 0) >= clock for client, clock in seat.waiting.extent.needs.items())
            ]
            if len(staying) == len(left):
                return left
            left, reach = staying, self._reach(staying)
        return []

    def _within_reach(self) -> tuple[list[_Seat], dict[int, int]]:
        """What lies in front of the first gap of some client, if all needs were met, oldest first, and how far that
        would reach. In a shuffle that is little of all that waits: what lies behind a gap is not even looked at."""
        found: dict[int, _Seat] = {}
        reach = dict(self.have)
        for client, starts in self._by_start.items():
            end, next_ranges = reach.get(client, 0), list[tuple[int, int]]()
            for start, number, seat in starts:
                end = _advance(end, next_ranges)
                if start > end:
                    break
                found[number] = seat
                for own in seat.waiting.extent.ranges[client]:
                    heappush(next_ranges, own)
            reach[client] = _advance(end, next_ranges)
        return [seat for _, seat in sorted(found.items())], reach

    def _reach(self, seats: Sequence[_Seat]) -> dict[int, int]:
        """How far the document would have come by client, without gaps, with all these."""
        ranges: dict[int, list[tuple[int, int]]] = {}
        for seat in seats:
            for client, own in seat.waiting.extent.ranges.items():
                ranges.setdefault(client, []).extend(own)
        reach = dict(self.have)
        for client, some in ranges.items():
            some.sort()
            reach[client] = _advance(reach.get(client, 0), some)
        return reach

    def _wanted(self, extent: Extent) -> Id | None:
        """The first need that the document does not meet."""
        for client, clock in extent.needs.items():
            if self.have.get(client, 0) < clock:
                return client, clock
        return None

    def _seat(self, waiting: Waiting, wanted: Id) -> None:
        self._changed = True
        self._counter += 1
        seat = _Seat(waiting, self._counter)
        self._held[waiting.update] = seat
        self.bytes += len(waiting.update)
        heappush(self._by_need.setdefault(wanted[0], []), (wanted[1], seat.number, seat))
        for client, start in _starts(waiting):
            insort(self._by_start.setdefault(client, []), (start, seat.number, seat))

    def _waits(self, seat: _Seat) -> bool:
        """Whether it has not been let go of; its place among those with its need may outlast it."""
        return self._held.get(seat.waiting.update) is seat

    def _release(self, seat: _Seat) -> Waiting:
        waiting = seat.waiting
        del self._held[waiting.update]
        self.bytes -= len(waiting.update)
        for client, start in _starts(waiting):
            starts = self._by_start[client]
            del starts[bisect_left(starts, (start, seat.number))]
            if not starts:
                del self._by_start[client]
        return waiting


def _starts(waiting: Waiting) -> Iterator[tuple[int, int]]:
    """By client, where what it brings begins."""
    return ((client, ranges[0][0]) for client, ranges in waiting.extent.ranges.items() if ranges)


def _advance(end: int, ranges: list[tuple[int, int]]) -> int:
    """How far one comes from `end` over `ranges`, a heap, of which those that were used are taken."""
    while ranges and ranges[0][0] <= end:
        end = max(end, heappop(ranges)[1])
    return end
