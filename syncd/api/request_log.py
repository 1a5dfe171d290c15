"""One line of log for each request: its route as it was declared, never the URL that was asked for.

A URL may hold a token, a name or a search; a template such as `/sync/v1/conflicts/{id}` does not.
"""

from __future__ import annotations

import logging
import time
from typing import Final, Literal

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from syncd.api.request_ids import HEADER, request_id_of
from syncd.api.request_keys import REQUEST_ID, principal_of, route_of
from syncd.request_context import request_context

__all__ = ["Level", "RequestLog"]

Level = Literal["debug", "info"]

log = structlog.get_logger(__name__)
_logger = logging.getLogger(__name__)
_KNOWN_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestLog:
    """Names each request, and logs it at `level` once it is answered; a socket or stream when it ends."""

    def __init__(self, level: Level = "debug") -> None:
        self._level = logging.DEBUG if level == "debug" else logging.INFO

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The outermost one, so that nothing happens to a request without its id."""
        request_id = request_id_of(request.headers.get(HEADER))
        request[REQUEST_ID] = request_id
        with request_context(request_id):
            if not _logger.isEnabledFor(self._level):
                return await handler(request)
            started = time.perf_counter()
            status: int | None = None
            try:
                response = await handler(request)
                status = response.status
                return response
            finally:
                self._write(request, status, time.perf_counter() - started)

    def _write(self, request: web.Request, status: int | None, took_s: float) -> None:
        principal = principal_of(request)
        log.log(
            self._level,
            "request",
            # What is not ours is the caller's to choose.
            method=request.method if request.method in _KNOWN_METHODS else "other",
            route=route_of(request),
            # None: the caller had gone before there was an answer.
            status=status,
            ms=round(took_s * 1000, 1),
            caller=principal.caller.value,
            user=principal.user or None,
        )
