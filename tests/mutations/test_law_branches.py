"""Each law's test is known to bite: with the law's branch taken out it fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutations.law_branches import LAW_BRANCHES, LawBranch

ROOT = Path(__file__).parents[2]
LAWS = range(1, 13)


def test_every_law_has_a_branch_that_is_taken_out() -> None:
    assert {branch.law for branch in LAW_BRANCHES} == set(LAWS)


@pytest.mark.parametrize("branch", LAW_BRANCHES, ids=lambda branch: f"{branch.law}-{branch.mutant.name}")
def test_without_its_branch_the_history_goes_as_the_law_forbids(branch: LawBranch) -> None:
    command = [sys.executable, "-m", "tests.mutations.one_test", branch.mutant.name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    print(told)
    assert told["trouble"] == []
    assert told["failed"], f"without {branch.mutant.breaks!r} forbidden, {branch.test} passes"
