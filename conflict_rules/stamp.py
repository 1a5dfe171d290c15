"""Hybrid logical clock stamps: the order between changes that have not seen each other (law 2).

A stamp joins a wall-clock reading with a counter and the replica's id, so that stamps of one replica always
rise, a stamp minted after seeing another lies above it, and no two are equal. The wall clock is passed in:
nothing in this module reads one.

Source: Kulkarni, Demirbas and others, "Logical Physical Clocks and Consistent Snapshots in Globally
Distributed Databases", 2014, section 3; the bound on drift is its section 3.2.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple, Self

__all__ = [
    "MAX_DRIFT_MS",
    "Clock",
    "ClockDrift",
    "ClockOverflow",
    "Stamp",
    "StampError",
    "StampMalformed",
    "effective_stamp",
]

MAX_DRIFT_MS = 60_000
"""How far ahead of the reader's clock a stamp may lie before it is clamped (server) or not followed (device)."""

_MAX_WALL_MS = (1 << 48) - 1
_MAX_COUNT = (1 << 16) - 1
_TEXT = re.compile(r"([0-9a-f]{12})\.([0-9a-f]{4})\.([A-Za-z0-9_-]{1,64})")


class StampError(ValueError):
    """Base of every failure of stamps and clocks."""


class StampMalformed(StampError):
    """A text that is not a stamp."""

    def __init__(self, text: object) -> None:
        super().__init__(
            f"{str(text)[:80]!r} is not a stamp; one looks like '0193a6c0f2e1.0000.phone-1' "
            "(milliseconds since 1970 in 12 hexadecimal digits, a counter in 4, the replica)"
        )


class ClockDrift(StampError):
    """A stamp lies further ahead of this clock than `max_drift_ms`: one of the two clocks is wrong."""

    def __init__(self, stamp: Stamp, now_ms: int, max_drift_ms: int) -> None:
        self.ahead_ms = stamp.wall_ms - now_ms
        super().__init__(
            f"the stamp {stamp} is {self.ahead_ms / 1000:.0f} s ahead of this clock, "
            f"more than the {max_drift_ms / 1000:.0f} s allowed"
        )


class ClockOverflow(StampError):
    """The wall clock lies outside of what a stamp can hold (before 1970 or after the year 10889)."""

    def __init__(self, wall_ms: int) -> None:
        super().__init__(f"a wall clock of {wall_ms} ms does not fit a stamp; set the device's clock")


class _Reading(NamedTuple):
    wall_ms: int
    count: int  # type: ignore[assignment]  # it counts, and nobody counts in it
    replica: str


class Stamp(_Reading):
    """One reading of a hybrid logical clock; ordered by wall clock, then counter, then replica.

    The text form sorts as the stamps do, so that other languages can compare the strings.
    """

    __slots__ = ()

    def __new__(cls, wall_ms: int, count: int, replica: str) -> Self:
        """Raises `ClockOverflow`."""
        if not 0 <= wall_ms <= _MAX_WALL_MS:
            raise ClockOverflow(wall_ms)
        return tuple.__new__(cls, (wall_ms, count, replica))

    def __str__(self) -> str:
        return f"{self.wall_ms:012x}.{self.count:04x}.{self.replica}"

    @classmethod
    def parse(cls, text: object) -> Stamp:
        """The stamp that `text` spells; raises `StampMalformed`."""
        match = _TEXT.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise StampMalformed(text)
        return cls(int(match[1], 16), int(match[2], 16), match[3])

    def next(self, replica: str) -> Stamp:
        """The lowest stamp of `replica` that every reader puts above this one."""
        if self.count < _MAX_COUNT:
            return Stamp(self.wall_ms, self.count + 1, replica)
        return Stamp(self.wall_ms + 1, 0, replica)


class Clock:
    """A replica's own clock: each tick lies above everything minted or received before.

    `now_ms` reads the wall clock, in milliseconds since 1970; it may jump either way. `last` is the highest
    stamp of an earlier run of the same replica.
    """

    def __init__(
        self,
        replica: str,
        now_ms: Callable[[], int],
        *,
        last: Stamp | None = None,
        max_drift_ms: int = MAX_DRIFT_MS,
    ) -> None:
        self.replica = replica
        self.max_drift_ms = max_drift_ms
        self._now_ms = now_ms
        self._last = last

    @property
    def last(self) -> Stamp | None:
        """The highest stamp minted or received so far."""
        return self._last

    def tick(self) -> Stamp:
        """Mint a stamp for a change made now; raises `ClockOverflow`."""
        stamp = Stamp(self._now_ms(), 0, self.replica)
        if self._last is not None and stamp <= self._last:
            stamp = self._last.next(self.replica)
        self._last = stamp
        return stamp

    def receive(self, stamp: Stamp) -> None:
        """Take note of a stamp that was shown here, so that the next tick lies above it.

        Raises `ClockDrift`, and follows nothing, if it lies beyond the bound: a single wrong clock must not
        carry every other one along.
        """
        now_ms = self._now_ms()
        if stamp.wall_ms > now_ms + self.max_drift_ms:
            raise ClockDrift(stamp, now_ms, self.max_drift_ms)
        if self._last is None or stamp > self._last:
            self._last = stamp


def effective_stamp(
    stamp: Stamp, *, now_ms: int, after: Stamp | None = None, max_drift_ms: int = MAX_DRIFT_MS
) -> Stamp:
    """The stamp that a change is merged with, fixed once by the server when it first accepts it (law 2).

    A wall clock beyond the bound is clamped to it; a replica's stamps rise with its change numbers, so the
    result lies above `after`, the effective stamp of its previous change.
    """
    bound_ms = now_ms + max_drift_ms
    result = stamp if stamp.wall_ms <= bound_ms else Stamp(bound_ms, 0, stamp.replica)
    if after is not None and result <= after:
        result = after.next(stamp.replica)
    return result
