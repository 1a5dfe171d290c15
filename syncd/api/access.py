"""Who asks: somebody with an account, whoever has the shared token, or, without either, whoever is on this machine.

On loopback the danger is a web page in a browser on the same machine: its host name may be made to point here (DNS
rebinding), hence the check of `Host`; and it may open a WebSocket to anywhere, hence the check of `Origin`.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Collection
from functools import lru_cache
from typing import Protocol

from syncd.api.origins import Origins, is_own
from syncd.engine.principal import OPERATOR, Principal
from syncd.errors import Forbidden, Unauthenticated

__all__ = ["Access", "Authenticates", "is_loopback"]


class Authenticates(Protocol):
    """Knows people by what they carry."""

    async def authenticate(self, token: str | None) -> Principal:
        """Whose token this is; raises `Unauthenticated` if it is nobody's."""
        ...


class Access:
    """The rules of access of one server. `token`: the shared one, None for loopback only; raises `ValueError` for an
    empty one, which a header without a token would show.

    `origins`: of web pages that may open a WebSocket besides the server's own, such as `https://club.example`.
    `accounts`: knows people; without it, whoever may ask at all may do everything.
    """

    def __init__(self, token: str | None, origins: Collection[str] = (), accounts: Authenticates | None = None) -> None:
        if token is not None and not token.strip():
            raise ValueError("an empty token is everybody's")
        self._token = None if token is None else _bytes(token)
        self._accounts = accounts
        self._origins = Origins(origins)

    @property
    def needs_token(self) -> bool:
        """Whether callers must show a token."""
        return self._token is not None or self._accounts is not None

    @property
    def mode(self) -> str:
        """For people, in the start banner."""
        if self._accounts is not None:
            return "accounts"
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

    async def by_header(self, authorization: str | None) -> Principal:
        """Who asks with `authorization`, the header; raises `Unauthenticated` as `by_token` does."""
        scheme, _, token = (authorization or "").partition(" ")
        return await self.by_token(token.strip() if scheme.lower() == "bearer" else None)

    async def known(self, authorization: str | None) -> Principal | None:
        """Who asks with `authorization`, the header, where none is needed; None if that cannot be told."""
        try:
            return await self.by_header(authorization)
        except Unauthenticated:
            return None

    async def by_token(self, token: str | None) -> Principal:
        """Who asks with this token; raises `Unauthenticated` if it is nobody's, or missing where one is needed."""
        if not self.needs_token:
            return OPERATOR
        if token is None:
            raise Unauthenticated("this server asks for a token")
        # In constant time, so that the answer's delay does not spell the token letter by letter.
        if self._token is not None and hmac.compare_digest(_bytes(token), self._token):
            return OPERATOR
        if self._accounts is None:
            raise Unauthenticated("this is not the server's token")
        return await self._accounts.authenticate(token)

    def check_origin(self, origin: str | None, host: str | None) -> None:
        """Raise `Forbidden` if a web page of another site asks; `None`: not a web page."""
        if origin is None or self._origins.allows(origin) or is_own(origin, host):
            return
        raise Forbidden(
            f"pages of {origin[:80]!r} may not open a socket here",
            code="wrong_origin",
            hint="Add the page's origin to SYNCD_CORS_ORIGINS, or to SYNCD_WEBSOCKET_ORIGINS for sockets alone.",
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
