"""One line of log for each request: its route as it was declared, never the URL that was asked for.

A URL may hold a token, a name or a search; a template such as `/sync/v1/conflicts/{id}` does not.
"""

from __future__ import annotations

import logging
from typing import Final, Literal

import structlog
from aiohttp import web

from syncd.api.request_keys import principal_of, route_of

__all__ = ["Level", "RequestLog"]

Level = Literal["debug", "info"]

log = structlog.get_logger(__name__)
_logger = logging.getLogger(__name__)
_KNOWN_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestLog:
    """Logs each request at `level` once it is answered; a socket or stream when it ends."""

    def __init__(self, level: Level = "debug") -> None:
        self._level = logging.DEBUG if level == "debug" else logging.INFO

    @property
    def writes(self) -> bool:
        """Whether anybody reads it."""
        return _logger.isEnabledFor(self._level)

    def write(self, request: web.Request, status: int | None, took_s: float) -> None:
        """The line of a request. `status`: None if the caller had gone before there was an answer."""
        principal = principal_of(request)
        log.log(
            self._level,
            "request",
            # What is not ours is the caller's to choose.
            method=request.method if request.method in _KNOWN_METHODS else "other",
            route=route_of(request),
            status=status,
            ms=round(took_s * 1000, 1),
            caller=principal.caller.value,
            user=principal.user or None,
        )
