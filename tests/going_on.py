"""Goes on with a run of hours that was cut off: `pytest -p tests.going_on --go-on FILE`, as `make full` does.

FILE names the tests that have passed, below the commit that they passed at. At the same commit, without a change in the
work tree, they are not run again; at another, all are. Whatever failed is run again in either case.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

__all__ = ["pytest_addoption", "pytest_configure"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--go-on", metavar="FILE", type=Path, help="leave out what has passed at this commit before")


def pytest_configure(config: pytest.Config) -> None:
    path: Path | None = config.getoption("--go-on")
    if path is not None:
        config.pluginmanager.register(_Ledger(path, config.rootpath, is_worker=hasattr(config, "workerinput")))


class _Ledger:
    """What has passed. A worker of xdist only reads it; whoever controls them writes."""

    def __init__(self, path: Path, root: Path, *, is_worker: bool) -> None:
        self._path = path
        self._is_worker = is_worker
        self._called: set[str] = set()
        self._commit = _state_of(root)
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self._passed = set(lines[1:]) if lines[:1] == [self._commit] else set()
        if not is_worker and not self._passed:
            path.write_text(f"{self._commit}\n", encoding="utf-8")

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        done = [item for item in items if item.nodeid in self._passed]
        if done:
            items[:] = [item for item in items if item.nodeid not in self._passed]
            config.hook.pytest_deselected(items=done)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # With its teardown, so that nothing counts that has failed there.
        if not self._is_worker and report.when == "teardown" and report.passed and report.nodeid in self._called:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{report.nodeid}\n")
        elif report.when == "call" and report.passed:
            self._called.add(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and self._passed:
            # There was nothing left to do.
            session.exitstatus = pytest.ExitCode.OK

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._passed:
            terminalreporter.write_line(f"{len(self._passed)} more have passed at {self._commit} before")


def _state_of(root: Path) -> str:
    """The commit, and whether anything was changed since."""
    told = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=40"], cwd=root, capture_output=True, text=True, check=False
    )
    return told.stdout.strip() or "no commit"
