"""The server of y-websocket, in memory or on LevelDB, which it writes to behind what it has broadcast."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final

from benchmarks.harness.processes import Server
from benchmarks.peers.install import versions_of_node
from benchmarks.peers.node_server import node_server

__all__ = ["VERSIONS", "running", "versions"]

VERSIONS: Final = {"y-websocket": "2.1.0", "yjs": "13.6.33", "ws": "8.23.0", "y-leveldb": "0.2.0"}
_SCRIPT: Final = Path(__file__).with_suffix(".mjs")


def versions() -> dict[str, str]:
    """What is installed."""
    return versions_of_node("y-websocket", VERSIONS)


def running(folder: Path, *, persistent: bool = False) -> AbstractAsyncContextManager[Server]:
    """A running server, stopped on leaving. `persistent`: on a LevelDB in `folder`. Raises `Unavailable`."""
    storage = "leveldb" if persistent else None
    return node_server("y-websocket", VERSIONS, _SCRIPT, folder, storage=storage)
