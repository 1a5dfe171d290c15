"""Accounts: registering, the address, the password. Knows no session but to end it, and no HTTP.

Nobody learns here whether an address has an account. What is asked about one that is known and one that is not is
answered alike, after the same work: as many hashes, one lookup, one commit with one mail. What has really happened, the
mail says (OWASP, Authentication Cheat Sheet, "Authentication and Error Messages").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import uuid_utils

from syncd.auth.codes import Purpose, find_code, invalid_code
from syncd.auth.committer import Committer
from syncd.auth.email_address import normal_email
from syncd.auth.mail_texts import Kind
from syncd.auth.passwords import Passwords
from syncd.auth.rules import AccountRules
from syncd.errors import Forbidden, InvalidMessage, NotFound
from syncd.store.accounts import (
    AccountCommit,
    AccountReads,
    AccountRow,
    AccountStatus,
    AccountStore,
    AccountTransaction,
    ApiKeyRow,
    MailRow,
    SessionRow,
)

__all__ = [
    "Accounts",
    "checked_name",
    "ended_keys",
    "ended_sessions",
    "existing",
    "new_account",
    "new_mail",
    "registration_closed",
    "without_second_factor",
]

_MAX_NAME_LENGTH = 100
_OF_THE_PASSWORD = (Purpose.RESET, Purpose.CHANGE_EMAIL)
"""Codes that somebody who knew the password, or read the mail, may have asked for: they end with the password."""


class Accounts:
    """The commands of people who have an account, or want one."""

    def __init__(
        self,
        store: AccountStore,
        committer: Committer,
        passwords: Passwords,
        now_ms: Callable[[], int],
        rules: AccountRules | None = None,
    ) -> None:
        self._store = store
        self._commit = committer.run
        self._passwords = passwords
        self._now_ms = now_ms
        self._rules = rules or AccountRules()

    async def register(self, email: str, password: str, name: str = "") -> None:
        """Make an account, or tell the one who has this address that somebody tried to.

        Raises `InvalidMessage` for what can be no address, password or name, whoever has the address; `Forbidden` where
        nobody registers.
        """
        if not self._rules.registration:
            raise registration_closed()
        email, name = normal_email(email), checked_name(name)
        self._passwords.check(password, email)
        password_hash = await self._passwords.hash(password)

        async def decide(tx: AccountTransaction) -> tuple[AccountCommit, None]:
            now_ms = self._now_ms()
            found = await tx.account_by_email(email)
            if found is None:
                kind = Kind.VERIFY
                row = new_account(now_ms)._replace(email=email, password_hash=password_hash, name=name)
            elif found.verified_at_ms is None and self._rules.verified_only:
                # Nobody can have used it yet, and which of the two has the address nobody knows. So neither password
                # counts: with one of them, the owner's click on a mail would let the other in. He sets one by mail.
                kind = Kind.RESET
                row = found._replace(password_hash=None, name=name)
            else:
                return AccountCommit(mails=[new_mail(Kind.ALREADY_REGISTERED, email, found.id, now_ms)]), None
            return AccountCommit(
                accounts=[row],
                sessions=await ended_sessions(tx, row.id, now_ms, "registered anew"),
                api_keys=await ended_keys(tx, row.id, now_ms),
                dropped_codes=[(row.id, Purpose.VERIFY)],
                mails=[new_mail(kind, email, row.id, now_ms)],
            ), None

        await self._commit(decide)

    async def send_verification(self, email: str) -> None:
        """Send the code once more."""
        await self._mail_to(normal_email(email), lambda found: found.verified_at_ms is None, Kind.VERIFY)

    async def verify_email(self, code: str) -> str:
        """Take the address as its account's; the account's id. Raises `InvalidMessage` if the code does not work."""

        async def decide(tx: AccountTransaction) -> tuple[AccountCommit, str]:
            now_ms = self._now_ms()
            used = await find_code(tx, Purpose.VERIFY, code, now_ms)
            row = await tx.account(used.account)
            if row is None or row.email != used.email:
                raise invalid_code()
            return AccountCommit(
                accounts=[row._replace(verified_at_ms=row.verified_at_ms or now_ms)],
                dropped_codes=[(row.id, Purpose.VERIFY)],
                codes=[used._replace(used_at_ms=now_ms)],
            ), row.id

        return await self._commit(decide)

    async def forgot_password(self, email: str) -> None:
        """Send a code for a new password, or tell that there is no account."""
        await self._mail_to(normal_email(email), lambda _: True, Kind.RESET)

    async def reset_password(self, code: str, password: str) -> str:
        """Set a new password, end every session and API key, and take back a change of address; the account's id.

        Whoever has the code reads the address's mail, so that is verified too. Raises `InvalidMessage` if the code does
        not work, or this can be no password; then the code still works.
        """
        sent = await find_code(self._store, Purpose.RESET, code, self._now_ms())
        self._passwords.check(password, sent.email)
        password_hash = await self._passwords.hash(password)

        async def decide(tx: AccountTransaction) -> tuple[AccountCommit, str]:
            now_ms = self._now_ms()
            used = await find_code(tx, Purpose.RESET, code, now_ms)
            row = await tx.account(used.account)
            if row is None or row.email != used.email:
                raise invalid_code()
            dropped: Sequence[Purpose] = _OF_THE_PASSWORD
            if row.verified_at_ms is None:
                # Whoever was in before never showed that the address is his: nothing that he has left counts.
                row, dropped = without_second_factor(row)._replace(verified_at_ms=now_ms), tuple(Purpose)
            return AccountCommit(
                accounts=[row._replace(password_hash=password_hash)],
                sessions=await ended_sessions(tx, row.id, now_ms, "password reset"),
                api_keys=await ended_keys(tx, row.id, now_ms),
                dropped_codes=[(row.id, each) for each in dropped],
                codes=[used._replace(used_at_ms=now_ms)],
                mails=[new_mail(Kind.PASSWORD_RESET, used.email, row.id, now_ms)],
            ), row.id

        return await self._commit(decide)

    async def change_password(self, account: str, old: str, new: str, *, keep_session: str = "") -> None:
        """Set a new password, end every session but `keep_session`, and take back a change of address.

        Raises `Forbidden` if `old` is not the password, `InvalidMessage` if `new` can be none.
        """
        before = await self.check_password(account, old)
        self._passwords.check(new, before.email)
        password_hash = await self._passwords.hash(new)

        async def decide(tx: AccountTransaction) -> tuple[AccountCommit, None]:
            now_ms = self._now_ms()
            row = await self._unchanged(tx, before)
            ended = await ended_sessions(tx, row.id, now_ms, "password changed")
            return AccountCommit(
                accounts=[row._replace(password_hash=password_hash)],
                sessions=[session for session in ended if session.id != keep_session],
                dropped_codes=[(row.id, each) for each in _OF_THE_PASSWORD],
                mails=[new_mail(Kind.PASSWORD_CHANGED, row.email, row.id, now_ms)] if row.email else (),
            ), None

        await self._commit(decide)

    async def change_email(self, account: str, password: str, email: str) -> None:
        """Send a code to the new address, and word of it to the old one; or word to whoever has the new one already.

        Raises `Forbidden` if this is not the password, `InvalidMessage` if this can be no address.
        """
        email = normal_email(email)
        before = await self.check_password(account, password)

        async def decide(tx: AccountTransaction) -> tuple[AccountCommit, None]:
            now_ms = self._now_ms()
            row = await self._unchanged(tx, before)
            holder = await tx.account_by_email(email)
            kind, of = (Kind.CHANGE_EMAIL, row) if holder is None else (Kind.ALREADY_REGISTERED, holder)
            mails = [new_mail(kind, email, of.id, now_ms)]
            if row.email is not None:
                mails.append(new_mail(Kind.EMAIL_CHANGE_ASKED, row.email, row.id, now_ms))
            return AccountCommit(dropped_codes=[(row.id, Purpose.CHANGE_EMAIL)], mails=mails), None

        await self._commit(decide)

    async def confirm_email(self, code: str) -> str:
        """Take the new address in the old one's place; the account's id. Raises `InvalidMessage` if the code does not
        work, or somebody else has taken the address meanwhile.
        """

        async def decide(tx: AccountTransaction) -> tuple[AccountCommit, str]:
            now_ms = self._now_ms()
            used = await find_code(tx, Purpose.CHANGE_EMAIL, code, now_ms)
            row = await tx.account(used.account)
            if row is None or row.status is AccountStatus.ERASED or await tx.account_by_email(used.email) is not None:
                raise invalid_code()
            return AccountCommit(
                accounts=[row._replace(email=used.email, verified_at_ms=now_ms)],
                # What was sent to the old address no longer opens anything.
                dropped_codes=[(row.id, each) for each in (Purpose.CHANGE_EMAIL, Purpose.RESET, Purpose.VERIFY)],
                codes=[used._replace(used_at_ms=now_ms)],
                mails=[new_mail(Kind.EMAIL_CHANGED, row.email, row.id, now_ms)] if row.email else (),
            ), row.id

        return await self._commit(decide)

    async def check_password(self, account: str, password: str) -> AccountRow:
        """The account, if this is its password; raises `Forbidden` otherwise. For what a session alone may not do."""
        row = await self._store.account(account)
        verified = await self._passwords.verify(None if row is None else row.password_hash, password)
        if row is None or not verified.matches:
            raise Forbidden(
                "This is not the account's password.",
                code="wrong_password",
                hint="Enter the password of now; without one, set one by way of 'forgot password'.",
                field="password",
            )
        return row

    async def _mail_to(self, email: str, wanted: Callable[[AccountRow], bool], kind: Kind) -> None:
        async def decide(tx: AccountTransaction) -> tuple[AccountCommit, None]:
            found = await tx.account_by_email(email)
            if found is None:
                mail = new_mail(Kind.NO_ACCOUNT, email, "", self._now_ms())
            else:
                mail = new_mail(kind if wanted(found) else Kind.ALREADY_REGISTERED, email, found.id, self._now_ms())
            return AccountCommit(mails=[mail]), None

        await self._commit(decide)

    async def _unchanged(self, tx: AccountTransaction, before: AccountRow) -> AccountRow:
        row = await existing(tx, before.id)
        if row.password_hash != before.password_hash:
            raise Forbidden(
                "The password was changed meanwhile.", code="wrong_password", hint="Try again.", field="password"
            )
        return row


def registration_closed() -> Forbidden:
    """Of whoever would make an account where that is not for everybody."""
    return Forbidden(
        "Nobody makes an account here by himself.",
        code="registration_closed",
        hint="Ask whoever runs the server for an invitation.",
    )


def new_account(now_ms: int) -> AccountRow:
    """An account that was not there before, with nothing in it."""
    return AccountRow(str(uuid_utils.uuid7()), now_ms)


def new_mail(kind: Kind, to: str, account: str, now_ms: int) -> MailRow:
    """A mail to be sent at once. `account`: "" if the address has none."""
    return MailRow(str(uuid_utils.uuid7()), kind, to, account, now_ms, now_ms)


async def existing(accounts: AccountReads, account: str) -> AccountRow:
    """An account that somebody names; raises `NotFound` if there is none, or it was erased."""
    row = await accounts.account(account)
    if row is None or row.status is AccountStatus.ERASED:
        raise NotFound("There is no account of that id.", code="no_such_account", hint="'syncd user list' lists them.")
    return row


async def ended_sessions(tx: AccountTransaction, account: str, now_ms: int, why: str) -> Sequence[SessionRow]:
    """The rows that end every session of an account."""
    return [row._replace(revoked_at_ms=now_ms, revoked_why=why) for row in await tx.sessions_of(account)]


async def ended_keys(tx: AccountTransaction, account: str, now_ms: int) -> Sequence[ApiKeyRow]:
    """The rows that end every API key of an account."""
    rows = await tx.api_keys_of(account)
    return [row._replace(revoked_at_ms=now_ms) for row in rows if row.revoked_at_ms is None]


def without_second_factor(row: AccountRow) -> AccountRow:
    """The account as it was before it asked for one; its recovery codes are dropped by the same commit."""
    return row._replace(totp_secret=None, totp_since_ms=None, totp_step=0)


def checked_name(name: str) -> str:
    """A person's name, without blanks around it; raises `InvalidMessage` if it is too long or not of one line."""
    name = name.strip()
    if len(name) > _MAX_NAME_LENGTH or not name.isprintable():
        raise InvalidMessage(
            f"A name is one line of at most {_MAX_NAME_LENGTH} characters.",
            code="invalid_name",
            hint="Write it shorter, and without control characters.",
            field="name",
        )
    return name
