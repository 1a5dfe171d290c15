"""`--help` of each command: examples that parse, and every exit code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.conftest import Run
from tests.commands.make import note, seed

COMMANDS = ["tail", "status", "explain", "doctor", "export", "import", "backup", "restore"]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_shows_examples_exit_codes_and_json(run: Run, command: str) -> None:
    done = run(command, "--help")
    assert done.code == 0
    assert "Examples" in done.out
    assert f"syncd {command} " in done.out
    assert "exit code" in done.out.lower()
    assert "--json" in done.out


def test_the_list_of_commands_has_them_all(run: Run) -> None:
    out = run("--help").out
    assert [command for command in COMMANDS if f" {command} " not in out] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_option_is_wrong_usage(run: Run, command: str) -> None:
    assert run(command, "--nonsense").code == 2


def test_a_reader_that_has_had_enough_is_no_traceback(run: Run) -> None:
    seed(run, Path("club.db"), *(note(f"n{i}", text="x" * 1000) for i in range(300)))
    with subprocess.Popen(
        [sys.executable, "-m", "syncd", "export", "--database", "club.db"],
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(30) == 1
        assert process.stderr.read() == b""
