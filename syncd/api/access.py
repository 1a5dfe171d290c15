"""Who may ask, until accounts exist: whoever has the shared token, or, without one, whoever is on this machine.

On loopback the danger is a web page in a browser on the same machine: its host name may be made to point here (DNS
rebinding), hence the check of `Host`; and it may open a WebSocket to anywhere, hence the check of `Origin`.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Collection
from functools import lru_cache
from urllib.parse import urlsplit

from syncd.errors import Forbidden, Unauthenticated

__all__ = ["Access", "is_loopback"]


class Access:
    """The rules of access of one server. `token`: the shared one, None for loopback only.

    `origins`: of web pages that may open a WebSocket besides the server's own, such as `https://club.example`.
    """

    def __init__(self, token: str | None, origins: Collection[str] = ()) -> None:
        self._token = None if token is None else _bytes(token)
        self._origins = frozenset(origin.rstrip("/").lower() for origin in origins)

    @property
    def needs_token(self) -> bool:
        """Whether callers must show a token."""
        return self._token is not None

    @property
    def mode(self) -> str:
        """For people, in the start banner."""
        return "one shared token" if self.needs_token else "loopback only, no token"

    def check_host(self, host: str | None) -> None:
        """Raise `Forbidden` if there is no token and `host`, the header, does not name this machine."""
        if not self.needs_token and not is_loopback(_hostname(host or "")):
            raise Forbidden(
                f"this server has no token and answers only to loopback names, not to {(host or '')[:80]!r}",
                code="wrong_host",
                hint="Use http://127.0.0.1 or http://localhost, or set SYNCD_TOKEN to serve other names.",
                field="Host",
            )

    def check_header(self, authorization: str | None) -> None:
        """Raise `Unauthenticated` unless `authorization`, the header, carries the token."""
        scheme, _, token = (authorization or "").partition(" ")
        self.check_token(token.strip() if scheme.lower() == "bearer" else None)

    def check_token(self, token: str | None) -> None:
        """Raise `Unauthenticated` unless `token` is the shared one, or none is needed."""
        if self._token is None:
            return
        if token is None:
            raise Unauthenticated("this server asks for a token")
        # In constant time, so that the answer's delay does not spell the token letter by letter.
        if not hmac.compare_digest(_bytes(token), self._token):
            raise Unauthenticated("this is not the server's token")

    def check_origin(self, origin: str | None, host: str | None) -> None:
        """Raise `Forbidden` if a web page of another site asks; `None`: not a web page."""
        if origin is None:
            return
        given = origin.rstrip("/").lower()
        if given in self._origins or _authority(given) == (host or "").lower():
            return
        raise Forbidden(
            f"pages of {origin[:80]!r} may not open a socket here",
            code="wrong_origin",
            hint="Add the page's origin to SYNCD_WEBSOCKET_ORIGINS.",
            field="Origin",
        )


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether a host name or address names this machine, and no other can make it point elsewhere."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _bytes(token: str) -> bytes:
    return token.encode("utf-8", "surrogatepass")


def _hostname(authority: str) -> str:
    """The host of `host:port`."""
    if authority.startswith("["):
        return authority.partition("]")[0] + "]"
    return authority.partition(":")[0]


def _authority(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc or None
    except ValueError:
        return None
