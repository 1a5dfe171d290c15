"""One-time codes: what a mail brings, or a person has written down. Each works once, until it expires, for one purpose.

Only digests are stored. That a code is unknown, was used, or has expired is one answer: what is told apart can be
probed.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from syncd.auth.secret_text import digest, new_secret, read, write
from syncd.errors import InvalidMessage
from syncd.store.accounts import AccountReads, CodeRow

__all__ = ["Purpose", "find_code", "invalid_code", "new_code"]

_PREFIX: Final = "syncd_code_"


class Purpose(StrEnum):
    """What a code is good for."""

    VERIFY = "verify"
    """To show that its reader has the address."""
    RESET = "reset"
    """To set a new password."""
    CHANGE_EMAIL = "change_email"
    """To show that its reader has the address that the account is to have."""
    RECOVERY = "recovery"
    """In the place of a second factor that was lost."""


def new_code(
    purpose: Purpose, account: str, now_ms: int, *, lifetime_ms: int | None = None, email: str = ""
) -> tuple[str, CodeRow]:
    """A code, to be shown once, and its row, to be stored."""
    text = write(_PREFIX, new_secret())
    expires_at_ms = None if lifetime_ms is None else now_ms + lifetime_ms
    return text, CodeRow(digest(text), purpose, account, now_ms, expires_at_ms, email)


async def find_code(accounts: AccountReads, purpose: Purpose, text: str, now_ms: int) -> CodeRow:
    """The row of a code that still works; raises `InvalidMessage` otherwise. Whoever uses it, stores it as used."""
    text = text.strip()
    row = None if read(_PREFIX, text, 1) is None else await accounts.code(digest(text))
    if row is None or row.purpose != purpose or row.used_at_ms is not None:
        raise invalid_code()
    if row.expires_at_ms is not None and row.expires_at_ms <= now_ms:
        raise invalid_code()
    return row


def invalid_code() -> InvalidMessage:
    """The one answer to every code that does not work."""
    return InvalidMessage(
        "This code is not one that works: it was used, has expired, or was never given.",
        code="invalid_code",
        hint="Ask for a new one, and use the newest mail.",
        field="code",
    )
