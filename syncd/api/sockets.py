"""The open sockets and streams of one server, so that a shutdown can end them all at once: a restart takes a second."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, suppress
from typing import Final

from aiohttp import web

from syncd.api.errors import CloseCode
from syncd.errors import ShuttingDown

__all__ = ["Sockets", "close_socket"]

_CLOSE_S: Final = 0.5

Close = Callable[[], Awaitable[None]]


class _Held(AbstractContextManager[None]):
    """Thousands are held open: a generator of each would be three times as large."""

    __slots__ = ("_close", "_open")

    def __init__(self, among: dict[object, Close], close: Close) -> None:
        self._open = among
        self._close = close

    def __enter__(self) -> None:
        self._open[self] = self._close

    def __exit__(self, *_: object) -> None:
        del self._open[self]


class Sockets:
    """Every socket and stream from before its handshake until its handler has ended."""

    def __init__(self) -> None:
        self._open: dict[object, Close] = {}
        self._closing = False

    def __len__(self) -> int:
        return len(self._open)

    def holding(self, close: Close) -> AbstractContextManager[None]:
        """Count one as open for the length of the block; `close` tells its peer that the server goes away.

        Raises `ShuttingDown` once closing has begun.
        """
        if self._closing:
            raise ShuttingDown("the server is closing")
        return _Held(self._open, close)

    async def close_all(self) -> None:
        """Tell every peer that the server goes away, and take no more."""
        self._closing = True
        await asyncio.gather(*(close() for close in tuple(self._open.values())))


async def close_socket(socket: web.WebSocketResponse[bool], request: web.Request, code: CloseCode, why: str) -> None:
    """Close with `code`; a peer that does not even read that is cut off after half a second."""
    if not socket.prepared:
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(_CLOSE_S):
            await socket.close(code=code, message=why.encode()[:123])
            return
    if request.transport is not None:
        request.transport.abort()
