"""The Yjs servers on Node, each started by a script of ours: `node SCRIPT PACKAGES PORT [DATABASE]`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.harness.processes import Server, free_port, started
from benchmarks.peers.install import NODE, node_folder

__all__ = ["node_server"]


@asynccontextmanager
async def node_server(
    peer: str, packages: Mapping[str, str], script: Path, folder: Path, *, storage: str | None = None
) -> AsyncIterator[Server]:
    """A running server, stopped on leaving. `packages`: see `node_folder`. `storage`: such as `sqlite`, with a database
    in `folder`; None: in memory. Raises `Unavailable`.
    """
    installed = await asyncio.to_thread(node_folder, peer, packages)
    port = free_port()
    command = [str(NODE), str(script), str(installed), str(port)]
    name = peer
    if storage is not None:
        name = f"{peer}-{storage}"
        command.append(str(folder / f"{name}.db"))
    async with started(command, port=port, folder=folder, name=name) as server:
        yield server
