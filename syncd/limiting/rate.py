"""A rate, such as 300 a minute, and how it is written."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

__all__ = ["Rate"]

_UNITS_MS: Final = {"second": 1000, "minute": 60_000, "hour": 3_600_000, "day": 86_400_000}
_WRITTEN: Final = re.compile(r"([1-9]\d{0,14})\s*/\s*(?:([1-9]\d{0,4})\s*)?(second|minute|hour|day)s?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` in every `period_ms` milliseconds. It is also the size of its bucket: so many may come at once.

    In one period there may thus be twice as many, if the bucket was full at its beginning; in the long run not.
    """

    count: int
    period_ms: int
    each_ms: float = field(init=False, repr=False, compare=False)
    """How long it takes until there is room for one more."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "each_ms", self.period_ms / self.count)

    @classmethod
    def parse(cls, text: str) -> Rate:
        """`300/minute`, `5/15 minutes`, `3/hour`. Raises `ValueError`."""
        match = _WRITTEN.fullmatch(text.strip().lower())
        if match is None:
            raise ValueError(f"{text!r} is not a rate; write it as 300/minute or 5/15 minutes")
        count, periods, unit = match.groups()
        return cls(int(count), int(periods or 1) * _UNITS_MS[unit])

    def __str__(self) -> str:
        unit, unit_ms = next(
            (unit, unit_ms) for unit, unit_ms in reversed(_UNITS_MS.items()) if self.period_ms % unit_ms == 0
        )
        periods = self.period_ms // unit_ms
        return f"{self.count}/{unit}" if periods == 1 else f"{self.count}/{periods} {unit}s"
