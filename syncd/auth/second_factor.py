"""The second factor: a code of six digits that changes every 30 seconds (TOTP, RFC 6238), and ten to write down.

The step of a code that was taken is remembered, so that it is not taken again (section 5.2), and with it all before.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import pyotp

from syncd.auth.accounts import Accounts, existing, without_second_factor
from syncd.auth.codes import Purpose, find_code, new_code
from syncd.auth.committer import Committer
from syncd.errors import InvalidMessage, Unauthenticated
from syncd.store.accounts import AccountCommit, AccountReads, AccountRow, AccountTransaction, CodeRow

__all__ = ["Enrolment", "SecondFactor", "accept", "has_second_factor"]

_STEP_S: Final = 30
_STEPS_OFF: Final = 1
"""How far a phone's clock may be from ours, in steps (section 6)."""
_RECOVERY_CODES: Final = 10


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What a phone is shown: `secret` to type, or `uri` as a QR code (`otpauth://`). Neither is shown again."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)


class SecondFactor:
    """The commands of an account's owner. `issuer`: what a phone calls this server."""

    def __init__(self, committer: Committer, accounts: Accounts, now_ms: Callable[[], int], *, issuer: str) -> None:
        self._commit = committer.run
        self._accounts = accounts
        self._now_ms = now_ms
        self._issuer = issuer

    async def enrol(self, account: str, password: str) -> Enrolment:
        """Make a secret, which counts once `confirm` has seen a code of it.

        Raises `Forbidden` for a wrong password, `InvalidMessage` if there is a second factor already.
        """
        await self._accounts.check_password(account, password)
        secret = pyotp.random_base32()

        async def decide(tx: AccountTransaction) -> tuple[AccountCommit, Enrolment]:
            row = await existing(tx, account)
            _check_has_none(row)
            uri = pyotp.TOTP(secret).provisioning_uri(name=row.email or row.id, issuer_name=self._issuer)
            return AccountCommit(accounts=[row._replace(totp_secret=secret, totp_step=0)]), Enrolment(secret, uri)

        return await self._commit(decide)

    async def confirm(self, account: str, code: str) -> Sequence[str]:
        """Ask for the second factor from now on; the recovery codes, shown this once.

        Raises `InvalidMessage` if there is none to confirm, `Unauthenticated` if the code is not right.
        """

        async def decide(tx: AccountTransaction) -> tuple[AccountCommit, Sequence[str]]:
            now_ms = self._now_ms()
            row = await existing(tx, account)
            _check_has_none(row)
            step = _step_of(row, code, now_ms)
            if step is None:
                raise _wrong()
            made = [new_code(Purpose.RECOVERY, row.id, now_ms) for _ in range(_RECOVERY_CODES)]
            return AccountCommit(
                accounts=[row._replace(totp_since_ms=now_ms, totp_step=step)],
                dropped_codes=[(row.id, Purpose.RECOVERY)],
                codes=[code_row for _, code_row in made],
            ), [text for text, _ in made]

        return await self._commit(decide)

    async def use(self, account: str, code: str | None) -> None:
        """Take a code where the account asks for one, for what takes more than a log-in; the password was right.

        Raises `Unauthenticated` if it is missing or wrong.
        """

        async def decide(tx: AccountTransaction) -> tuple[AccountCommit | None, None]:
            row = await existing(tx, account)
            if not has_second_factor(row):
                return None, None
            row, used = await accept(tx, row, code, self._now_ms())
            return AccountCommit(accounts=[row], codes=used), None

        await self._commit(decide)

    async def remove(self, account: str, password: str, code: str) -> None:
        """Ask for it no longer. Raises `Forbidden` for a wrong password, `Unauthenticated` for a wrong code."""
        await self._accounts.check_password(account, password)

        async def decide(tx: AccountTransaction) -> tuple[AccountCommit, None]:
            row = await existing(tx, account)
            if not has_second_factor(row):
                raise InvalidMessage(
                    "The account has no second factor.", code="no_second_factor", hint="There is nothing to remove."
                )
            row, _ = await accept(tx, row, code, self._now_ms())
            return AccountCommit(
                accounts=[without_second_factor(row)],
                dropped_codes=[(row.id, Purpose.RECOVERY)],
            ), None

        await self._commit(decide)


def has_second_factor(row: AccountRow) -> bool:
    """Whether an account asks for one."""
    return row.totp_since_ms is not None


async def accept(
    accounts: AccountReads, row: AccountRow, given: str | None, now_ms: int
) -> tuple[AccountRow, Sequence[CodeRow]]:
    """Take a code for an account that asks for one, of either kind: the rows that keep it from being taken again.

    Raises `Unauthenticated` if there is none, or it is wrong.
    """
    if not has_second_factor(row):
        return row, ()
    if not given:
        raise Unauthenticated(
            "This account asks for a second factor.",
            code="second_factor_required",
            hint="Send the six digits that the phone shows, or a recovery code, along with the password.",
            field="second_factor",
        )
    step = _step_of(row, given, now_ms)
    if step is not None:
        return row._replace(totp_step=step), ()
    try:
        used = await find_code(accounts, Purpose.RECOVERY, given, now_ms)
    except InvalidMessage:
        raise _wrong() from None
    if used.account != row.id:
        raise _wrong()
    return row, [used._replace(used_at_ms=now_ms)]


def _step_of(row: AccountRow, given: str, now_ms: int) -> int | None:
    """The step of which this is the code, if it is near enough and after the last one used."""
    digits = given.replace(" ", "")
    if row.totp_secret is None or not digits.isascii() or not digits.isdigit():
        return None
    totp = pyotp.TOTP(row.totp_secret, interval=_STEP_S)
    now_step = now_ms // 1000 // _STEP_S
    steps = range(max(now_step - _STEPS_OFF, row.totp_step + 1), now_step + _STEPS_OFF + 1)
    # All of them, whichever it is: in constant time.
    found = [step for step in steps if hmac.compare_digest(totp.generate_otp(step), digits)]
    return found[0] if found else None


def _check_has_none(row: AccountRow) -> None:
    if has_second_factor(row):
        raise InvalidMessage(
            "The account has a second factor already.",
            code="second_factor_exists",
            hint="Remove it first; that takes the password and a code.",
        )


def _wrong() -> Unauthenticated:
    return Unauthenticated(
        "This is not the code of now, or it was used already.",
        code="wrong_second_factor",
        hint="Wait for the next code, and look whether the phone's clock is right.",
        field="second_factor",
    )
