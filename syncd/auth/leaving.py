"""Leaving: what is personal in an account goes, and all that opens it. Its id stays, and is never given again."""

from __future__ import annotations

from syncd.auth.accounts import Accounts, existing
from syncd.auth.committer import Committer
from syncd.auth.second_factor import SecondFactor
from syncd.store.accounts import AccountCommit, AccountReads, AccountRow, AccountStatus, AccountTransaction

__all__ = ["Leaving", "erased"]


class Leaving:
    """The commands of whoever leaves, and of whoever runs the server."""

    def __init__(
        self, store: AccountReads, committer: Committer, accounts: Accounts, second_factor: SecondFactor
    ) -> None:
        self._store = store
        self._commit = committer.run
        self._accounts = accounts
        self._second_factor = second_factor

    async def check(self, account: str) -> None:
        """Raise `NotFound` if there is no such account, or it was erased."""
        await existing(self._store, account)

    async def check_owner(self, account: str, password: str, second_factor: str | None) -> None:
        """Raise `Forbidden` unless this is the account's password, `Unauthenticated` unless it is the code that it asks
        for, if it does: a session alone may not erase it.
        """
        await self._accounts.check_password(account, password)
        await self._second_factor.use(account, second_factor)

    async def erase(self, account: str) -> None:
        """Empty the account and end everything that opens it, at once; nothing, if that was done or it never was.

        Nobody is told by mail: the address is gone with the rest.
        """

        async def decide(tx: AccountTransaction) -> tuple[AccountCommit | None, None]:
            row = await tx.account(account)
            if row is None:
                return None, None
            return AccountCommit(accounts=[erased(row)], emptied=[account]), None

        await self._commit(decide)


def erased(row: AccountRow) -> AccountRow:
    """What is left of an account: that it was."""
    return AccountRow(row.id, row.created_at_ms, status=AccountStatus.ERASED)
