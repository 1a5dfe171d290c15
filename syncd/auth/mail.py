"""The outbox: mails that a command has left in the database are sent, and tried again until they are, or given up.

The database holds no code, not even in a mail that waits: the code is made when the mail is sent, and its digest is
stored first. A mail may come twice, if the server ends between sending it and noting that; both codes work.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from syncd.auth.codes import Purpose, new_code
from syncd.auth.mail_texts import PURPOSES, Kind, Mail, mail_of
from syncd.auth.rules import MailRules
from syncd.errors import StoreError
from syncd.store.accounts import (
    AccountCommit,
    AccountRow,
    AccountStatus,
    AccountStore,
    AccountTransaction,
    MailRow,
)

__all__ = ["MailNotSent", "MailRefused", "Mailer", "Outbox"]

log = structlog.get_logger(__name__)

_FIRST_MS: Final = 10_000
_LONGEST_MS: Final = 60 * 60 * 1000
_AT_ONCE: Final = 20
_PAUSE_S: Final = 5.0
"""After a failure of the database."""


class MailNotSent(Exception):
    """It may go through later."""


class MailRefused(MailNotSent):
    """It never will: there is no such mailbox."""


class Mailer(Protocol):
    """What sends mails."""

    async def send(self, mail: Mail) -> None:
        """Return when somebody else has taken the mail and keeps it; raises `MailNotSent` or `MailRefused`."""
        ...


class Outbox:
    """One for a database. `dice`: from 0 to 1, for the pauses."""

    def __init__(
        self,
        store: AccountStore,
        mailer: Mailer,
        now_ms: Callable[[], int],
        rules: MailRules | None = None,
        *,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._mailer = mailer
        self._now_ms = now_ms
        self._rules = rules or MailRules()
        self._dice = dice
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There is something new to send."""
        self._woken.set()

    async def run(self) -> None:
        """Send what is due, for ever; ends by being cancelled."""
        while True:
            self._woken.clear()
            try:
                while await self.send_due():
                    pass
                next_at_ms = await self._store.next_mail_at_ms()
                pause_s = None if next_at_ms is None else max(0, next_at_ms - self._now_ms()) / 1000
            except StoreError as error:
                log.warning("outbox_waits_for_the_database", reason=error.message)
                pause_s = _PAUSE_S
            except Exception:
                log.exception("outbox_failed")
                pause_s = _PAUSE_S
            try:
                async with asyncio.timeout(pause_s):
                    await self._woken.wait()
            except TimeoutError:
                pass

    async def send_due(self) -> int:
        """Try every mail that is due, one after the other; how many those were."""
        rows = await self._store.mails_due(self._now_ms(), limit=_AT_ONCE)
        for row in rows:
            await self._send(row)
        return len(rows)

    async def _send(self, row: MailRow) -> None:
        if self._now_ms() - row.created_at_ms >= self._rules.give_up_ms:
            log.error("mail_given_up", mail=row.id, kind=row.kind, account=row.account, attempts=row.attempts)
            await self._drop(row)
            return
        mail = await self._prepared(row)
        if mail is None:
            return
        try:
            await self._mailer.send(mail)
        except MailRefused as refusal:
            log.warning("mail_refused", mail=row.id, kind=row.kind, account=row.account, reason=str(refusal))
        except MailNotSent as failure:
            log.warning("mail_not_sent", mail=row.id, kind=row.kind, attempts=row.attempts + 1, reason=str(failure))
            return
        else:
            log.info("mail_sent", mail=row.id, kind=row.kind, account=row.account)
        await self._drop(row)

    async def _prepared(self, row: MailRow) -> Mail | None:
        """The mail, when the next try and the code's digest have been stored; None if there is nothing to send."""
        purpose = PURPOSES.get(row.kind)
        now_ms = self._now_ms()
        code, code_rows = "", []
        lifetime_ms = self._rules.code_ms(purpose) if purpose else 0
        if row.kind == Kind.INVITATION:
            # Nobody waits for it, as who has forgotten a password does.
            lifetime_ms = self._rules.verify_code_ms
        async with self._store.transaction() as tx:
            if await tx.mail(row.id) is None:
                # What it was to bring was taken back meanwhile, or its account was erased: it must not come again.
                return None
            if not _still_wanted(row, purpose, await tx.account(row.account) if row.account else None):
                await tx.commit(AccountCommit(dropped_mails=[row.id]))
                return None
            if purpose is not None:
                code, code_row = new_code(purpose, row.account, now_ms, lifetime_ms=lifetime_ms, email=row.to)
                code_rows.append(code_row)
            tried = row._replace(attempts=row.attempts + 1, due_at_ms=now_ms + self._pause_ms(row.attempts))
            await tx.commit(AccountCommit(codes=code_rows, mails=[tried]))
        return mail_of(
            row.kind,
            row.to,
            service=self._rules.service,
            page=self._rules.page,
            at_ms=now_ms,
            code=code,
            hours=lifetime_ms / 3_600_000,
        )

    def _pause_ms(self, attempts: int) -> int:
        """Full jitter, so that what failed together is not tried together; a moment at least."""
        longest_ms = min(_LONGEST_MS, _FIRST_MS << min(attempts, 20))
        return 1000 + int(longest_ms * self._dice())

    async def _drop(self, row: MailRow) -> None:
        tx: AccountTransaction
        async with self._store.transaction() as tx:
            await tx.commit(AccountCommit(dropped_mails=[row.id]))


def _still_wanted(row: MailRow, purpose: Purpose | None, account: AccountRow | None) -> bool:
    """Whether it may still be sent. An erased account is told nothing; one that has another address by now, or is gone,
    no code.
    """
    if account is not None and account.status is AccountStatus.ERASED:
        return False
    if purpose is None:
        return True
    return account is not None and (purpose is Purpose.CHANGE_EMAIL or account.email == row.to)
