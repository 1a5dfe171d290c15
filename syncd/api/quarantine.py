"""The quarantine over HTTP: what waits in it, settled anew or dismissed."""

from __future__ import annotations

from dataclasses import asdict

from aiohttp import web

from syncd.api.body import BodyReader
from syncd.api.envelope import read_message, read_query
from syncd.api.history import answer
from syncd.api.messages import DismissRequest, QuarantineQuery, ReplayRequest
from syncd.api.request_keys import principal_of
from syncd.engine.quarantine import Quarantine

__all__ = ["QuarantineRoutes"]


class QuarantineRoutes:
    """Three requests: list, replay, dismiss."""

    def __init__(self, *, quarantine: Quarantine, bodies: BodyReader) -> None:
        self._quarantine = quarantine
        self._bodies = bodies

    async def waiting(self, request: web.Request) -> web.Response:
        """`GET /sync/v1/quarantine`: what waits, oldest first, in pages, and how much there is of each replica."""
        query = read_query(QuarantineQuery, request.query.items())
        waiting = await self._quarantine.waiting(
            replica=query.replica,
            scope=query.scope,
            type=query.type,
            after=query.after,
            limit=query.limit,
            principal=principal_of(request),
        )
        return answer(
            request,
            {
                "changes": [entry.as_waiting() for entry in waiting.entries],
                "next": waiting.next,
                "totals": [asdict(total) for total in waiting.totals],
            },
        )

    async def replay(self, request: web.Request) -> web.Response:
        """`POST /sync/v1/quarantine/replay`: an outcome for each."""
        value, _ = await self._bodies.read(request)
        message = read_message(ReplayRequest, value)
        items = [(item.replica, item.n) for item in message.items]
        results = await self._quarantine.replay(items, principal_of(request))
        return answer(request, {"results": results})

    async def dismiss(self, request: web.Request) -> web.Response:
        """`POST /sync/v1/quarantine/dismiss`: they stay in the history."""
        value, _ = await self._bodies.read(request)
        message = read_message(DismissRequest, value)
        items = [(item.replica, item.n) for item in message.items]
        results = await self._quarantine.dismiss(items, principal_of(request))
        return answer(request, {"results": results})
