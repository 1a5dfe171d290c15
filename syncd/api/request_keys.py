"""What the edge finds out about a request, under keys that have a type: `request[PRINCIPAL]`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aiohttp import web

from syncd.engine.principal import ANYONE, Principal
from syncd.errors import Exceeded
from syncd.limiting.counters import Standing

__all__ = ["EXCEEDED", "PRINCIPAL", "REQUEST_ID", "STANDINGS", "principal_of", "route_of"]

REQUEST_ID: Final = web.RequestKey("request_id", str)
PRINCIPAL: Final = web.RequestKey("principal", Principal)
STANDINGS: Final = web.RequestKey("standings", Sequence[Standing])
"""How the buckets stand that the request was counted in."""
EXCEEDED: Final = web.RequestKey("exceeded", Exceeded)
"""The limit for which it was refused."""


def principal_of(request: web.BaseRequest) -> Principal:
    """Who asks; nobody, as long as that was not found out, and of a request that was refused before."""
    principal: Principal = request.get(PRINCIPAL, ANYONE)
    return principal


def route_of(request: web.Request) -> str:
    """The route as it was declared, "none" without one: a URL may hold a token, a name or a search."""
    resource = request.match_info.route.resource
    return "none" if resource is None else resource.canonical
