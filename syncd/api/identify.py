"""Who asks: told from a request before its handler sees it, and strangers are turned away."""

from __future__ import annotations

from collections.abc import Collection

from aiohttp import web

from syncd.api.access import Access
from syncd.api.request_keys import PRINCIPAL
from syncd.engine.principal import ANYONE

__all__ = ["Identifies"]


class Identifies:
    """Holds every request to `access`, and notes who asks; only those to `open_paths` need no token."""

    def __init__(self, access: Access, open_paths: Collection[str]) -> None:
        self._access = access
        self._open_paths = frozenset(open_paths)

    async def __call__(self, request: web.Request) -> None:
        """Raises `Unauthenticated` for nobody, `Forbidden` for another host than this."""
        access = self._access
        access.check_host(request.headers.get("Host"))
        authorization = request.headers.get("Authorization")
        resource = request.match_info.route.resource
        if (request.path if resource is None else resource.canonical) not in self._open_paths:
            request[PRINCIPAL] = await access.by_header(authorization)
        else:
            # Some of these take the token in another way, and then say who it was.
            request[PRINCIPAL] = await access.known(authorization) or ANYONE
