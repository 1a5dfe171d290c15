"""What happens to every request: failures become problem documents, and strangers are turned away."""

from __future__ import annotations

from collections.abc import Collection

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from syncd.api.access import Access
from syncd.api.errors import problem_of, problem_of_http, problem_of_unexpected, report_unexpected
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
        return problem_of_unexpected(report_unexpected(f"{request.method} {request.path}"))


def access_middleware(access: Access, open_paths: Collection[str]) -> Middleware:
    """Hold every request to `access`; only those to `open_paths` need no token."""

    @web.middleware
    async def check_access(request: web.Request, handler: Handler) -> web.StreamResponse:
        access.check_host(request.headers.get("Host"))
        if request.path not in open_paths:
            access.check_header(request.headers.get("Authorization"))
        return await handler(request)

    return check_access
