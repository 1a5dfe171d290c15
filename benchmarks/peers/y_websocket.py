"""The server of y-websocket, in memory or on LevelDB, which it writes to behind what it has broadcast."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from benchmarks.harness.processes import Server, free_port, started
from benchmarks.peers.install import NODE, node_folder, versions_of_node

__all__ = ["VERSIONS", "running", "versions"]

VERSIONS: Final = {"y-websocket": "2.1.0", "yjs": "13.6.33", "ws": "8.23.0", "y-leveldb": "0.2.0"}
_SCRIPT: Final = Path(__file__).with_suffix(".mjs")


def versions() -> dict[str, str]:
    """What npm has installed. Raises `Unavailable`."""
    return versions_of_node(node_folder("y-websocket", VERSIONS), *VERSIONS)


@asynccontextmanager
async def running(folder: Path, *, persistent: bool = False) -> AsyncIterator[Server]:
    """A running server, stopped on leaving. `persistent`: on a LevelDB in `folder`. Raises `Unavailable`."""
    packages = await asyncio.to_thread(node_folder, "y-websocket", VERSIONS)
    port = free_port()
    command = [str(NODE), str(_SCRIPT), str(packages), str(port)]
    name = "y-websocket"
    if persistent:
        name = "y-websocket-leveldb"
        command.append(str(folder / f"{name}.db"))
    async with started(command, port=port, folder=folder, name=name) as server:
        yield server
