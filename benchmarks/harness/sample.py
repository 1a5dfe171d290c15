"""What one measurement found, and the figures that are read off it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

__all__ = ["BUSY_DRIVER", "Sample", "median", "spread"]

BUSY_DRIVER: Final = 0.9
"""A driver that used more of its core than this was the limit, not the server."""


@dataclass(frozen=True, slots=True)
class Sample:
    """`units` of work done in `seconds`, and the processor time that server and driver spent on it, in seconds.

    `figures`: what else was found, by name, such as `p99_ms` or `bytes`.
    """

    units: float
    seconds: float
    server_cpu_s: float = 0.0
    driver_cpu_s: float = 0.0
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def driver_share(self) -> float:
        """How much of one core the driver used."""
        return self.driver_cpu_s / self.seconds if self.seconds else 0.0

    @property
    def driver_was_the_limit(self) -> bool:
        """Whether the server might have done more than this tells."""
        return self.driver_share > BUSY_DRIVER

    def figure(self, name: str) -> float | None:
        """`rate` (units a second), `cpu_us` (of the server, a unit), `seconds`, or one of `figures`."""
        match name:
            case "rate":
                return self.units / self.seconds if self.seconds else None
            case "cpu_us":
                return self.server_cpu_s / self.units * 1e6 if self.units else None
            case "seconds":
                return self.seconds
            case _:
                return self.figures.get(name)

    def as_json(self) -> dict[str, object]:
        """For the results file."""
        return {
            "units": self.units,
            "seconds": round(self.seconds, 6),
            "server_cpu_s": round(self.server_cpu_s, 4),
            "driver_cpu_s": round(self.driver_cpu_s, 4),
            **{name: round(value, 4) for name, value in self.figures.items()},
        }


def median(samples: Sequence[Sample], figure: str) -> float | None:
    """The median of one figure; None if none of them has it."""
    found = [value for sample in samples if (value := sample.figure(figure)) is not None]
    return statistics.median(found) if found else None


def spread(samples: Sequence[Sample], figure: str) -> tuple[float, float] | None:
    """The lowest and the highest of one figure."""
    found = [value for sample in samples if (value := sample.figure(figure)) is not None]
    return (min(found), max(found)) if found else None
