"""`syncd demo` as a subprocess, as anybody would run it, and what it says with --json."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Outcome", "demo_command", "processes_of", "run_demo", "wait_until_gone"]

RUN_S = 120
FAULTY_SERVER = Path(__file__).with_name("faulty_server.py")


@dataclass(frozen=True)
class Outcome:
    """`report`: what --json printed. `log`: standard error, for a message."""

    exit_code: int
    report: dict[str, Any]
    log: str

    @property
    def failed(self) -> dict[str, str]:
        """The checks that failed, and what they say."""
        return {check["name"]: check["detail"] for check in self.report["checks"] if not check["ok"]}


def demo_command(folder: Path, *options: str, match: str = "wc2022-64") -> list[str]:
    """The command for a run without pauses, its files in `folder`."""
    return [sys.executable, "-m", "syncd", "demo", "--match", match, "--pace", "0", "--keep", str(folder), *options]


def run_demo(folder: Path, *options: str, match: str = "wc2022-64", fault: str | None = None) -> Outcome:
    """Run it to its end; with `fault`, on the server of `faulty_server.py`."""
    command = demo_command(folder, "--json", *options, match=match)
    if fault is not None:
        command += ["--server-command", f"{sys.executable} {FAULTY_SERVER} {fault}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_S, check=False)
    assert done.stdout.startswith("{"), done.stdout + done.stderr
    return Outcome(done.returncode, json.loads(done.stdout), done.stderr)


def processes_of(folder: Path) -> list[str]:
    """The command lines of every process that works on the files of a run."""
    listed = subprocess.run(["ps", "-axww", "-o", "command="], capture_output=True, text=True, check=True)
    return [command for command in listed.stdout.splitlines() if str(folder) in command]


def wait_until_gone(folder: Path, seconds: float = 10) -> None:
    """Return once no process works on the folder; fails after `seconds`."""
    end = time.monotonic() + seconds
    while left := processes_of(folder):
        assert time.monotonic() < end, left
        time.sleep(0.05)
