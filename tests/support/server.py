"""A real `syncd serve` process for tests: started on a free port, asked over HTTP, killed, and started again.

async with running_server(tmp_path / "club.db", app="syncd.apps.grassroots:app") as server:
    server.url, server.pid, server.log_text()
    await server.kill()      # kill -9
    await server.start()     # the same port and file again
    await server.stop()      # SIGTERM; returns the exit code
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.database import prepare_database

__all__ = ["ServerProcess", "running_server"]

_START_S = 30.0
_STOP_S = 15.0


class ServerProcess:
    """One `syncd serve`; keeps its port and database from start to start.

    `log`: the file that takes its standard error. `banner`: the facts it printed when it began to listen.
    """

    def __init__(
        self,
        database: Path,
        *,
        app: str | None = None,
        host: str = "127.0.0.1",
        token: str | None = None,
        environment: Mapping[str, str] | None = None,
        command: Sequence[str] = (sys.executable, "-m", "syncd"),
    ) -> None:
        self.database = database
        self.log = database.with_suffix(".log")
        self.banner: dict[str, Any] = {}
        self._host = host
        self._port = 0
        self._command = [*command, "serve", *([app] if app else [])]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SYNCD_")}
        self._environment = {**inherited, **({"SYNCD_TOKEN": token} if token else {}), **(environment or {})}
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Such as `http://127.0.0.1:40123`."""
        return str(self.banner["url"])

    @property
    def host_and_port(self) -> tuple[str, int]:
        """For raw sockets."""
        return self._host, self._port

    @property
    def pid(self) -> int:
        """Of the process that runs now."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.returncode is None

    def log_text(self) -> str:
        """All that was logged so far, over all starts."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    async def start(self) -> None:
        """Start it and return when it listens."""
        assert not self.running
        prepare_database(self.database)
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                *("--host", self._host, "--port", str(self._port), "--database", str(self.database), "--json"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=self._environment,
            )
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), _START_S)
        facts = json.loads(line or "{}")
        if facts.get("event") != "listening":
            await self._process.wait()
            raise AssertionError(f"the server did not start: {facts}\n{self.log_text()[-4000:]}")
        self.banner = facts
        self._port = int(self.url.rsplit(":", 1)[1])

    async def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """SIGTERM, and the exit code."""
        return await self._end(signal.SIGTERM)

    async def _end(self, number: signal.Signals) -> int:
        assert self._process is not None
        if self.running:
            self._process.send_signal(number)
        # Reads its pipe to the end as well, which `wait` would leave open.
        await asyncio.wait_for(self._process.communicate(), _STOP_S)
        assert self._process.returncode is not None
        return self._process.returncode


@asynccontextmanager
async def running_server(database: Path, **options: Any) -> AsyncIterator[ServerProcess]:
    """A running server; killed at the end if it still runs. `options`: as for `ServerProcess`."""
    server = ServerProcess(database, **options)
    await server.start()
    try:
        yield server
    finally:
        if server.running:
            await server.kill()
