"""The TCP side: the port, how long a connection may keep silent, and an answer to bytes that are not HTTP.

The idle time is counted from the start of a connection and from each answer, and only a complete head of a request ends
it: it bounds silent connections, slow heads and idle keep-alive alike. As long may a caller take nothing of an answer.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from syncd.api.http_connection import HttpConnection
from syncd.errors import SettingsError

__all__ = ["listening"]

_LINGER_S = 2.0
_BACKLOG = 1024


@asynccontextmanager
async def listening(
    application: web.Application, *, host: str, port: int, idle_timeout_s: float, shutdown_timeout_s: float
) -> AsyncIterator[str]:
    """Serve `application` for the length of the block; yields its base URL. Raises `SettingsError` if it cannot."""
    # A caller that goes away does not cancel its handler: what it pushed is committed and published all the same.
    runner = web.AppRunner(
        application, access_log=None, shutdown_timeout=shutdown_timeout_s, handler_cancellation=False
    )
    await runner.setup()
    server: asyncio.Server | None = None
    try:
        loop = asyncio.get_running_loop()
        manager = runner.server
        assert manager is not None

        def connect() -> asyncio.Protocol:
            return HttpConnection(
                manager,
                patience_s=idle_timeout_s,
                loop=loop,
                access_log=None,  # documented as how to switch it off
                auto_decompress=False,
                keepalive_timeout=idle_timeout_s,
                lingering_time=_LINGER_S,
            )

        try:
            server = await loop.create_server(connect, host, port, backlog=_BACKLOG)
        except OSError as failure:
            raise SettingsError(
                f"cannot listen on {host} port {port}: {failure.strerror or failure}",
                hint="Another program may be using the port; choose one with --port, or --port 0 for any free one.",
                code="cannot_listen",
            ) from failure
        yield _url(server.sockets[0])
    finally:
        if server is not None:
            server.close()
        await runner.cleanup()


def _url(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
