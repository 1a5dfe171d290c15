"""Who is here in one scope: replicas, each through one or more sockets, and what they say of themselves.

Pure: knows no clock, no connection and no frame. What changes in what is shown comes back from each call.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

__all__ = ["NOTHING_CHANGED", "Roll", "RollChange"]


@dataclass(frozen=True, slots=True)
class RollChange:
    """`replicas`: those that are shown differently now, or no more. `count`: whether another number is not shown."""

    replicas: tuple[str, ...] = ()
    count: bool = False


NOTHING_CHANGED = RollChange()


class Roll:
    """The first `most` replicas, in the order in which they came, are shown; the others are counted.

    A replica on several sockets is one entry until the last of them is gone; what was said last stands.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._said: dict[str, dict[Hashable, bytes]] = {}
        self._shown: OrderedDict[str, None] = OrderedDict()
        self._rest: OrderedDict[str, None] = OrderedDict()

    def __iter__(self) -> Iterator[str]:
        """The replicas that are shown, in the order in which they came."""
        return iter(self._shown)

    def state(self, replica: str) -> bytes | None:
        """What is shown of a replica; None if it is not."""
        return self._last_of(replica) if replica in self._shown else None

    def said(self, replica: str, socket: Hashable) -> bytes | None:
        """What stands of this socket, shown or not."""
        return self._said.get(replica, {}).get(socket)

    def more(self, reader: str | None) -> int:
        """How many are here and not shown, besides the one who asks."""
        return len(self._rest) - (reader in self._rest)

    def put(self, replica: str, socket: Hashable, state: bytes) -> RollChange:
        """This socket says so from now on; saying the same again changes nothing."""
        if self.said(replica, socket) == state:
            # Nor does it come last by that: two sockets that renew theirs would take turns in what is shown.
            return NOTHING_CHANGED
        before = self.state(replica)
        said = self._said.setdefault(replica, {})
        said.pop(socket, None)
        said[socket] = state
        if replica in self._rest:
            return NOTHING_CHANGED
        if replica not in self._shown and len(self._shown) >= self._most:
            self._rest[replica] = None
            return RollChange(count=True)
        self._shown[replica] = None
        return NOTHING_CHANGED if before == state else RollChange((replica,))

    def drop(self, replica: str, socket: Hashable) -> RollChange:
        """This socket says nothing any more; unknown ones are ignored."""
        said = self._said.get(replica)
        if said is None or socket not in said:
            return NOTHING_CHANGED
        before = self.state(replica)
        del said[socket]
        if said:
            return NOTHING_CHANGED if self.state(replica) == before else RollChange((replica,))
        del self._said[replica]
        if replica in self._rest:
            del self._rest[replica]
            return RollChange(count=True)
        del self._shown[replica]
        if not self._rest:
            return RollChange((replica,))
        next_one, _ = self._rest.popitem(last=False)
        self._shown[next_one] = None
        return RollChange((replica, next_one), count=True)

    def _last_of(self, replica: str) -> bytes:
        return next(reversed(self._said[replica].values()))
