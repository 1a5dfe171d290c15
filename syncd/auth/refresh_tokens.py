"""Refresh tokens: what each use makes of them. Pure: rows and a time in, rows out.

A token has two parts: one that all tokens of its session share, and a secret that is new with each. Who shows the first
with a secret that has been replaced has a copy of an old token, he or the device's owner: the session ends (RFC 9700,
section 4.14.2). The id of a session, which is no secret, is not enough to bring that about.

A device whose reply was lost shows the token before the newest again. For a short while it gets the newest, and always
the same one: it is made of the secret shown and of a salt that is stored. With another one for each asker, two at once
would be left with different tokens, and one of them would later end the session of both. And who reads the database has
the salt, but not the secret.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from syncd.auth.secret_text import derived, digest, new_secret, read, same, write
from syncd.errors import Unauthenticated
from syncd.store.accounts import SessionRow

__all__ = [
    "LOG_IN",
    "RefreshToken",
    "Verdict",
    "judge",
    "new_refresh_token",
    "read_refresh_token",
    "renewed",
    "reused_refresh_token",
    "unknown_refresh_token",
    "wrong_device",
]

LOG_IN: Final = "Log in again; what was not sent yet stays on the device."
_PREFIX: Final = "syncd_refresh_"


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """`family`: what it shares with the session's others; `secret`: what is its own."""

    family: str = field(repr=False)
    secret: str = field(repr=False)

    @property
    def text(self) -> str:
        """As devices know it."""
        return write(_PREFIX, self.family, self.secret)


class Verdict(Enum):
    """What a token is to the session of its family."""

    NEWEST = 1
    JUST_REPLACED = 2
    """The one before the newest, so shortly after that the reply to it may have been lost."""
    REUSED = 3


def new_refresh_token() -> RefreshToken:
    """The first of a session."""
    return RefreshToken(new_secret(), new_secret())


def read_refresh_token(text: str) -> RefreshToken:
    """Raises `Unauthenticated` for what is none."""
    parts = read(_PREFIX, text, 2)
    if parts is None:
        raise unknown_refresh_token()
    return RefreshToken(*parts)


def judge(row: SessionRow, shown: RefreshToken, now_ms: int, *, grace_ms: int) -> Verdict:
    """What this token is to a session of its family."""
    secret = digest(shown.secret)
    if same(secret, row.current):
        return Verdict.NEWEST
    if row.previous is None or row.rotated_at_ms is None or not same(secret, row.previous):
        return Verdict.REUSED
    return Verdict.JUST_REPLACED if now_ms - row.rotated_at_ms <= grace_ms else Verdict.REUSED


def renewed(
    row: SessionRow, shown: RefreshToken, verdict: Verdict, now_ms: int, *, rotate: bool
) -> tuple[SessionRow, str | None]:
    """The session after this token was used, and the token that takes its place, None if it stays."""
    row = row._replace(used_at_ms=now_ms)
    if verdict is Verdict.JUST_REPLACED:
        return row, RefreshToken(shown.family, derived(shown.secret, row.salt)).text
    if not rotate:
        return row, None
    salt = secrets.token_bytes(32)
    successor = RefreshToken(shown.family, derived(shown.secret, salt))
    return row._replace(
        current=digest(successor.secret), previous=row.current, salt=salt, rotated_at_ms=now_ms
    ), successor.text


def unknown_refresh_token() -> Unauthenticated:
    """It is mistyped, or of no session."""
    return Unauthenticated("This refresh token opens nothing.", code="invalid_refresh_token", hint=LOG_IN)


def reused_refresh_token() -> Unauthenticated:
    """It was replaced; the session has been ended."""
    return Unauthenticated(
        "This refresh token was used before, so somebody has a copy of it. The session has been ended.",
        code="refresh_token_reused",
        hint=LOG_IN,
    )


def wrong_device() -> Unauthenticated:
    """It belongs to another device."""
    return Unauthenticated(
        "This refresh token was given to another device.",
        code="wrong_device",
        hint="Send the device's id as it was at log-in, or log in on this device.",
        field="device",
    )
