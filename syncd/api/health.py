"""Is it alive, is it ready, and what is this? Open to all: nothing here says anything of the data."""

from __future__ import annotations

from aiohttp import web

from syncd import __version__
from syncd.api.codec import encode_json
from syncd.app import App
from syncd.store.protocol import Store

__all__ = ["HealthRoutes"]


class HealthRoutes:
    """What probes and curious people ask."""

    def __init__(self, *, store: Store, app: App) -> None:
        self._store = store
        self._app = app

    async def alive(self, request: web.Request) -> web.Response:
        """`GET /health/live`: the process answers."""
        return _json({"status": "alive"})

    async def ready(self, request: web.Request) -> web.Response:
        """`GET /health/ready`: the database answers too; a 503 problem otherwise."""
        await self._store.check()
        return _json({"status": "ready", "schema": self._app.version})

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
                "health": ["GET /health/live", "GET /health/ready"],
            }
        )


def _json(value: object) -> web.Response:
    return web.Response(body=encode_json(value), content_type="application/json", headers={"Cache-Control": "no-store"})
