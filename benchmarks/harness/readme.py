"""The README's table and plot, from the last line of the results: what it shows is what was measured last."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.harness.ratios import Standing
from benchmarks.harness.report import number
from benchmarks.harness.results import Row, last_row

__all__ = ["BEGIN", "END", "PLOTTED", "publish", "table"]

PLOTTED: Final = "w1.png"
"""The plot that the README shows."""

BEGIN: Final = "<!-- benchmarks: written by `make bench` -->"
END: Final = "<!-- /benchmarks -->"
_ROOT: Final = Path(__file__).parents[2]
_README: Final = _ROOT / "README.md"
_PLOT: Final = _ROOT / "docs" / "benchmarks.png"


def publish(plot: Path) -> None:
    """Write the table between its marks, and put the plot where the README shows it from."""
    text = _README.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    _README.write_text(f"{before}{BEGIN}\n\n{table(last_row())}\n\n{END}{after}", encoding="utf-8")
    if plot.exists():
        shutil.copyfile(plot, _PLOT)


def table(row: Row) -> str:
    """The ratios of a line, in Markdown, after a sentence that counts them."""
    goals = row["goals"]
    assert isinstance(goals, list)
    return "\n".join([_summary(row, goals), "", *_lines(goals)])


def _summary(row: Row, goals: Sequence[Mapping[str, Any]]) -> str:
    measured = [goal for goal in goals if goal["ratio"] is not None]
    reached = [goal for goal in measured if goal["standing"] in (Standing.AIM, Standing.MINIMUM)]
    aims = [goal for goal in reached if goal["standing"] == Standing.AIM]
    return (
        f"At {row['commit']}, {str(row['at'])[:10]}, {row['cores']} cores: of {len(goals)} goals {len(measured)} were "
        f"measured, {len(reached)} are reached, {len(aims)} of them as far as we aim for."
    )


def _lines(goals: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = ["| syncd in | to | of | ratio (rounds) | wanted | |", "| --- | --- | --- | --- | --- | --- |"]
    lines += [
        f"| {goal['workload']} {goal['case']} | {goal['against']} | {goal['figure']} "
        f"| {_ratio(goal)} | {goal['wanted']} | {goal['standing']} |"
        for goal in goals
    ]
    return lines


def _ratio(goal: Mapping[str, Any]) -> str:
    if goal["ratio"] is None:
        return ""
    ratio, low, high = (number(float(goal[name])) for name in ("ratio", "low", "high"))
    return ratio if low == high else f"{ratio} ({low} to {high})"
