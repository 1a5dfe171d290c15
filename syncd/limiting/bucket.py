"""One token bucket by itself, where there is one for each socket and nobody shares it."""

from __future__ import annotations

from collections.abc import Callable

from syncd.limiting.rate import Rate

__all__ = ["Bucket"]


class Bucket:
    """Full at first. `now_ms`: milliseconds of any clock that does not go back."""

    __slots__ = ("_full_at", "_now_ms", "_rate")

    def __init__(self, rate: Rate, now_ms: Callable[[], float]) -> None:
        self._rate = rate
        self._now_ms = now_ms
        self._full_at = 0.0

    def take(self) -> bool:
        """Take one; False if it is empty."""
        now = self._now_ms()
        after = max(self._full_at, now) + self._rate.each_ms
        if after - now > self._rate.period_ms:
            return False
        self._full_at = after
        return True
