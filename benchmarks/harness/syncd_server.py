"""syncd itself: `syncd serve` as anyone starts it, on a fresh SQLite file, with what it does by default.

It is the one beside this package, also where another is installed: the results name the commit of this one.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.harness.processes import Server, free_port, python_path, started

__all__ = ["serving"]


@asynccontextmanager
async def serving(folder: Path, *, app: str | None = None, name: str = "syncd") -> AsyncIterator[Server]:
    """A running server, stopped on leaving. `app`: as `syncd serve` takes it; None: any type, rule `merge`."""
    port = free_port()
    command = [sys.executable, "-m", "syncd", "serve", *([app] if app else [])]
    command += ["--host", "127.0.0.1", "--port", str(port), "--database", str(folder / f"{name}.db"), "--json"]
    async with started(command, port=port, folder=folder, environment=python_path(), name=name) as server:
        yield server
