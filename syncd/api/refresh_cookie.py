"""The refresh token as a cookie, for web pages that have no safe place of their own to keep it in.

HttpOnly: no script reads it. SameSite=Strict: only requests of pages of this site bring it, and nothing needs it when
somebody follows a link to here. Its name, and what no neighbour can set: see `cookies`.

Whoever acts by the cookie says from which page (`Origin`), and the page is the server's own or on the list. That is
chosen over a token sent twice: there is nothing for a script to keep over a reload, and no cookie that a neighbouring
subdomain could set. Every browser sends `Origin` with a POST; who does not is no page, and sends the token in the body.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from syncd.api.client_address import ClientAddress
from syncd.api.cookies import HostCookie
from syncd.api.origins import Origins, is_own, origin_in
from syncd.auth.sessions import Tokens
from syncd.errors import Forbidden

__all__ = ["RefreshCookie"]


class RefreshCookie:
    """Reads, sets and takes it away. `origins`: of pages besides the server's own, by name; any (`*`) are none."""

    def __init__(self, origins: Origins, addresses: ClientAddress, now_ms: Callable[[], int]) -> None:
        self._origins = origins
        self._addresses = addresses
        self._now_ms = now_ms
        self._cookie = HostCookie("syncd_refresh", "/auth/v1", "Strict", addresses)

    def shown(self, request: web.Request) -> str | None:
        """The token that the cookie brings, None if there is none. Asks nothing of the page.

        Raises `InvalidMessage` if there are two.
        """
        return self._cookie.shown(request)

    def check_page(self, request: web.Request) -> None:
        """Raise `Forbidden` unless a page asks that may act by the cookie."""
        origin, host = origin_in(request.headers), request.headers.get("Host")
        if origin is not None and (self._origins.lists(origin) or self._is_own(origin, host, request)):
            return
        raise Forbidden(
            "by the cookie only pages of this server may ask, or listed ones",
            code="wrong_origin",
            hint="Ask from a page whose origin is in SYNCD_CORS_ORIGINS, or send the refresh token in the body.",
            field="Origin",
        )

    def keep(self, request: web.Request, response: web.StreamResponse, tokens: Tokens, refresh: str) -> None:
        """Have the browser keep `refresh` for as long as it works unused."""
        left_s = max(0, tokens.refresh_expires_at_ms - self._now_ms()) // 1000
        self._cookie.keep(request, response, refresh, left_s)

    def clear(self, request: web.Request, response: web.StreamResponse) -> None:
        """Have the browser forget it."""
        self._cookie.forget(request, response)

    def _is_own(self, origin: str, host: str | None, request: web.Request) -> bool:
        # A page of the same name over http may be anybody's who sits between.
        return is_own(origin, host) and (origin.startswith("https:") or not self._addresses.secure(request))
