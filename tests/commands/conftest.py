"""What tests of the commands share: `syncd` run in an empty folder, and files to run it on."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from syncd.cli import cli


@dataclass(frozen=True, slots=True)
class Done:
    """What a command has said: on standard output, on standard error, and by its exit code."""

    code: int
    out: str
    err: str

    @property
    def facts(self) -> list[dict[str, Any]]:
        """With --json: every line of standard output."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def last(self) -> dict[str, Any]:
        """With --json: the last one."""
        return self.facts[-1]


Run = Callable[..., Done]


@pytest.fixture(autouse=True)
def _log_apart() -> Iterator[None]:
    """A server of the test's own process logs past what a command writes, as one in another process does."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.__stderr__))
    yield
    structlog.reset_defaults()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `syncd` with arguments in an empty folder, without a SYNCD_ variable; never a traceback."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("SYNCD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "300")

    def invoke(*arguments: object, stdin: str | None = None) -> Done:
        done = CliRunner().invoke(cli, [str(argument) for argument in arguments], input=stdin)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert "Traceback" not in done.output
        return Done(done.exit_code, done.stdout, done.stderr)

    return invoke
