"""Hocuspocus, in memory or with its SQLite extension, which stores a whole document two seconds after an edit."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final

from benchmarks.harness.processes import Server
from benchmarks.peers.install import versions_of_node
from benchmarks.peers.node_server import node_server

__all__ = ["VERSIONS", "running", "versions"]

VERSIONS: Final = {"@hocuspocus/server": "4.7.0", "@hocuspocus/extension-sqlite": "4.7.0", "yjs": "13.6.33"}
_SCRIPT: Final = Path(__file__).with_suffix(".mjs")


def versions() -> dict[str, str]:
    """What is installed."""
    return versions_of_node("hocuspocus", VERSIONS, "better-sqlite3")


def running(folder: Path, *, persistent: bool = False) -> AbstractAsyncContextManager[Server]:
    """A running server, stopped on leaving. `persistent`: on a SQLite file in `folder`. Raises `Unavailable`."""
    storage = "sqlite" if persistent else None
    return node_server("hocuspocus", VERSIONS, _SCRIPT, folder, storage=storage)
