"""The tables of a run, for people: what was measured, and how it stands to the goals."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.harness.measure import Measured
from benchmarks.harness.ratios import Ratio, Standing, ratio_of
from benchmarks.harness.sample import Sample, median, spread
from benchmarks.harness.workload import SYNCD, Case, Goal

__all__ = ["number", "ratios", "show", "target"]

_STYLES = {
    Standing.AIM: "green",
    Standing.MINIMUM: "yellow",
    Standing.BELOW: "yellow",
    Standing.MISSED: "red",
    Standing.UNMEASURED: "dim",
}


def show(console: Console, measured: Measured) -> None:
    """Print one workload: its figures, and then its goals."""
    workload = measured.workload
    console.print(_figures(measured))
    found = ratios(measured)
    if found:
        console.print(_goals(found))
    limited = sorted(
        {
            f"{case}: {contender}"
            for case, by_contender in measured.samples.items()
            for contender, samples in by_contender.items()
            if any(sample.driver_was_the_limit for sample in samples)
        }
    )
    if limited:
        console.print(f"[bold]>[/] the driver, not the server, was the limit in: {'; '.join(limited)}")
    for case, by_contender in measured.failed.items():
        for contender, why in by_contender.items():
            console.print(f"- {case}, {contender}: no figure: {why.splitlines()[0][:200]}", markup=False)
    console.print(f"{workload.name} took {measured.seconds:.0f} s\n")


def ratios(measured: Measured) -> list[Ratio]:
    """How it stands to each of its goals."""
    return [ratio_of(goal, measured.samples) for goal in measured.workload.goals]


def target(goal: Goal) -> str:
    """What is wanted, such as `≥ 0.60 → 1.20`, or `→ 1.20`."""
    least = "" if goal.minimum is None else f"{'≤' if goal.less_is_better else '≥'} {number(goal.minimum)}"
    return f"{least} → {number(goal.aim)}".strip() if goal.aim is not None else least


def number(value: float) -> str:
    """Three digits that count, and the thousands parted."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 0.095 or value == 0 else f"{value:.3f}"


def _figures(measured: Measured) -> Table:
    table = Table(title=f"{measured.workload.name}: {measured.workload.title}", title_justify="left")
    table.add_column("case")
    table.add_column("contender")
    table.add_column("figures: median [lowest to highest]")
    table.add_column("server µs/unit", justify="right")
    table.add_column("driver", justify="right")
    for case in measured.cases:
        rows = measured.samples.get(case.name, {})
        for place, (contender, samples) in enumerate(rows.items()):
            table.add_row(
                case.name if place == 0 else "",
                f"[bold]{contender}[/]" if contender == SYNCD else contender,
                _shown(case, samples),
                number(median(samples, "cpu_us") or 0.0),
                f"{max((sample.driver_share for sample in samples), default=0.0):.2f}",
                end_section=place == len(rows) - 1,
            )
    return table


def _shown(case: Case, samples: Sequence[Sample]) -> str:
    parts = []
    for figure, unit in case.shown.items():
        middle, ends = median(samples, figure), spread(samples, figure)
        if middle is None or ends is None:
            continue
        reach = f" [{number(ends[0])} to {number(ends[1])}]" if len(samples) > 1 else ""
        parts.append(f"{number(middle)} {unit}{reach}")
    return ", ".join(parts)


def _goals(found: Sequence[Ratio]) -> Table:
    table = Table()
    for name in ("goal: syncd to", "in", "of"):
        table.add_column(name)
    for name in ("ratio", "rounds", "wanted"):
        table.add_column(name, justify="right")
    table.add_column("")
    for ratio in found:
        goal = ratio.goal
        who = goal.against if goal.of == SYNCD else f"{goal.of} to {goal.against}"
        case = goal.case if goal.against_case is None else f"{goal.case}, to {goal.against_case}"
        value = "" if ratio.value is None else number(ratio.value)
        reach = "" if ratio.low is None or ratio.high is None else f"{number(ratio.low)} to {number(ratio.high)}"
        standing = f"[{_STYLES[ratio.standing]}]{ratio.standing}[/]" + (f" ({ratio.bound})" if ratio.bound else "")
        table.add_row(who, case, goal.figure, value, reach, target(goal), standing)
    return table
