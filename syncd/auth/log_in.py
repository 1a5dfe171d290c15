"""Logging in: by a password or by who somebody is elsewhere, then the second factor, then a session.

What is wrong is told apart only for who has shown the right password: before that, an unknown address, a wrong password
and an account without one are one answer, after one hash.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from syncd.auth.committer import Committer
from syncd.auth.email_address import normal_email
from syncd.auth.identities import Identities, Identity
from syncd.auth.passwords import Passwords
from syncd.auth.rules import AccountRules
from syncd.auth.second_factor import accept
from syncd.auth.sessions import Device, Sessions, Tokens, check_may_sign_in
from syncd.errors import Forbidden, InvalidMessage, Unauthenticated
from syncd.store.accounts import AccountCommit, AccountRow, AccountStore, AccountTransaction, CodeRow, SessionRow

__all__ = ["LogIn"]


@dataclass(frozen=True, slots=True)
class _Opened:
    account: AccountRow
    session: SessionRow
    refresh: str = field(repr=False)


class LogIn:
    """Opens sessions."""

    def __init__(
        self,
        store: AccountStore,
        committer: Committer,
        passwords: Passwords,
        sessions: Sessions,
        identities: Identities,
        now_ms: Callable[[], int],
        rules: AccountRules | None = None,
    ) -> None:
        self._store = store
        self._commit = committer.run
        self._passwords = passwords
        self._sessions = sessions
        self._identities = identities
        self._now_ms = now_ms
        self._rules = rules or AccountRules()

    async def with_password(
        self, email: str, password: str, device: Device | None = None, *, second_factor: str | None = None
    ) -> Tokens:
        """Raises `Unauthenticated` for wrong credentials, or a second factor that is missing or wrong; `Forbidden` for
        a suspended account, or an address that was not verified; `InvalidMessage` for a device that says too much.
        """
        found = await self._account(email)
        verified = await self._passwords.verify(None if found is None else found.password_hash, password)
        if found is None or not verified.matches:
            raise _wrong_credentials()
        if found.verified_at_ms is None and self._rules.verified_only:
            raise Forbidden(
                "The e-mail address of this account was not verified yet.",
                code="email_not_verified",
                hint="Use the code in the mail, or ask for another mail.",
                field="email",
            )

        async def decide(tx: AccountTransaction) -> tuple[AccountCommit, _Opened]:
            row = await tx.account(found.id)
            # Between the hash and here somebody may have set another password, so that this one is wrong by now.
            if row is None or row.password_hash != found.password_hash:
                raise _wrong_credentials()
            return await self._open(tx, row, device, second_factor, verified.new_hash)

        return self._tokens(await self._commit(decide))

    async def with_identity(
        self, identity: Identity, device: Device | None = None, *, second_factor: str | None = None
    ) -> Tokens:
        """Log in as who a provider says somebody is, which the caller has verified; makes an account at first sight.

        Raises like `with_password`.
        """
        account = await self._identities.signed_in(identity)

        async def decide(tx: AccountTransaction) -> tuple[AccountCommit, _Opened]:
            row = await tx.account(account)
            check_may_sign_in(row)
            assert row is not None
            return await self._open(tx, row, device, second_factor)

        return self._tokens(await self._commit(decide))

    async def _account(self, email: str) -> AccountRow | None:
        try:
            return await self._store.account_by_email(normal_email(email))
        except InvalidMessage:
            return None

    async def _open(
        self,
        tx: AccountTransaction,
        row: AccountRow,
        device: Device | None,
        second_factor: str | None,
        new_hash: str | None = None,
    ) -> tuple[AccountCommit, _Opened]:
        check_may_sign_in(row)
        used: Sequence[CodeRow]
        row, used = await accept(tx, row, second_factor, self._now_ms())
        if new_hash is not None:
            row = row._replace(password_hash=new_hash)
        sessions, refresh = await self._sessions.begun(tx, row.id, device or Device())
        return AccountCommit(accounts=[row], sessions=sessions, codes=used), _Opened(row, sessions[0], refresh)

    def _tokens(self, opened: _Opened) -> Tokens:
        return self._sessions.tokens(opened.account, opened.session, opened.refresh)


def _wrong_credentials() -> Unauthenticated:
    return Unauthenticated(
        "The e-mail address or the password is wrong.",
        code="wrong_credentials",
        hint="Try again, or set a new password by way of 'forgot password'.",
    )
