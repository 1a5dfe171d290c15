"""How failures look from outside: HTTP status codes, problem documents (RFC 9457) and WebSocket close codes.

The only file that knows any of these numbers. Codes are given once and never reused.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from enum import IntEnum
from typing import Final

import structlog
from aiohttp import web

from syncd import errors
from syncd.api.request_keys import route_of
from syncd.errors import InvalidMessage, SyncdError
from syncd.request_context import current_request_id

__all__ = ["CloseCode", "problem_for", "problem_of", "problem_of_http", "problem_of_unexpected", "report_unexpected"]

log = structlog.get_logger(__name__)


class CloseCode(IntEnum):
    """Why the server closed a socket (RFC 6455, section 7.4; 4000 and up are ours)."""

    GOING_AWAY = 1001
    """The server is shutting down; connect again in a moment."""
    INVALID_TEXT = 1007
    """A frame was not UTF-8."""
    TOO_MANY_BAD_FRAMES = 1008
    INTERNAL_ERROR = 1011
    UNAUTHENTICATED = 4401
    FORBIDDEN = 4403
    """Known, and not let in: the account is suspended."""
    HELLO_TIMEOUT = 4408
    TOO_MANY = 4429
    """Frames faster than the limit, or more sockets than may be open."""


_STATUS: Final[Mapping[type[SyncdError], int]] = {
    errors.InvalidMessage: 400,
    errors.UnsupportedMedia: 415,
    errors.TooLarge: 413,
    errors.TooSlow: 408,
    errors.NotFound: 404,
    errors.RateLimited: 429,
    errors.RequestError: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.IssuerUnavailable: 503,
    errors.AccessError: 403,
    errors.StoreUnavailable: 503,
    errors.StoreError: 500,
    errors.DocumentsUnavailable: 503,
    errors.DocumentError: 500,
    errors.AppError: 500,
    errors.ShuttingDown: 503,
    errors.SyncdError: 500,
}
_STATUS_OF_CODE: Final = {"wrong_host": 421, "websocket_required": 426}

_TITLES: Final = {
    400: "The request cannot be understood",
    401: "A token is needed",
    403: "This is not allowed",
    404: "There is nothing here",
    405: "This method is not allowed here",
    408: "The request took too long to arrive",
    413: "The request is too large",
    415: "This content is not read here",
    417: "This expectation cannot be met",
    421: "The request is addressed to another host",
    426: "This is a WebSocket",
    429: "Too many requests",
    500: "The server has failed",
    503: "Not now",
}
_OTHER_TITLE: Final = "The request was refused"

_HTTP: Final[Mapping[int, tuple[str, str]]] = {
    404: ("not_found", "GET / lists what there is."),
    405: ("method_not_allowed", "The 'Allow' header says which methods there are; GET / lists the URLs."),
    413: ("too_large", errors.TooLarge.default_hint),
    417: ("expectation_failed", "Send the request without the header 'Expect'."),
}
"""Code and hint for what aiohttp itself refuses."""
_RETRY_AFTER_S: Final = 1


def problem_of(error: SyncdError) -> web.Response:
    """The problem document of a failure that has a name."""
    status = _STATUS_OF_CODE.get(error.problem_code) or next(
        _STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS
    )
    headers = {}
    if status in (429, 503):
        headers["Retry-After"] = str(error.retry_after_s or _RETRY_AFTER_S)
    elif status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    elif status == 426:
        headers["Upgrade"] = "websocket"
    return _problem(status, error.problem_code, error.message, error.hint, field=error.field, headers=headers)


def problem_of_http(refusal: web.HTTPException) -> web.Response:
    """The problem document of what aiohttp refused: no such route, no such method, and the like."""
    code, hint = _HTTP.get(refusal.status, ("refused", "docs/protocol.md shows every request."))
    headers = {"Allow": refusal.headers["Allow"]} if "Allow" in refusal.headers else {}
    return _problem(refusal.status, code, f"{refusal.reason}.", hint, headers=headers)


def problem_of_malformed(reason: str) -> web.Response:
    """The problem document for bytes that are not HTTP."""
    response = _problem(400, "malformed_http", f"This is not HTTP: {reason}", "Use an HTTP library; see RFC 9112.")
    response.force_close()
    return response


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


def problem_of_unexpected(incident: str) -> web.Response:
    """The problem document of a fault of the server; the log has the rest under the same `incident`."""
    return _problem(
        500,
        SyncdError.code,
        "The server failed on this request.",
        f"Whoever runs the server finds the cause in its log under the incident {incident}.",
        incident=incident,
    )


def report_unexpected(where: str) -> str:
    """Log the exception at hand, once, with its traceback; the incident's number, to be told to the caller."""
    incident = secrets.token_hex(4)
    log.exception("unexpected_failure", incident=incident, where=where)
    return incident


def _problem(
    status: int,
    code: str,
    detail: str,
    hint: str,
    *,
    headers: Mapping[str, str] | None = None,
    **more: str | None,
) -> web.Response:
    document = {
        "type": f"urn:syncd:problem:{code}",
        "title": _TITLES.get(status, _OTHER_TITLE),
        "status": status,
        "detail": detail,
        "code": code,
        "hint": hint,
    } | {name: value for name, value in more.items() if value is not None}
    request_id = current_request_id()
    if request_id is not None:
        document["request_id"] = request_id
    return web.Response(
        status=status,
        # ASCII: a detail may quote what was sent, and not every text has a UTF-8 form.
        body=json.dumps(document).encode("ascii"),
        content_type="application/problem+json",
        headers=headers,
    )
