"""What an operator decides about an account: suspended or not, its roles, its tier. Takes effect with the next request.

A suspended account's sessions stay, and refuse: when it is active again, its devices go on where they were.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any, Final

from syncd.auth.accounts import existing
from syncd.auth.committer import Committer
from syncd.errors import InvalidMessage
from syncd.store.accounts import AccountCommit, AccountRow, AccountStatus, AccountTransaction, RevokedTokenRow

__all__ = ["Standing", "checked_roles"]

_MAX_ROLES: Final = 50
"""Of one account: an access token carries them all."""
_ROLE: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


class Standing:
    """The commands of whoever runs the server. Each raises `NotFound` if there is no such account.

    `leeway_ms`: for how long after its end a token is still taken.
    """

    def __init__(self, committer: Committer, now_ms: Callable[[], int], leeway_ms: int = 0) -> None:
        self._commit = committer.run
        self._now_ms = now_ms
        self._leeway_ms = leeway_ms

    async def suspend(self, account: str) -> None:
        """Let an account do nothing more until it is reinstated."""
        await self._change(account, lambda _: {"status": AccountStatus.SUSPENDED})

    async def reinstate(self, account: str) -> None:
        """Let a suspended account go on."""
        await self._change(account, lambda _: {"status": AccountStatus.ACTIVE})

    async def set_roles(self, account: str, roles: Collection[str]) -> None:
        """Give an account these roles, and no others."""
        named = checked_roles(roles)
        await self._change(
            account, lambda row: {} if row.roles == named else {"roles": named, "roles_at_ms": self._now_ms()}
        )

    async def set_tier(self, account: str, tier: str) -> None:
        """Count an account's requests by the limits of this tier; "": the ordinary one."""
        named = tier and _name(tier, "tier")
        await self._change(
            account, lambda row: {} if row.tier == named else {"tier": named, "roles_at_ms": self._now_ms()}
        )

    async def revoke_token(self, token_id: str, expires_at_ms: int) -> None:
        """Take a single access token no longer, by its `jti`; it would have ended at `expires_at_ms` anyway.

        Raises `InvalidMessage` if that is over, as it is for whoever writes seconds: nothing would be revoked.
        """
        if expires_at_ms + self._leeway_ms <= self._now_ms():
            raise InvalidMessage(
                "expires_at_ms: a token that ended then is not taken any more, and nothing was revoked",
                hint="Send the 'exp' of the token in milliseconds since 1970: its seconds times 1000.",
                field="expires_at_ms",
            )

        async def decide(_: AccountTransaction) -> tuple[AccountCommit, None]:
            return AccountCommit(revoked_tokens=[RevokedTokenRow(token_id, self._now_ms(), expires_at_ms)]), None

        await self._commit(decide)

    async def _change(self, account: str, changes: Callable[[AccountRow], dict[str, Any]]) -> None:
        async def decide(tx: AccountTransaction) -> tuple[AccountCommit | None, None]:
            row = await existing(tx, account)
            changed = row._replace(**changes(row))
            return (None if changed == row else AccountCommit(accounts=[changed])), None

        await self._commit(decide)


def checked_roles(roles: Collection[str]) -> frozenset[str]:
    """Roles as an account has them; raises `InvalidMessage` for a name that cannot be, and for too many."""
    named = frozenset(_name(role, "roles") for role in roles)
    if len(named) > _MAX_ROLES:
        raise InvalidMessage(
            f"An account has at most {_MAX_ROLES} roles.",
            code="invalid_role",
            hint="Give it fewer; what concerns one scope belongs to its membership there.",
            field="roles",
        )
    return named


def _name(text: str, field: str) -> str:
    if _ROLE.fullmatch(text) is None:
        raise InvalidMessage(
            f"{text[:80]!r} cannot be a name of a role or a tier.",
            code="invalid_role",
            hint="Use 1 to 64 of A-Z a-z 0-9 _ . : -",
            field=field,
        )
    return text
