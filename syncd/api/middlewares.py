"""What happens to every request: failures become problem documents, and strangers are turned away."""

from __future__ import annotations

from collections.abc import Collection

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from syncd.api.access import Access
from syncd.api.errors import problem_of, problem_of_http, problem_of_unexpected, report_unexpected
from syncd.api.request_keys import PRINCIPAL, route_of
from syncd.engine.principal import ANYONE
from syncd.errors import InvalidMessage, SyncdError

__all__ = ["access_middleware", "problem_middleware"]


@web.middleware
async def problem_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every failure into a problem document; only the unexpected is logged."""
    try:
        return await handler(request)
    except SyncdError as error:
        return problem_of(error)
    except web.HTTPException as refusal:
        return problem_of_http(refusal)
    except web.RequestPayloadError as broken:
        return problem_of(InvalidMessage(f"the body cannot be read: {broken}", code="invalid_body"))
    except ConnectionError:
        # The caller has gone; there is nobody to answer.
        raise
    except Exception:
        return problem_of_unexpected(report_unexpected(f"{request.method} {route_of(request)}"))


def access_middleware(access: Access, open_paths: Collection[str]) -> Middleware:
    """Hold every request to `access`, and note who asks; only those to `open_paths` need no token."""

    @web.middleware
    async def check_access(request: web.Request, handler: Handler) -> web.StreamResponse:
        access.check_host(request.headers.get("Host"))
        authorization = request.headers.get("Authorization")
        resource = request.match_info.route.resource
        if (request.path if resource is None else resource.canonical) not in open_paths:
            request[PRINCIPAL] = await access.by_header(authorization)
        else:
            # Some of these take the token in another way, and then say who it was.
            request[PRINCIPAL] = await access.known(authorization) or ANYONE
        return await handler(request)

    return check_access
