"""A picture of each workload: bars by contender, a group for each case, with the range of the rounds."""

from __future__ import annotations

import textwrap
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.patches import Patch

from benchmarks.harness.measure import Measured
from benchmarks.harness.sample import median, spread
from benchmarks.harness.workload import SYNCD

__all__ = ["plot"]

mpl.use("Agg")
_LABEL = 16
"""Characters in a line under a group of bars."""
_OURS = "#0b6e4f"
_THEIRS = ("#5b8fb9", "#9bb8d3", "#c98b5a", "#b0a392", "#8c7aa9", "#d4b483", "#7d9d8c", "#a65d57", "#c0c0c0", "#6f6f6f")


def plot(measured: Measured, folder: Path) -> Path | None:
    """Write `folder`/w1.png or the like; None if there is nothing to show. Rates go on a logarithmic axis."""
    groups: dict[str, list[str]] = {}
    for case in measured.cases:
        if case.shown and measured.samples.get(case.name):
            figure = next(iter(case.shown))
            groups.setdefault(f"{figure}|{case.shown[figure]}", []).append(case.name)
    if not groups:
        return None
    picture, axes = plt.subplots(len(groups), 1, figsize=(11, 4.2 * len(groups)), squeeze=False)
    contenders = list(dict.fromkeys(name for case in measured.cases for name in measured.samples.get(case.name, {})))
    colours = {name: _OURS if name == SYNCD else _THEIRS[place % len(_THEIRS)] for place, name in enumerate(contenders)}
    for axis, (key, cases) in zip(axes[:, 0], groups.items(), strict=True):
        figure, unit = key.split("|", 1)
        taking_part = {group: [name for name in contenders if measured.samples[group].get(name)] for group in cases}
        # Of one width everywhere, so that a case with one contender does not look the greater for it.
        width = 0.86 / max(map(len, taking_part.values()))
        for place, (group, shown) in enumerate(taking_part.items()):
            for number, name in enumerate(shown):
                samples = measured.samples[group][name]
                middle, ends = median(samples, figure), spread(samples, figure)
                if middle is None or ends is None:
                    continue
                axis.bar(
                    place + (number - (len(shown) - 1) / 2) * width,
                    middle,
                    width * 0.92,
                    color=colours[name],
                    yerr=[[middle - ends[0]], [ends[1] - middle]],
                    error_kw={"elinewidth": 0.8, "ecolor": "#333333"},
                )
        axis.set_yscale("log")
        axis.set_ylabel(unit)
        axis.set_xticks(range(len(cases)), [textwrap.fill(case, _LABEL) for case in cases], fontsize=8)
        axis.grid(axis="y", linewidth=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    handles = [Patch(color=colours[name]) for name in contenders]
    picture.suptitle(f"{measured.workload.name}: {measured.workload.title}", x=0.01, ha="left", fontsize=11)
    picture.legend(handles, contenders, loc="lower center", ncols=min(5, len(contenders)), fontsize=8, frameon=False)
    picture.tight_layout(rect=(0, 0.04 + 0.03 * (len(contenders) // 6), 1, 1))
    path = folder / f"{measured.workload.name.lower()}.png"
    picture.savefig(path, dpi=110)
    plt.close(picture)
    return path
