"""How a ceiling listens: aiohttp on uvloop, as syncd, on this machine alone."""

from __future__ import annotations

from typing import Final

import uvloop
from aiohttp import web

__all__ = ["serve"]

_BACKLOG: Final = 4096


def serve(application: web.Application, port: int) -> None:
    """Listen until the process is ended."""
    # None of them keeps anything that an orderly end would save: a signal ends the process at once.
    web.run_app(
        application,
        host="127.0.0.1",
        port=port,
        print=None,
        access_log=None,
        backlog=_BACKLOG,
        handle_signals=False,
        loop=uvloop.new_event_loop(),
    )
