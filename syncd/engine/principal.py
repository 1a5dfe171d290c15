"""Who asks: what the edge has found out about the caller, once, and everything behind it goes by.

Pure. A principal says who somebody is and how he came in; what he may do is `authorise`'s to say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

__all__ = ["ANYONE", "OPERATOR", "AsOfNow", "Caller", "Principal", "as_he_came"]


class Caller(StrEnum):
    """How somebody came in."""

    OPERATOR = "operator"
    """Whoever has the shared token, or is on this machine where there is none: may see and do everything."""
    USER = "user"
    """Somebody with an account here, or whose tokens this server trusts."""
    LINK = "link"
    """Whoever holds a share link: reads one scope, and has no name."""
    NOBODY = "nobody"
    """No credentials at all."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. Made anew when a token is renewed; equal ones have equal rights as long as nothing else changes.

    `user`: the account's id, "" if there is none. `roles`: what the account is in the whole app, such as "moderator";
    of a share link, what its maker is. `lent`: those of them that the token of a trusted issuer says, whatever the
    account is. `session`: what is revoked to turn this caller away: the id of a session, an API key, a share link, or
    of the token itself. `token`: its own id, by which it alone is revoked; "" for what has none. `scope`: the one that
    a share link opens; `made_by`: who made that link, "" for the operator. `expires_at_ms`: when the credentials end;
    None: never. `suspended`: the account is; its changes go to the quarantine, and it is told nothing else. `scopes`:
    the only ones that an API key opens; None: all that the account may. `by_key`: a script asks, by an API key; it acts
    for its account and opens nothing about the account itself.
    """

    caller: Caller
    user: str = ""
    roles: frozenset[str] = frozenset()
    session: str = ""
    scope: str = ""
    expires_at_ms: int | None = None
    suspended: bool = False
    scopes: frozenset[str] | None = None
    made_by: str = ""
    by_key: bool = False
    token: str = field(default="", compare=False)
    lent: frozenset[str] = frozenset()


OPERATOR: Final = Principal(Caller.OPERATOR)
"""Whoever runs the server."""

ANYONE: Final = Principal(Caller.NOBODY)
"""Somebody who has shown nothing."""

AsOfNow = Callable[[Principal], Principal]
"""Who somebody is by now who came in a while ago: suspended or not, and with which roles. From memory: it is asked for
each push. Raises `Unauthenticated` if what he came in by has ended, or his account is no more.
"""


def as_he_came(principal: Principal) -> Principal:
    """`AsOfNow`, where nobody keeps accounts."""
    return principal
