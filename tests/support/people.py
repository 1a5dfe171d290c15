"""People whose tokens are their names, for tests of what they may do rather than of who they are.

    async with served(path, app, accounts=People()) as server: ...     # Authorization: Bearer olga

A token is `NAME`, or `NAME+ROLE` for somebody with an account-wide role, or the text of a share link.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from syncd.engine.principal import Caller, Principal
from syncd.engine.share_links import LINK_PREFIX
from syncd.errors import Unauthenticated

__all__ = ["People"]


@dataclass
class People:
    """`suspended`: names; `expires_at_ms`: of each token, by name, None for never; `roles`: account-wide ones, by name,
    as the last token said.
    """

    suspended: set[str] = field(default_factory=set)
    expires_at_ms: dict[str, int] = field(default_factory=dict)
    roles: dict[str, frozenset[str]] = field(default_factory=dict)
    open_link: Callable[[str], Awaitable[Principal]] | None = None

    async def authenticate(self, token: str | None) -> Principal:
        """See `syncd.api.access.Authenticates`."""
        if token is None or token == "nobody":
            raise Unauthenticated("this is nobody's token")
        if token.startswith(LINK_PREFIX) and self.open_link is not None:
            return await self.open_link(token)
        name, *roles = token.split("+")
        self.roles[name] = frozenset(roles)
        return Principal(
            Caller.USER,
            name,
            frozenset(roles),
            expires_at_ms=self.expires_at_ms.get(name),
            suspended=name in self.suspended,
        )

    async def roles_of(self, user: str) -> frozenset[str]:
        """See `syncd.engine.share_links.RolesOf`."""
        return self.roles.get(user, frozenset())
