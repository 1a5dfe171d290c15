"""Results in files: everything as JSON, and of each full run one line of ratios in `benchmarks/results.jsonl`.

The last of these lines is the table in the README.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

from benchmarks.harness.measure import Measured
from benchmarks.harness.ratios import Ratio
from benchmarks.harness.report import ratios, target

__all__ = ["HISTORY", "PeerVersions", "Row", "append", "as_json", "last_row", "row_of"]

HISTORY: Final = Path(__file__).parents[1] / "results.jsonl"
_OURS: Final = ("aiohttp", "aiosqlite", "pycrdt", "pydantic", "msgpack", "uvloop")

Row = Mapping[str, object]

PeerVersions = Mapping[str, Callable[[], Mapping[str, str]]]
"""By peer, what says which versions of it are installed. It is asked for those only that were measured."""


def as_json(run: Sequence[Measured], peers: PeerVersions) -> dict[str, object]:
    """All samples of a run."""
    return {
        **_circumstances(run, peers),
        "workloads": {
            measured.workload.name: {
                "title": measured.workload.title,
                "seconds": round(measured.seconds, 1),
                "samples": {
                    case: {contender: [sample.as_json() for sample in samples] for contender, samples in some.items()}
                    for case, some in measured.samples.items()
                },
                "failed": {case: dict(some) for case, some in measured.failed.items() if some},
                "goals": [_goal(measured.workload.name, ratio) for ratio in ratios(measured)],
            }
            for measured in run
        },
    }


def row_of(run: Sequence[Measured], peers: PeerVersions) -> dict[str, object]:
    """One line of the history: the commit, the circumstances, and each ratio with its spread."""
    goals = [_goal(measured.workload.name, ratio) for measured in run for ratio in ratios(measured)]
    return {**_circumstances(run, peers), "goals": goals}


def append(row: Row, path: Path = HISTORY) -> None:
    """Add it as the last line."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")


def last_row(path: Path = HISTORY) -> Row:
    """The newest line."""
    row = json.loads(path.read_text(encoding="utf-8").splitlines()[-1])
    assert isinstance(row, dict)
    return row


def _goal(workload: str, ratio: Ratio) -> dict[str, object]:
    goal = ratio.goal
    of = "" if goal.of == "syncd" else f"{goal.of} to "
    found: dict[str, object] = {
        "workload": workload,
        "case": goal.case if goal.against_case is None else f"{goal.case}, to {goal.against_case}",
        "against": f"{of}{goal.against}",
        "figure": goal.figure,
        "ratio": _rounded(ratio.value),
        "low": _rounded(ratio.low),
        "high": _rounded(ratio.high),
        "wanted": target(goal),
        "standing": ratio.standing.value,
    }
    return found | ({"bound": ratio.bound} if ratio.bound else {})


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def _circumstances(run: Sequence[Measured], peers: PeerVersions) -> dict[str, object]:
    measured = _contenders(run)
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": _commit(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "versions": dict(_versions(_OURS)),
        "peers": {name: dict(versions()) for name, versions in peers.items() if name in measured},
    }


def _contenders(run: Sequence[Measured]) -> set[str]:
    """Those of whom there are samples. One with several storages, such as `hocuspocus (SQLite)`, is one."""
    return {
        contender.partition(" (")[0]
        for measured in run
        for by_contender in measured.samples.values()
        for contender, samples in by_contender.items()
        if samples
    }


def _versions(names: Iterable[str]) -> Iterable[tuple[str, str]]:
    for name in names:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            continue


def _commit() -> str:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=root, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"
