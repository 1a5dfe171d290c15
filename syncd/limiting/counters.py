"""Where the counts are kept: the contract, which one process keeps in memory and several nodes may keep in Redis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from syncd.errors import Exceeded
from syncd.limiting.rate import Rate

__all__ = ["Counters", "Standing", "Take", "narrowest"]


class Take(NamedTuple):
    """`amount` out of the bucket `key`, which fills at `rate`.

    `key`: short ASCII text without names of people in clear; the same key always comes with the same rate.
    """

    key: str
    rate: Rate
    amount: int = 1


class Standing(NamedTuple):
    """How one bucket stands. `left`: how many could be taken now. `full_at_ms`: when it is full again.

    `wait_ms`: how long until what was asked for is there; 0 if it was.
    """

    rate: Rate
    left: int
    full_at_ms: int
    wait_ms: int = 0

    @property
    def exceeded(self) -> Exceeded:
        """What is told to whoever was refused, which is where there is something to wait for."""
        return Exceeded(self.rate.count, self.wait_ms, self.full_at_ms)


def narrowest(standings: Sequence[Standing]) -> Standing:
    """The bucket to wait for longest; with room in all, the one that is emptiest for its size."""
    return max(standings, key=lambda each: (each.wait_ms, -each.left / each.rate.count))


class Counters(Protocol):
    """Token buckets by key. A key that was never taken from is a full bucket.

    What an adapter has to promise:

    - `take` is atomic, whoever else takes from the same keys at the same time, on whatever node: two takes never both
      get the last token.
    - Time is milliseconds since 1970. Nodes whose clocks differ must not gain or lose tokens by it: a shared store goes
      by its own clock.
    - A key may be forgotten once its bucket is full again, and not before, except where room runs out: the store is
      bounded, since strangers choose keys.
    - It never fails and never waits long: if the store cannot be reached, an adapter counts in memory meanwhile, and
      logs that it does. Turning everybody away because a counter is down would be the larger harm.
    """

    async def take(self, takes: Sequence[Take]) -> Sequence[Standing]:
        """Take all of these, or none if one of them lacks room; how each stands then, in the same order.

        More than a bucket holds can never be taken: its `wait_ms` is then a whole period. Keys differ.
        """
        ...

    async def charge(self, takes: Sequence[Take]) -> None:
        """Take all of these whether there is room or not, for what is known only afterwards; a bucket may owe."""
        ...

    async def give_back(self, takes: Sequence[Take]) -> None:
        """Put back what was taken; no bucket gets fuller than full."""
        ...
