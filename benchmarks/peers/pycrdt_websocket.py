"""pycrdt-websocket, in memory or with its SQLiteYStore, in an environment of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from benchmarks.harness.processes import Server, free_port, started
from benchmarks.peers.install import python_of, versions_of_python

__all__ = ["VERSIONS", "running", "versions"]

VERSIONS: Final = {
    "pycrdt-websocket": "0.16.5",
    "pycrdt": "0.14.13",
    "pycrdt-store": "0.1.5",
    "uvicorn": "0.54.0",
    "uvloop": "0.23.0",
    "websockets": "17.4",
}
_REQUIREMENTS: Final = [f"{name}=={version}" for name, version in VERSIONS.items()]
_SCRIPT: Final = Path(__file__).with_name("pycrdt_websocket_server.py")


def versions() -> dict[str, str]:
    """What is installed."""
    return versions_of_python("pycrdt-websocket", _REQUIREMENTS, [*VERSIONS])


@asynccontextmanager
async def running(folder: Path, *, persistent: bool = False) -> AsyncIterator[Server]:
    """A running server, stopped on leaving. `persistent`: on a SQLite file in `folder`. Raises `Unavailable`."""
    python = await asyncio.to_thread(python_of, "pycrdt-websocket", _REQUIREMENTS)
    port = free_port()
    command = [str(python), str(_SCRIPT), str(port)]
    name = "pycrdt-websocket"
    if persistent:
        name = "pycrdt-websocket-sqlite"
        command.append(str(folder / f"{name}.db"))
    async with started(command, port=port, folder=folder, name=name) as server:
        yield server
