"""The run: each case in rounds, in each round one contender after the other, so that what is compared was measured
within seconds."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from benchmarks.harness.sample import Sample
from benchmarks.harness.workload import Case, Setup, Unavailable, Workload

__all__ = ["Measured", "Progress", "measure"]

_ROUNDS: Final = 3


class Progress(Protocol):
    """Shows how far it is."""

    def begin(self, workload: Workload, steps: int) -> None:
        """A workload is up; it takes so many steps."""
        ...

    def step(self, text: str) -> None:
        """One of them begins."""
        ...

    def note(self, text: str) -> None:
        """Something else is being done, or has gone wrong."""
        ...


@dataclass(slots=True)
class Measured:
    """All of one workload. `failed`: by case and contender, why there are no (further) samples."""

    workload: Workload
    cases: list[Case] = field(default_factory=list)
    samples: dict[str, dict[str, list[Sample]]] = field(default_factory=dict)
    failed: dict[str, dict[str, str]] = field(default_factory=dict)
    seconds: float = 0.0


async def measure(
    workload: Workload, *, quick: bool, rounds: int | None, progress: Progress, wants: Callable[[str], bool]
) -> Measured:
    """Run one workload. `rounds`: of each case, instead of three (one if `quick`)."""
    began = time.monotonic()
    measured = Measured(workload)
    folder = Path(tempfile.mkdtemp(prefix=f"syncd-bench-{workload.name.lower()}-"))
    setup = Setup(quick=quick, folder=folder, note=progress.note, wants=wants)
    try:
        async with workload.cases(setup) as cases:
            measured.cases = list(cases)
            plan = [(case, rounds or (1 if quick else case.repeats or _ROUNDS)) for case in cases]
            progress.begin(workload, sum(times * len(case.measures) for case, times in plan))
            for case, times in plan:
                await _measure_case(case, times, measured, progress)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    measured.seconds = time.monotonic() - began
    return measured


async def _measure_case(case: Case, rounds: int, measured: Measured, progress: Progress) -> None:
    samples = measured.samples.setdefault(case.name, {})
    failed = measured.failed.setdefault(case.name, {})
    for number in range(rounds):
        for contender in _turned([*case.measures], number):
            progress.step(f"{case.name}: {contender}")
            if contender in failed:
                continue
            try:
                samples.setdefault(contender, []).append(await case.measures[contender]())
            except Unavailable as why:
                failed[contender] = str(why)
                progress.note(f"{case.name}: {contender} is left out: {why}")
            except Exception as error:
                failed[contender] = f"{type(error).__name__}: {error}"
                progress.note(f"{case.name}: {contender} failed: {failed[contender][:500]}")


def _turned(names: Sequence[str], by: int) -> list[str]:
    """Another one is first in each round."""
    by %= len(names) or 1
    return [*names[by:], *names[:by]]
