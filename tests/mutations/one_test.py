"""`python -m tests.mutations.one_test NAME`: take a law's branch out, and play the history that the law forbids.

Runs in a process of its own. Prints one line of JSON: {"failed": the tests that failed, "passed": how many did not}.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sys

from tests.mutations.law_branches import LAW_BRANCHES
from tests.mutations.one import Broken, Finder


class Reports:
    """What became of each test. One that could not even begin has noticed nothing."""

    def __init__(self) -> None:
        self.failed: list[str] = []
        self.passed = 0
        self.trouble: list[str] = []

    def pytest_runtest_logreport(self, report: object) -> None:
        """Called by pytest for each phase of each test."""
        import pytest

        assert isinstance(report, pytest.TestReport)
        if report.when == "call" and report.failed:
            self.failed.append(report.nodeid)
        elif report.failed:
            self.trouble.append(f"{report.nodeid}: {report.longreprtext[-500:]}")
        elif report.when == "call":
            self.passed += 1


def main(name: str) -> dict[str, object]:
    """Break it, and look."""
    logging.disable(logging.CRITICAL)
    branch = next(each for each in LAW_BRANCHES if each.mutant.name == name)
    broken = Broken(branch.mutant)
    sys.meta_path.insert(0, Finder(broken))
    import pytest

    reports = Reports()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:randomly", branch.test], plugins=[reports])
    assert broken.used, f"{branch.test} imports nothing of what is broken"
    return {"failed": reports.failed, "passed": reports.passed, "trouble": reports.trouble}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
