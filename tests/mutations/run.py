"""Runs mutants, each in a process of its own, two at a time, and tells who noticed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.mutations.mutants import EQUIVALENT, Mutant
from tests.mutations.one import NOTHING
from tests.sizes import QUICK, SIZES

__all__ = ["Verdict", "run_all", "run_one", "table"]

ROOT = Path(__file__).parents[2]
PATIENCE_S = 900
AS_EACH_COMMIT = {**os.environ, "SYNCD_TEST_SIZES": QUICK.name}
"""What each commit runs is to notice, not ten thousand examples once in a while."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`by`: the test that noticed, None if none did. `after`: the number of histories played until then."""

    mutant: Mutant
    by: str | None
    after: int
    what: str
    took_s: float

    @property
    def survived(self) -> bool:
        """Nobody noticed, though somebody should have."""
        return self.by is None and self.mutant.name not in EQUIVALENT


def run_one(mutant: Mutant) -> Verdict:
    """Break it in a process of its own."""
    began = time.monotonic()
    command = [sys.executable, "-m", "tests.mutations.one", mutant.name, "0", str(SIZES.mutant_histories)]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=AS_EACH_COMMIT, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    except subprocess.TimeoutExpired:
        return Verdict(mutant, None, 0, "it took too long to tell", PATIENCE_S)
    took_s = time.monotonic() - began
    if done.returncode != 0:
        raise RuntimeError(f"{mutant.name} could not be tried:\n{done.stderr[-2000:]}")
    told = json.loads(done.stdout.splitlines()[-1])
    if told["by"] not in (None, "histories") and not passes(told["by"]):
        raise RuntimeError(f"{told['by']} fails though nothing is broken, so that it has not noticed {mutant.name}")
    return Verdict(mutant, told["by"], told["after"], told["what"], took_s)


def passes(test: str) -> bool:
    """Whether a test passes where nothing is broken."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test]
    return subprocess.run(command, cwd=ROOT, env=AS_EACH_COMMIT, capture_output=True, check=False).returncode == 0


def run_all(mutants: Sequence[Mutant]) -> list[Verdict]:
    """All of them, told one by one as they are done. First nothing is broken, and the histories may not mind."""
    whole = run_one(Mutant(NOTHING, "", "", "", "nothing is broken"))
    if whole.by is not None:
        raise RuntimeError(f"tests fail though nothing is broken: {whole.by}, history {whole.after}: {whole.what}")

    def told(mutant: Mutant) -> Verdict:
        verdict = run_one(mutant)
        print(line(verdict), flush=True)
        return verdict

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(told, mutants))


def line(verdict: Verdict) -> str:
    """One row of the table."""
    mutant = verdict.mutant
    noticed = verdict.by or ("nobody can" if mutant.name in EQUIVALENT else "NOBODY")
    if verdict.by == "histories":
        noticed = f"history {verdict.after}"
    return (
        f"{mutant.name:36} {mutant.module.partition('.')[2]:14} {noticed:24} {verdict.took_s:5.1f} s  {mutant.breaks}"
    )


def table(verdicts: Sequence[Verdict]) -> str:
    """What became of them all."""
    survivors = [verdict.mutant.name for verdict in verdicts if verdict.survived]
    found = len(verdicts) - len(survivors)
    equivalent = [f"  {name}: {why}" for name, why in EQUIVALENT.items()]
    return "\n".join(
        [
            "",
            f"{len(verdicts)} mutants, {found} noticed or equivalent, {len(survivors)} survived",
            *([f"survived: {', '.join(survivors)}"] if survivors else []),
            *(["equivalent:", *equivalent] if equivalent else []),
        ]
    )
