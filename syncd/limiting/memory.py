"""Counts in memory, for one process: a token bucket is one number, the moment at which it is full again.

The generic cell rate algorithm, in its virtual scheduling form (ITU-T I.371): taking moves that moment on, and there is
room as long as it lies no further ahead than the bucket is large. Nothing has to fill buckets as time goes by.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from syncd.limiting.counters import Standing, Take

__all__ = ["MAX_KEYS", "MemoryCounters"]

MAX_KEYS: Final = 100_000
"""About 22 MB of them. A stranger with more addresses than that makes the server forget the oldest counts."""
_LOST_MS: Final = 0.5
"""To fractions, on the way; nobody waits for it."""
_LOOKED_AT: Final = 2
"""Old keys looked at for each new one, so that there is never a pause to clear up in."""


class MemoryCounters:
    """`Counters` of one process. `now_ms`: milliseconds since 1970."""

    def __init__(self, now_ms: Callable[[], int], max_keys: int = MAX_KEYS) -> None:
        self._now_ms = now_ms
        self._max_keys = max_keys
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    async def take(self, takes: Sequence[Take]) -> Sequence[Standing]:
        """All or none; see `Counters`."""
        return self.take_now(takes)

    async def charge(self, takes: Sequence[Take]) -> None:
        """With or without room; see `Counters`."""
        now = self._now_ms()
        for take in takes:
            after = self._full_at_of(take, now) + take.amount * take.rate.each_ms
            # No bucket owes more than it holds.
            self._put(take.key, min(after, now + 2 * take.rate.period_ms), now)

    async def give_back(self, takes: Sequence[Take]) -> None:
        """See `Counters`."""
        now = self._now_ms()
        for take in takes:
            if take.key in self._full_at:
                self._full_at[take.key] = max(now, self._full_at[take.key] - take.amount * take.rate.each_ms)

    def take_now(self, takes: Sequence[Take]) -> list[Standing]:
        """`take`, without a coroutine: nothing here waits."""
        now = self._now_ms()
        before: list[float] = []
        after: list[float] = []
        room = True
        for take in takes:
            full_at = self._full_at_of(take, now)
            before.append(full_at)
            full_at += take.amount * take.rate.each_ms
            after.append(full_at)
            if full_at - now > take.rate.period_ms + _LOST_MS:
                room = False
        if room:
            for take, full_at in zip(takes, after, strict=True):
                self._put(take.key, full_at, now)
        return [
            Standing(
                take.rate,
                max(0, int((take.rate.period_ms + _LOST_MS - (stands - now)) / take.rate.each_ms)),
                math.ceil(stands),
                0 if room else self._wait_ms(take, wanted - now),
            )
            for take, stands, wanted in zip(takes, after if room else before, after, strict=True)
        ]

    @staticmethod
    def _wait_ms(take: Take, ahead_ms: float) -> int:
        """How long until that much is there; what never will be, is looked for again after a period."""
        if take.amount > take.rate.count:
            return take.rate.period_ms
        return max(0, math.ceil(ahead_ms - take.rate.period_ms - _LOST_MS))

    def _full_at_of(self, take: Take, now: int) -> float:
        known = self._full_at.get(take.key)
        if known is None or known < now:
            return now
        if known > now + 2 * take.rate.period_ms:
            # The clock was set back. It must not lock anybody out for as long.
            known = self._full_at[take.key] = now + 2 * take.rate.period_ms
        return known

    def _put(self, key: str, full_at: float, now: int) -> None:
        if key not in self._full_at:
            for _ in range(min(_LOOKED_AT, len(self._full_at))):
                oldest, moment = self._full_at.popitem(last=False)
                if moment > now and len(self._full_at) < self._max_keys - 1:
                    self._full_at[oldest] = moment
        self._full_at[key] = full_at
