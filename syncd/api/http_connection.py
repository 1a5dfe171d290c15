"""One connection: what aiohttp makes of it, and what it leaves to us.

aiohttp waits for ever for a caller who asks and does not read, and logs a traceback for what is no fault of the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog
from aiohttp import web
from aiohttp.http_exceptions import BadStatusLine, InvalidHeader, InvalidURLError, LineTooLong

from syncd.api.errors import problem_of_malformed
from syncd.api.security_headers import add_security_headers

__all__ = ["HttpConnection"]

log = structlog.get_logger(__name__)

_REASONS: Final[Mapping[type[BaseException], str]] = {
    LineTooLong: "its URL, or one of its headers, is longer than 8190 bytes",
    InvalidHeader: "one of its headers cannot be read",
    InvalidURLError: "its URL cannot be read",
    BadStatusLine: "its first line cannot be read",
}
"""In the place of messages that quote whole lines."""


class HttpConnection(web.RequestHandler):
    """aiohttp's connection. Bytes that are not HTTP get a problem document; a caller that goes in the middle of a
    request gets nothing; one that takes nothing of an answer for `patience_s` is dropped.

    `on_lost`: called when the caller has gone, for a handler that only ever writes and would notice at the next write.
    """

    __slots__ = ("_patience_s", "_stalled", "on_lost")

    def __init__(self, *arguments: Any, patience_s: float, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.on_lost: Callable[[], None] | None = None
        self._patience_s = patience_s
        self._stalled: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """More waits than should: from now on the caller is watched."""
        super().pause_writing()
        if self.transport is not None:
            self._watch(self.transport)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._watch_no_more()

    def force_close(self) -> None:
        """Close once all is written, and not later than the caller's patience lasts."""
        transport = self.transport
        super().force_close()
        if transport is not None and transport.get_write_buffer_size():
            self._watch(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._watch_no_more()
        super().connection_lost(exc)
        on_lost, self.on_lost = self.on_lost, None
        if on_lost is not None:
            on_lost()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if isinstance(exc, ConnectionError):
            raise exc
        if status != 400:
            return super().handle_error(request, status, exc, message)
        # By its kind only: the message may quote what was sent, a token in a URL or a header among it.
        log.debug("malformed_http", reason=type(exc).__name__)
        response = problem_of_malformed(_reason(exc, message))
        # It belongs to no route, so that nothing else adds them.
        add_security_headers(response.headers, secure=False)
        return response

    def _watch(self, transport: asyncio.Transport) -> None:
        self._watch_no_more()
        self._stalled = self._loop.call_later(
            self._patience_s, self._look, transport, transport.get_write_buffer_size()
        )

    def _watch_no_more(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _look(self, transport: asyncio.Transport, waited: int) -> None:
        """Drop a caller who has taken nothing since; a slow one, on one bar of signal, may take as long as it takes."""
        waits = transport.get_write_buffer_size()
        if waits >= waited:
            transport.abort()
        elif waits:
            self._watch(transport)


def _reason(exc: BaseException | None, message: str | None) -> str:
    """Why it is not HTTP, without anything of what was sent."""
    known = next((reason for kind, reason in _REASONS.items() if isinstance(exc, kind)), None)
    # What follows the first line is the bytes at fault.
    return known or (message or "").strip().partition("\n")[0] or "it cannot be parsed"
