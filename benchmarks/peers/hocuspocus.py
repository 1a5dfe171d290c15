"""Hocuspocus, in memory or with its SQLite extension, which stores a whole document two seconds after an edit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from benchmarks.harness.processes import Server, free_port, started
from benchmarks.peers.install import NODE, node_folder, versions_of_node

__all__ = ["VERSIONS", "running", "versions"]

VERSIONS: Final = {"@hocuspocus/server": "4.7.0", "@hocuspocus/extension-sqlite": "4.7.0", "yjs": "13.6.33"}
_SCRIPT: Final = Path(__file__).with_suffix(".mjs")


def versions() -> dict[str, str]:
    """What npm has installed. Raises `Unavailable`."""
    return versions_of_node(node_folder("hocuspocus", VERSIONS), *VERSIONS, "better-sqlite3")


@asynccontextmanager
async def running(folder: Path, *, persistent: bool = False) -> AsyncIterator[Server]:
    """A running server, stopped on leaving. `persistent`: on a SQLite file in `folder`. Raises `Unavailable`."""
    packages = await asyncio.to_thread(node_folder, "hocuspocus", VERSIONS)
    port = free_port()
    command = [str(NODE), str(_SCRIPT), str(packages), str(port)]
    name = "hocuspocus"
    if persistent:
        name = "hocuspocus-sqlite"
        command.append(str(folder / f"{name}.db"))
    async with started(command, port=port, folder=folder, name=name) as server:
        yield server
