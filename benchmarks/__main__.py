"""`python -m benchmarks`: how fast syncd is, beside the raw ceilings of this machine and the peers, in one run."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.harness.measure import Measured, measure
from benchmarks.harness.plots import plot
from benchmarks.harness.processes import pin_driver
from benchmarks.harness.readme import PLOTTED, publish
from benchmarks.harness.report import show
from benchmarks.harness.results import HISTORY, append, as_json, row_of
from benchmarks.harness.workload import SYNCD, Workload
from benchmarks.peers.versions import PEERS
from benchmarks.workloads import WORKLOADS

_OUTPUT: Final = Path("benchmarks") / "out"


class _Shown:
    """The progress of a run on a terminal; without one, a line for each step that takes long."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.bar = Progress(
            TextColumn("{task.fields[workload]}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self.bar.add_task("starting", workload="", total=None)

    def begin(self, workload: Workload, steps: int) -> None:
        self.bar.reset(self._task, total=steps, workload=workload.name, description="")
        self._fresh = True

    def step(self, text: str) -> None:
        self.bar.update(self._task, description=text, advance=0 if self._fresh else 1)
        self._fresh = False

    def note(self, text: str) -> None:
        if self._console.is_terminal:
            self.bar.update(self._task, description=text)
        self._console.log(text, markup=False)


def main(
    names: Annotated[list[str] | None, typer.Argument(help="Workloads, such as W1 W3; all if none is named.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes, one round: does it run at all?")] = False,
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds of each case, instead of three.")] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Measure this contender beside syncd, and no others; may be repeated.")
    ] = None,
    output: Annotated[Path, typer.Option(help="The folder for results.json and the plots.")] = _OUTPUT,
) -> None:
    """Measure syncd beside ceilings and peers, which are installed the first time (a few minutes).

    A whole run adds its ratios to benchmarks/results.jsonl, and writes the README's table and plot from them.

    Examples:

      python -m benchmarks                     everything, in three rounds

      python -m benchmarks --quick             does everything run? a few minutes

      python -m benchmarks W1 --only prototype
    """
    console = Console()
    chosen = _chosen(names)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 65_536)), hard))
    pin_driver()
    shown = _Shown(console)
    done: list[Measured] = []

    def wants(contender: str) -> bool:
        return not only or contender == SYNCD or contender in only

    output.mkdir(parents=True, exist_ok=True)
    with shown.bar:
        for workload in chosen:
            try:
                measured = asyncio.run(measure(workload, quick=quick, rounds=rounds, progress=shown, wants=wants))
            except Exception as error:
                console.log(f"{workload.name} could not be measured: {type(error).__name__}: {error}", markup=False)
                continue
            done.append(measured)
            show(console, measured)
            if plot(measured, output) is not None:
                console.print(f"plot: {output / f'{workload.name.lower()}.png'}\n", markup=False)
            (output / "results.json").write_text(json.dumps(as_json(done, PEERS), indent=1, ensure_ascii=False))
    if len(done) == len(WORKLOADS) and not (quick or only or rounds):
        append(row_of(done, PEERS))
        publish(output / PLOTTED)
        console.print(f"recorded in {HISTORY.name}, and in the README")
    if len(done) < len(chosen):
        sys.exit(1)


def _chosen(names: list[str] | None) -> list[Workload]:
    by_name = {workload.name.lower(): workload for workload in WORKLOADS}
    unknown = [name for name in names or () if name.lower() not in by_name]
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}: the workloads are {', '.join(w.name for w in WORKLOADS)}")
    return [by_name[name.lower()] for name in names] if names else list(WORKLOADS)


if __name__ == "__main__":
    typer.run(main)
