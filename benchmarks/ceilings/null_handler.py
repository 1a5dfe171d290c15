"""An aiohttp handler that reads the body and answers, and does nothing with it. `--port …`"""

from __future__ import annotations

import argparse
from typing import Final

from aiohttp import web

from benchmarks.ceilings.serving import serve

__all__ = ["application"]

_BODY_BYTES: Final = 64 * 1024 * 1024


def application() -> web.Application:
    """`POST /push`: answered with how many bytes came."""
    made = web.Application(client_max_size=_BODY_BYTES)
    made.router.add_post("/push", _push)
    return made


async def _push(request: web.Request) -> web.Response:
    return web.json_response({"bytes": len(await request.read())})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    serve(application(), parser.parse_args().port)
