"""Cookies that no other host can have set: the refresh token of a web page, and a sign-in that is under way.

Over https their names begin with `__Host-`: browsers take such a cookie only from the very host that it goes back to,
and only with `Secure` and `Path=/` (RFC 6265bis, section 4.1.3.2), so that a neighbouring subdomain cannot plant one.
Over http, which is for a server on this machine, they would not take it, and the name stands without.
"""

from __future__ import annotations

from typing import Final, Literal

from aiohttp import web

from syncd.api.access import is_loopback
from syncd.api.client_address import ClientAddress
from syncd.errors import InvalidMessage

__all__ = ["HostCookie"]

_PREFIX: Final = "__Host-"


class HostCookie:
    """One of them, which no script reads. `path`: with which requests it goes along over http."""

    def __init__(self, name: str, path: str, same_site: Literal["Strict", "Lax"], addresses: ClientAddress) -> None:
        self._name = name
        self._path = path
        self._same_site = same_site
        self._addresses = addresses

    def shown(self, request: web.Request) -> str | None:
        """What the browser brings, None if it brings none; raises `InvalidMessage` if it is there twice.

        Of two, one was set by somebody else, and nothing says which.
        """
        name = self._name_for(request)
        pairs = [pair.partition("=") for header in request.headers.getall("Cookie", ()) for pair in header.split(";")]
        values = [value.strip().strip('"') for key, _, value in pairs if key.strip() == name]
        if len(values) > 1:
            raise InvalidMessage(
                f"Cookie: {name} is there twice",
                hint="Delete the cookies of this site, and log in again.",
                field="Cookie",
            )
        return (values[0] or None) if values else None

    def keep(self, request: web.Request, response: web.StreamResponse, value: str, max_age_s: int) -> None:
        """Have the browser keep `value` for so long."""
        secure = self._must_be_secure(request)
        response.set_cookie(
            self._name_for(request),
            value,
            max_age=max_age_s,
            path="/" if secure else self._path,
            secure=secure,
            httponly=True,
            samesite=self._same_site,
        )

    def forget(self, request: web.Request, response: web.StreamResponse) -> None:
        """Have the browser forget it."""
        secure = self._must_be_secure(request)
        response.del_cookie(
            self._name_for(request),
            path="/" if secure else self._path,
            secure=secure,
            httponly=True,
            samesite=self._same_site,
        )

    def _name_for(self, request: web.Request) -> str:
        return _PREFIX + self._name if self._must_be_secure(request) else self._name

    def _must_be_secure(self, request: web.Request) -> bool:
        """Whether it goes over https only: always, but for a server on this machine that is asked over http."""
        host = request.headers.get("Host", "")
        name = host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
        return self._addresses.secure(request) or not is_loopback(name)
