"""Holds updates that came before what they need, and lets them go in an order that pycrdt cannot stumble over.

pycrdt 0.14.13 has a waiting room of its own, and in some orders of arrival it forgets in there: six updates of two
clients that type in turns end in 'abc' instead of 'abcdef', with no error, for ever. So it is given only what it can
integrate at once; everything else waits here. The cost of a shuffled trace is linear.

It must not know of bytes' meaning or of pycrdt: it goes by the extents alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        self._held: dict[bytes, Waiting] = {}
        self._by_client: dict[int, list[tuple[int, int, Waiting]]] = {}
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
        return {client: self.have.get(client, 0) for client, heap in sorted(self._by_client.items()) if heap}

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
        self._changed = True
        self._held[waiting.update] = waiting
        self.bytes += size
        self._queue(wanted, waiting)
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
            heap = self._by_client.get(client)
            while heap and heap[0][0] <= end:
                due.append(self._release(heappop(heap)[2]))
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
        for waiting in closed:
            self._release(waiting)
        if closed:
            self._by_client.clear()
            for waiting in self._held.values():
                wanted = self._wanted(waiting.extent)
                if wanted is not None:
                    self._queue(wanted, waiting)
        return closed

    def _closed(self) -> list[Waiting]:
        """The greatest set whose needs the document and the set itself meet: drop what needs more, until nothing does.

        A made-up tangle could ask for as many rounds as there are updates; after some it is left to wait.
        """
        left = list(self._held.values())
        for _ in range(_MAX_ROUNDS):
            reach = self._reach(left)
            staying = [
                waiting
                for waiting in left
                if all(reach.get(client, 0) >= clock for client, clock in waiting.extent.needs.items())
            ]
            if len(staying) == len(left):
                return left
            left = staying
        return []

    def _reach(self, waiting: Sequence[Waiting]) -> dict[int, int]:
        """How far the document would have come by client, without gaps, with all these."""
        ranges: dict[int, list[tuple[int, int]]] = {}
        for one in waiting:
            for client, own in one.extent.ranges.items():
                ranges.setdefault(client, []).extend(own)
        reach = dict(self.have)
        for client, own in ranges.items():
            end = reach.get(client, 0)
            for start, upto in sorted(own):
                if start > end:
                    break
                end = max(end, upto)
            reach[client] = end
        return reach

    def _wanted(self, extent: Extent) -> Id | None:
        """The first need that the document does not meet."""
        for client, clock in extent.needs.items():
            if self.have.get(client, 0) < clock:
                return client, clock
        return None

    def _queue(self, wanted: Id, waiting: Waiting) -> None:
        self._counter += 1
        heappush(self._by_client.setdefault(wanted[0], []), (wanted[1], self._counter, waiting))

    def _release(self, waiting: Waiting) -> Waiting:
        del self._held[waiting.update]
        self.bytes -= len(waiting.update)
        return waiting
