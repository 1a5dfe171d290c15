"""The ceiling of idle connections: aiohttp holds open sockets that nothing is said on.

python -m benchmarks.ceilings.bare_socket --port 9000
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from aiohttp import web

from benchmarks.ceilings.serving import serve
from benchmarks.harness.processes import Server, free_port, started
from benchmarks.harness.socket_driver import Entrance

__all__ = ["application", "entrance", "running"]

_ROOT: Final = Path(__file__).parents[2]


def entrance(port: int) -> Entrance:
    """An open socket."""
    return Entrance(f"ws://127.0.0.1:{port}/")


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Server]:
    """A running server, stopped on leaving."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.ceilings.bare_socket", "--port", str(port)]
    environment = {"PYTHONPATH": str(_ROOT)}
    async with started(command, port=port, folder=folder, environment=environment, name="bare-socket") as server:
        yield server


def application() -> web.Application:
    """`GET /`: a socket."""
    made = web.Application()
    made.router.add_get("/", _hold)
    return made


async def _hold(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(compress=False)
    await socket.prepare(request)
    async for _ in socket:
        pass
    return socket


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    serve(application(), parser.parse_args().port)
