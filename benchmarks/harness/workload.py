"""The words of a benchmark: a workload has cases, a case is measured for each contender, goals compare two of them.

A workload starts its servers in `cases` and stops them when it is left; they all stand by while one is measured, so
that what is compared was measured by turns in one run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from benchmarks.harness.sample import Sample

__all__ = ["SYNCD", "Case", "Goal", "Measure", "Setup", "Unavailable", "Workload"]

SYNCD: Final = "syncd"
"""The name of the contender that the goals are about."""

Measure = Callable[[], Awaitable[Sample]]


class Unavailable(Exception):
    """A contender cannot be measured here, for the reason given; the others are."""


@dataclass(frozen=True, slots=True)
class Goal:
    """In `case`, `figure` of `of` divided by that of `against` is to be at least `minimum`, or, where less is better,
    at most that; `aim`: what we are after beyond it. At least one of both is there.

    `against_case`: where the other one is found, if not in `case`.
    """

    case: str
    against: str
    minimum: float | None
    aim: float | None = None
    figure: str = "rate"
    less_is_better: bool = False
    of: str = SYNCD
    against_case: str | None = None

    def met_by(self, ratio: float) -> bool:
        """Whether `ratio` reaches the minimum."""
        if self.minimum is None:
            return True
        return ratio <= self.minimum if self.less_is_better else ratio >= self.minimum

    def aim_met_by(self, ratio: float) -> bool:
        """Whether `ratio` reaches what we aim for."""
        aim = self.minimum if self.aim is None else self.aim
        assert aim is not None, "a goal has a minimum, or an aim"
        return ratio <= aim if self.less_is_better else ratio >= aim


@dataclass(frozen=True, slots=True)
class Case:
    """One way of loading the servers. `measures`: by contender. `shown`: the figures of the table, with their units.

    `repeats`: in how many rounds it is measured, if not in as many as the others.
    """

    name: str
    measures: Mapping[str, Measure]
    shown: Mapping[str, str]
    repeats: int | None = None


@dataclass(frozen=True, slots=True)
class Setup:
    """What a workload is told. `folder`: for its files, empty. `note`: says to whoever waits what is being done.

    `wants`: whether a contender was asked for.
    """

    quick: bool
    folder: Path
    note: Callable[[str], None]
    wants: Callable[[str], bool]


class Workload(Protocol):
    """One of W1 to W7."""

    @property
    def name(self) -> str:
        """Such as `W1`."""
        ...

    @property
    def title(self) -> str:
        """What it asks, in a few words."""
        ...

    @property
    def goals(self) -> Sequence[Goal]:
        """What is wanted."""
        ...

    def cases(self, setup: Setup) -> AbstractAsyncContextManager[Sequence[Case]]:
        """Start what is to be measured; within, the cases."""
        ...
