"""What happens to every request: failures become problem documents, and strangers are turned away."""

from __future__ import annotations

from collections.abc import Collection

from aiohttp import web

from syncd.api.access import Access
from syncd.api.errors import problem_of, problem_of_http, problem_of_unexpected, report_unexpected
from syncd.api.request_keys import PRINCIPAL, route_of
from syncd.engine.principal import ANYONE
from syncd.errors import InvalidMessage, SyncdError

__all__ = ["Identifies", "problem_for"]


def problem_for(request: web.Request, failure: Exception) -> web.Response:
    """The problem document that answers a failure, which is being handled; only the unexpected is logged.

    Raises it again if the caller has gone: there is nobody to answer.
    """
    if isinstance(failure, SyncdError):
        return problem_of(failure)
    if isinstance(failure, web.HTTPException):
        return problem_of_http(failure)
    if isinstance(failure, web.RequestPayloadError):
        return problem_of(InvalidMessage(f"the body cannot be read: {failure}", code="invalid_body"))
    if isinstance(failure, ConnectionError):
        raise failure
    return problem_of_unexpected(report_unexpected(f"{request.method} {route_of(request)}"))


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
