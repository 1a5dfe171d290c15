"""From samples to verdicts: ratios of what was measured in the same round, and whether they reach a goal. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from benchmarks.harness.sample import Sample
from benchmarks.harness.workload import Goal

__all__ = ["Ratio", "Samples", "Standing", "ratio_of"]

Samples = Mapping[str, Mapping[str, Sequence[Sample]]]
"""By case and contender, in the order of the rounds."""


class Standing(StrEnum):
    """How we stand to a goal."""

    AIM = "aim reached"
    MINIMUM = "minimum reached"
    BELOW = "below the aim"
    MISSED = "missed"
    UNMEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class Ratio:
    """Ours to theirs: the median of the rounds, the lowest and the highest; None if it was not measured.

    `bound`: the driver was the limit on our side, so that it might be better than this; or on theirs, worse.
    """

    goal: Goal
    value: float | None = None
    low: float | None = None
    high: float | None = None
    bound: str = ""

    @property
    def standing(self) -> Standing:
        """How we stand."""
        if self.value is None:
            return Standing.UNMEASURED
        if not self.goal.met_by(self.value):
            return Standing.MISSED
        if self.goal.aim_met_by(self.value):
            return Standing.AIM
        return Standing.BELOW if self.goal.minimum is None else Standing.MINIMUM


def ratio_of(goal: Goal, samples: Samples) -> Ratio:
    """The ratio that a goal is about. Figures of one round are divided by each other; the median is of these."""
    ours = samples.get(goal.case, {}).get(goal.of, ())
    theirs = samples.get(goal.against_case or goal.case, {}).get(goal.against, ())
    found = [
        mine / other
        for one, two in zip(ours, theirs, strict=False)
        if (mine := one.figure(goal.figure)) is not None and (other := two.figure(goal.figure))
    ]
    if not found:
        return Ratio(goal)
    bounds = []
    if any(sample.driver_was_the_limit for sample in ours):
        bounds.append(f"the driver limited {goal.of}")
    if any(sample.driver_was_the_limit for sample in theirs):
        bounds.append(f"the driver limited {goal.against}")
    return Ratio(goal, statistics.median(found), min(found), max(found), ", ".join(bounds))
