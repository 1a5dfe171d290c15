"""Time in the test's hand: what was to be called later is called when the test lets that much time pass."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

__all__ = ["SettableTime", "Timer"]


@dataclass(order=True)
class Timer:
    """One call to come."""

    when: float
    order: int
    callback: Callable[[], object] = field(compare=False)
    cancelled: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        self.cancelled = True


class SettableTime:
    """`time` and `call_later` of an event loop, without the loop."""

    def __init__(self) -> None:
        self._now_s = 1000.0
        self._timers: list[Timer] = []
        self._order = count()

    def time(self) -> float:
        return self._now_s

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Timer:
        timer = Timer(self._now_s + delay, next(self._order), callback)
        heapq.heappush(self._timers, timer)
        return timer

    def advance(self, seconds: float) -> None:
        """Let this much time pass; whatever falls due meanwhile is called at its time."""
        until = self._now_s + seconds
        while self._timers and self._timers[0].when <= until:
            timer = heapq.heappop(self._timers)
            self._now_s = max(self._now_s, timer.when)
            if not timer.cancelled:
                timer.callback()
        self._now_s = until

    @property
    def waiting(self) -> int:
        """How many calls are still to come."""
        return sum(not timer.cancelled for timer in self._timers)
