"""The ceiling of idle connections: aiohttp holds open sockets that nothing is said on.

python -m benchmarks.ceilings.bare_socket --port 9000
"""

from __future__ import annotations

import argparse

from aiohttp import web

from benchmarks.ceilings.serving import serve
from benchmarks.harness.socket_driver import Entrance

__all__ = ["application", "entrance"]


def entrance(port: int) -> Entrance:
    """An open socket."""
    return Entrance(f"ws://127.0.0.1:{port}/")


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
