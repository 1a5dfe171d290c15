"""The demo's child processes: the server and the phones, started, asked, killed with -9 and started again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from syncd.demo.glimpse import NOTHING_SHOWN, shown

__all__ = ["ChildDied", "PhoneProcess", "ServerProcess"]

_STOP_S = 10.0
_LINE_BYTES = 1 << 24


class ChildDied(RuntimeError):
    """A child process ended that should not have; the message holds the end of its log."""


class _Child:
    """One program that may be started, killed and started again; what it says on standard error goes to `log`."""

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        self._log = log
        self._process: asyncio.subprocess.Process | None = None

    @property
    def running(self) -> bool:
        """Whether there is a process now."""
        return self._process is not None and self._process.returncode is None

    def kill(self) -> None:
        """kill -9: it gets no chance to do anything more."""
        self._send(signal.SIGKILL)

    async def wait_dead(self) -> None:
        """Return when the process is gone and its pipes are closed."""
        if self._process is not None:
            await self._process.communicate()

    def _send(self, number: signal.Signals) -> None:
        # Not by the process object: that would reap a child that has just died, behind the back of the event loop.
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    async def _spawn(self, command: Sequence[str]) -> dict[str, Any]:
        """Start the program and return the first line it prints, a JSON object."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                limit=_LINE_BYTES,
                env=_environment(),
                # Ctrl-C is for the parent, which then ends its children in order.
                start_new_session=True,
            )
        return await self._read()

    async def _read(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise ChildDied(f"{self.name} died; the end of its log:\n{self.log_tail()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of its log."""
        text = self._log.read_text(errors="replace") if self._log.exists() else ""
        return "\n".join(text.splitlines()[-lines:]) or "(empty)"


class ServerProcess(_Child):
    """`syncd serve`. `command` is everything up to the app; it keeps its port and its file from start to start."""

    def __init__(self, command: Sequence[str], app: str, database: Path, log: Path) -> None:
        super().__init__("the server", log)
        self._command = [*command, app, "--host", "127.0.0.1", "--database", str(database), "--json"]
        self.port = 0
        self.url = ""

    async def start(self) -> None:
        """Start it, and return when it listens."""
        banner = await self._spawn([*self._command, "--port", str(self.port)])
        self.url = str(banner["url"])
        self.port = int(self.url.rsplit(":", 1)[1])

    async def stop(self) -> None:
        """SIGTERM, as at any orderly end; kill -9 if it does not listen."""
        if self.running and self._process is not None:
            self._send(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), _STOP_S)
        self.kill()
        await self.wait_dead()


class PhoneProcess(_Child):
    """A phone in somebody's hand; one request at a time."""

    def __init__(self, name: str, app: str, url: str, replica: Path, scopes: Sequence[str], log: Path) -> None:
        super().__init__(f"phone {name}", log)
        self._command = [sys.executable, "-m", "syncd.demo.phone", "--app", app, "--url", url]
        self._command += ["--replica", str(replica)]
        for scope in scopes:
            self._command += ["--scope", scope]
        self.clock_ahead_ms = 0
        self.pending = 0
        self.questions = 0
        self.screen = NOTHING_SHOWN
        self.replica = ""

    async def start(self) -> None:
        """Switch it on, and return when it takes taps."""
        ready = await self._spawn([*self._command, "--clock-ahead-ms", str(self.clock_ahead_ms)])
        self.replica = str(ready["replica"])
        self._look(ready)

    async def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Make a request and wait for its answer; raises `ChildDied`."""
        self.tell(request)
        answer = await self._read()
        self._look(answer)
        return answer

    def _look(self, answer: dict[str, Any]) -> None:
        self.pending = int(answer["pending"])
        self.questions = int(answer["questions"])
        self.screen = shown(answer["score"])

    def tell(self, request: dict[str, Any]) -> None:
        """Make a request without waiting for the answer: the last one before a kill."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")


def _environment() -> dict[str, str]:
    """Ours, without the settings of a server that somebody runs here in earnest."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SYNCD_")}
