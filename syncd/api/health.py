"""Is it alive, is it ready, and what is this? Open to all: nothing here says anything of the data."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from aiohttp import web

from syncd import __version__
from syncd.api.codec import encode_json
from syncd.app import App
from syncd.errors import SyncdError
from syncd.store.protocol import Store

__all__ = ["HealthRoutes"]


_FRESH_S: Final = 1.0
"""How long the database's word counts. Probes are never refused, and strangers may send them: so it is asked as often
as one balancer would, and no more."""


class HealthRoutes:
    """What probes and curious people ask. `monotonic_s`: any clock that does not go back."""

    def __init__(self, *, store: Store, app: App, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._app = app
        self._monotonic_s = monotonic_s
        self._asking = asyncio.Lock()
        self._fresh_until_s = 0.0
        self._failure: SyncdError | None = None

    async def alive(self, request: web.Request) -> web.Response:
        """`GET /health/live`: the process answers."""
        return _json({"status": "alive"})

    async def ready(self, request: web.Request) -> web.Response:
        """`GET /health/ready`: the database answers too; a 503 problem otherwise."""
        async with self._asking:
            if self._monotonic_s() >= self._fresh_until_s:
                await self._ask()
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        return _json({"status": "ready", "schema": self._app.version})

    async def _ask(self) -> None:
        try:
            await self._store.check()
            self._failure = None
        except SyncdError as failure:
            self._failure = failure
        self._fresh_until_s = self._monotonic_s() + _FRESH_S

    async def about(self, request: web.Request) -> web.Response:
        """`GET /`: what this is, and where to go on."""
        return _json(
            {
                "syncd": __version__,
                "app": self._app.name,
                "push": "POST /sync/v1/push",
                "pull": "POST /sync/v1/pull",
                "live": "GET /sync/v1/live (WebSocket)",
                "stream": "GET /sync/v1/stream (Server-Sent Events)",
                "history": "GET /sync/v1/history, /sync/v1/explain, /sync/v1/undo",
                "quarantine": "GET /sync/v1/quarantine",
                "conflicts": "GET /sync/v1/conflicts",
                "members": "GET /sync/v1/members",
                "links": "GET /sync/v1/links",
                "accounts": "POST /auth/v1/register, /auth/v1/log-in, /auth/v1/refresh; GET /auth/v1/me",
                "health": ["GET /health/live", "GET /health/ready"],
            }
        )


def _json(value: object) -> web.Response:
    return web.Response(body=encode_json(value), content_type="application/json", headers={"Cache-Control": "no-store"})
