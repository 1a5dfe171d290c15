"""Cross-origin requests (Fetch standard, section 3.3): which pages may read answers, and which may ask at all.

A check of our own: the library for it (aiohttp-cors) knows only the routes that were registered with it, so that
the page which caused a 404 or a 405 cannot read it; it sends no `Vary`; it takes `null` for an origin like any other;
and for `*` it repeats whatever origin asks.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from aiohttp import web
from multidict import CIMultiDict, istr

from syncd.api.origins import Origins, is_own, origin_in
from syncd.errors import Forbidden

__all__ = ["EXPOSED", "Cors", "vary"]

EXPOSED: Final = (
    "ETag, Location, Retry-After, X-Request-ID, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, "
    "X-RateLimit-Retry-After"
)
"""What scripts of other pages may read besides the few headers that they always may."""
_METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE"
_REQUEST_HEADERS: Final = (
    "Accept, Authorization, Content-Encoding, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, "
    "X-Client-Version, X-CSRF-Token, X-Platform, X-Request-ID"
)
_MAX_AGE_S: Final = 7200
"""How long a browser remembers a preflight; Chromium takes no longer one."""
_VARY: Final = istr("Vary")
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Cors:
    """Holds every request with an `Origin` to one list."""

    def __init__(self, origins: Origins) -> None:
        self._origins = origins

    def preflight(self, request: web.Request) -> web.Response | None:
        """The answer to a preflight, None if `request` is none. No token comes with it, and none is needed.

        Raises `Forbidden` for a page that may not ask.
        """
        origin = origin_in(request.headers)
        if request.method != "OPTIONS" or origin is None or "Access-Control-Request-Method" not in request.headers:
            return None
        self._check(origin, request)
        response = web.Response(status=204)
        response.headers["Access-Control-Allow-Methods"] = _METHODS
        response.headers["Access-Control-Allow-Headers"] = _REQUEST_HEADERS
        response.headers["Access-Control-Max-Age"] = str(_MAX_AGE_S)
        vary(response.headers, "Access-Control-Request-Method, Access-Control-Request-Headers")
        return response

    def check(self, request: web.Request) -> None:
        """Raise `Forbidden` for a page of another site that would change something.

        Reading needs no refusal: without the headers below, no browser shows them the answer.
        """
        origin = origin_in(request.headers)
        if origin is not None and request.method not in _SAFE:
            self._check(origin, request)

    def add_headers(self, request: web.BaseRequest, headers: CIMultiDict[str]) -> None:
        """Tell the browser who may read an answer with these headers."""
        vary(headers, "Origin")
        origin = origin_in(request.headers)
        if origin is None or "Access-Control-Allow-Origin" in headers:
            return
        if self._origins.lists(origin):
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Allow-Credentials"] = "true"
        elif self._origins.allows(origin):
            # Anybody, and therefore nobody's cookies.
            headers["Access-Control-Allow-Origin"] = "*"
        else:
            return
        headers["Access-Control-Expose-Headers"] = EXPOSED

    def _check(self, origin: str, request: web.Request) -> None:
        if self._origins.allows(origin) or is_own(origin, request.headers.get("Host")):
            return
        raise Forbidden(
            f"pages of {origin[:80]!r} may not ask here",
            code="wrong_origin",
            hint="Add the page's origin to SYNCD_CORS_ORIGINS.",
            field="Origin",
        )


def vary(headers: CIMultiDict[str], names: str) -> None:
    """Add to `Vary` what is not in it yet."""
    headers[_VARY] = _joined(headers.get(_VARY), names)


@lru_cache(maxsize=256)
def _joined(there: str | None, names: str) -> str:
    if there is None:
        return names
    known = {name.strip().lower() for name in there.split(",")}
    return ", ".join([there, *(name for name in names.split(", ") if name.lower() not in known)])
