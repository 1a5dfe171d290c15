"""The replica's clock: stamps above all it has shown, and what it has learned of the server's time (law 2).

The device's wall clock is passed in. Changes already made keep their stamps; a learned offset counts for new ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from conflict_rules import MAX_DRIFT_MS, Clock, ClockDrift, Stamp

__all__ = ["DeviceClock"]

_TOLERATED_MS: Final = 2_000
"""A difference to the server below this is left alone: delays on the way look the same."""
_END_MS: Final = 1 << 47
"""In the year 6429."""


class DeviceClock:
    """`now_ms` reads the device's wall clock. `offset_ms`, `last`, `shown`: as an earlier run left them."""

    def __init__(
        self,
        replica: str,
        now_ms: Callable[[], int],
        *,
        offset_ms: int = 0,
        last: Stamp | None = None,
        shown: Stamp | None = None,
    ) -> None:
        self._now_ms = now_ms
        self.offset_ms = offset_ms
        self.shown = shown
        self.drift: str | None = None
        self._clock = Clock(replica, self.now_ms, last=last)

    @property
    def last(self) -> Stamp | None:
        """The highest stamp minted or shown."""
        return self._clock.last

    def now_ms(self) -> int:
        """The time as the server would tell it, as far as that is known; in ms since 1970."""
        return self._now_ms() + self.offset_ms

    def device_ms(self) -> int:
        """The time as the device tells it; in ms since 1970."""
        return self._now_ms()

    def tick(self) -> Stamp:
        """Mint the stamp of a change made now."""
        return self._clock.tick()

    def take_note(self, stamps: Iterable[Stamp]) -> None:
        """Stamps are shown here: later ticks lie above them. One beyond the drift bound is told, but not followed."""
        for stamp in sorted(set(stamps), reverse=True):
            try:
                self._clock.receive(stamp)
            except ClockDrift as drift:
                self.drift = str(drift)
                continue
            if self.shown is None or stamp > self.shown:
                self.shown = stamp
            break

    def learn(self, server_time_ms: int, round_trip_ms: int) -> bool:
        """A reply told the server's time, half a round trip ago; returns whether the offset changed by it.

        A clock found to run ahead lets go of the stamps it minted far ahead: they stay with their changes, and the
        replica's own marks count as seen whatever their stamps say.
        """
        if not 0 < server_time_ms < _END_MS:
            # No time that a stamp could hold: better a clock that is a little wrong than none.
            return False
        offset_ms = server_time_ms + round_trip_ms // 2 - self._now_ms()
        if abs(offset_ms - self.offset_ms) <= max(_TOLERATED_MS, round_trip_ms // 2):
            return False
        self.offset_ms = offset_ms
        self.drift = None
        last = self._clock.last
        bound_ms = self.now_ms() + MAX_DRIFT_MS
        if last is not None and last.wall_ms > bound_ms:
            last = self.shown if self.shown is not None and self.shown.wall_ms <= bound_ms else None
        self._clock = Clock(self._clock.replica, self.now_ms, last=last)
        return True

    def rename(self, replica: str) -> None:
        """Mint under another replica id from now on (law 3)."""
        self._clock = Clock(replica, self.now_ms, last=self._clock.last)
