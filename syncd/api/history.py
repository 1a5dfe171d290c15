"""Questions about the past over HTTP: what happened to a resource, why it says so, and what would take it back."""

from __future__ import annotations

from aiohttp import web

from syncd.api.envelope import read_query
from syncd.api.formats import JSON, answer_format
from syncd.api.messages import ExplainQuery, HistoryQuery, UndoQuery
from syncd.api.request_keys import principal_of
from syncd.engine.history import History
from syncd.engine.sight import SightOf
from syncd.errors import InvalidMessage

__all__ = ["HistoryRoutes"]


class HistoryRoutes:
    """Three requests that change nothing. `sight`: what whoever asks may see."""

    def __init__(self, *, history: History, sight: SightOf) -> None:
        self._history = history
        self._sight = sight

    async def history(self, request: web.Request) -> web.Response:
        """`GET /sync/v1/history`: every change of a resource, oldest first, in pages."""
        query = read_query(HistoryQuery, request.query.items())
        return answer(
            request,
            await self._history.page(
                query.type,
                query.id,
                field=query.field,
                after=query.after,
                limit=query.limit,
                sight=self._sight(principal_of(request)),
            ),
        )

    async def explain(self, request: web.Request) -> web.Response:
        """`GET /sync/v1/explain`: why each value stands, and what became of the others."""
        query = read_query(ExplainQuery, request.query.items())
        sight = self._sight(principal_of(request))
        return answer(request, await self._history.explain(query.type, query.id, field=query.field, sight=sight))

    async def undo(self, request: web.Request) -> web.Response:
        """`GET /sync/v1/undo`: the change to push for an earlier value."""
        query = read_query(UndoQuery, request.query.items())
        if (query.version is None) == (query.change is None):
            raise InvalidMessage(
                "say either to which version to go back, or which change to take back", field="version"
            )
        replica, _, n = (query.change or "").rpartition(".")
        return answer(
            request,
            await self._history.undo(
                query.type,
                query.id,
                version=query.version,
                change=(replica, int(n)) if query.change is not None else None,
                field=query.field,
                sight=self._sight(principal_of(request)),
            ),
        )


def answer(request: web.Request, value: object) -> web.Response:
    """In the format that the request likes best."""
    answer_in = answer_format(request.headers.getall("Accept", ()), JSON)
    return web.Response(
        body=answer_in.encode(value),
        content_type=answer_in.content_type,
        headers={"Cache-Control": "no-store", "Vary": "Accept"},
    )
