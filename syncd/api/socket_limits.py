"""What one live socket is held to: a place among the open ones, frames a second, bytes of its user's day.

Who is at the other end may come out only with the hello, and may change with a later one.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager

from aiohttp import web

from syncd.api.rate_limits import RateLimits
from syncd.api.request_keys import PRINCIPAL, principal_of
from syncd.engine.principal import Principal
from syncd.errors import Exceeded, RateLimited

__all__ = ["SocketLimits"]


class SocketLimits(AbstractContextManager[None]):
    """Counts the socket of `request` as open for the length of the block. Entering raises `RateLimited`."""

    __slots__ = ("_frames", "_rates", "_request", "_slot")

    def __init__(self, rates: RateLimits, request: web.Request) -> None:
        self._rates = rates
        self._request = request
        self._slot = rates.open_socket(request)
        self._frames = rates.frames(principal_of(request))

    def __enter__(self) -> None:
        self._slot.__enter__()

    def __exit__(self, *_: object) -> None:
        self._slot.__exit__()

    async def admit(self, principal: Principal) -> None:
        """Count it as that of whoever it has turned out to be; raises `RateLimited` if there is no room."""
        await self._rates.take_as(self._request, principal)
        self._request[PRINCIPAL] = principal
        self._rates.move_socket(self._slot, self._request)
        frames = self._rates.frames(principal)
        # The same bucket as before: another hello does not fill it.
        self._frames = None if frames is None else self._frames or frames

    async def count(self, size_bytes: int) -> None:
        """Count a frame; raises `RateLimited` if they come too fast, or the user's bytes of the day are used up."""
        if self._frames is not None and not self._frames.take():
            rate = self._rates.table["frames"]
            raise RateLimited(f"more than {rate} frames", Exceeded(rate.count, math.ceil(rate.each_ms)))
        await self._rates.take_bytes(principal_of(self._request), size_bytes)
