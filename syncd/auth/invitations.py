"""Invitations: an account that whoever runs the server makes for somebody, and the mail by which he sets a password.

Until then nobody can log in to it; the code in the mail shows that he reads mail at the address, as every other does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from syncd.auth.accounts import checked_name, new_account, new_mail
from syncd.auth.committer import Committer
from syncd.auth.email_address import normal_email
from syncd.auth.mail_texts import Kind
from syncd.auth.standing import checked_roles
from syncd.errors import InvalidMessage
from syncd.store.accounts import AccountCommit, AccountRow, AccountTransaction

__all__ = ["Invitations"]


class Invitations:
    """A command of whoever runs the server, who may know which addresses have an account."""

    def __init__(self, committer: Committer, now_ms: Callable[[], int]) -> None:
        self._commit = committer.run
        self._now_ms = now_ms

    async def invite(self, email: str, name: str = "", roles: Collection[str] = ()) -> AccountRow:
        """Make an account without a password, and send a code to set one.

        Raises `InvalidMessage` for what can be no address, name or role, and if the address has an account.
        """
        email, name, named = normal_email(email), checked_name(name), checked_roles(roles)

        async def decide(tx: AccountTransaction) -> tuple[AccountCommit, AccountRow]:
            if await tx.account_by_email(email) is not None:
                raise InvalidMessage(
                    "There is an account with this address.",
                    code="email_taken",
                    hint="'syncd user show' shows it; a new password is set by way of 'forgot password'.",
                    field="email",
                )
            now_ms = self._now_ms()
            row = new_account(now_ms)._replace(email=email, name=name, roles=named, roles_at_ms=now_ms if named else 0)
            return AccountCommit(accounts=[row], mails=[new_mail(Kind.INVITATION, email, row.id, now_ms)]), row

        return await self._commit(decide)
