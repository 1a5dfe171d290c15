"""An aiohttp handler that reads the body and answers, and does nothing with it. `--port …`"""

from __future__ import annotations

import argparse
import asyncio
from typing import Final

import uvloop
from aiohttp import web

__all__ = ["main", "serve"]

_BODY_BYTES: Final = 64 * 1024 * 1024


async def serve(port: int) -> None:
    """Listen until the process is ended."""

    async def push(request: web.Request) -> web.Response:
        return web.json_response({"bytes": len(await request.read())})

    app = web.Application(client_max_size=_BODY_BYTES)
    app.router.add_post("/push", push)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


def main() -> None:
    """As a process of its own, on uvloop as syncd."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
