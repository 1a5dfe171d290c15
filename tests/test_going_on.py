"""A run of hours that was cut off goes on at the same commit with what had not passed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TESTS = """
import os, pytest
def test_one(): pass
def test_two(): assert os.environ.get("MENDED")
@pytest.fixture
def torn():
    yield
    assert os.environ.get("MENDED")
def test_three(torn): pass
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "test_all.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / ".gitignore").write_text(".passed\n__pycache__\n.pytest_cache\n")
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "one"]):
        git(tmp_path, *command)
    return tmp_path


def git(folder: Path, *command: str) -> None:
    who = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    subprocess.run(["git", *who, *command], cwd=folder, check=True, capture_output=True)


def run(folder: Path, *, mended: bool = False, workers: int = 0) -> str:
    """The last lines of a run."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "MENDED"))}
    environment |= {"PYTHONPATH": str(ROOT)} | ({"MENDED": "1"} if mended else {})
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.going_on", "--go-on", ".passed", "-n", str(workers)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode == 0) is ("failed" not in done.stdout), done.stdout
    return done.stdout


@pytest.mark.parametrize("workers", [0, 2])
def test_what_has_passed_is_not_run_again_and_what_has_failed_is(project: Path, workers: int) -> None:
    assert "1 failed, 2 passed, 1 error" in run(project, workers=workers)

    again = run(project, mended=True, workers=workers)

    assert "2 passed" in again
    assert "1 more have passed at" in again


def test_at_another_commit_or_with_a_change_everything_is_run_again(project: Path) -> None:
    assert "3 passed" in run(project, mended=True)
    (project / "test_all.py").write_text(TESTS + "\n")
    assert "3 passed" in run(project, mended=True)
    git(project, "commit", "-qam", "two")
    assert "3 passed" in run(project, mended=True)
    assert "3 deselected" in run(project, mended=True)
