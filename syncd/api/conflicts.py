"""The conflict inbox over HTTP: list, look, settle (one or many), ask again."""

from __future__ import annotations

from aiohttp import web

from syncd.api.body import BodyReader
from syncd.api.envelope import read_message, read_query
from syncd.api.history import answer
from syncd.api.messages import ConflictQuery, SettleRequest
from syncd.api.request_keys import principal_of
from syncd.engine.conflict_inbox import ConflictInbox
from syncd.engine.inbox_entry import Settlement
from syncd.engine.sight import SightOf

__all__ = ["ConflictRoutes"]


class ConflictRoutes:
    """Four requests."""

    def __init__(self, *, inbox: ConflictInbox, bodies: BodyReader, sight: SightOf) -> None:
        self._inbox = inbox
        self._sight = sight
        self._bodies = bodies

    async def page(self, request: web.Request) -> web.Response:
        """`GET /sync/v1/conflicts`: by id, in pages; open ones unless the query says otherwise."""
        query = read_query(ConflictQuery, request.query.items())
        page = await self._inbox.page(
            scope=query.scope,
            status=None if query.status == "any" else query.status,
            type=query.type,
            id=query.id,
            after=query.after,
            limit=query.limit,
            sight=self._sight(principal_of(request)),
        )
        return answer(request, page)

    async def get(self, request: web.Request) -> web.Response:
        """`GET /sync/v1/conflicts/{id}`: 404 if there is none."""
        return answer(request, await self._inbox.get(request.match_info["id"], self._sight(principal_of(request))))

    async def settle(self, request: web.Request) -> web.Response:
        """`POST /sync/v1/conflicts/settle`: an outcome for each settlement."""
        value, _ = await self._bodies.read(request)
        message = read_message(SettleRequest, value)
        settlements = [Settlement(each.conflict, each.value, each.choice, each.version) for each in message.settlements]
        sight = self._sight(principal_of(request))
        return answer(request, {"results": await self._inbox.settle(settlements, sight)})

    async def reopen(self, request: web.Request) -> web.Response:
        """`POST /sync/v1/conflicts/{id}/reopen`: its outcome; 404 if there is none."""
        return answer(request, await self._inbox.reopen(request.match_info["id"], self._sight(principal_of(request))))
