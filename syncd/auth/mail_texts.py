"""What the mails about an account say: plain text, one function of a few values for each kind.

Nothing in them was typed by whoever caused them, not even a name: else anybody could have a server send his words to
any address. A code stands behind the # of a link, where no server's log sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from syncd.auth.codes import Purpose

__all__ = ["PURPOSES", "Kind", "Mail", "mail_of"]


class Kind(StrEnum):
    """What a mail is about."""

    VERIFY = "verify"
    RESET = "reset"
    CHANGE_EMAIL = "change_email"
    INVITATION = "invitation"
    ALREADY_REGISTERED = "already_registered"
    NO_ACCOUNT = "no_account"
    PASSWORD_CHANGED = "password_changed"
    PASSWORD_RESET = "password_reset"
    EMAIL_CHANGE_ASKED = "email_change_asked"
    EMAIL_CHANGED = "email_changed"


PURPOSES: Final[Mapping[str, Purpose]] = {
    Kind.VERIFY: Purpose.VERIFY,
    Kind.RESET: Purpose.RESET,
    Kind.CHANGE_EMAIL: Purpose.CHANGE_EMAIL,
    Kind.INVITATION: Purpose.RESET,
}
"""The mails that bring a code, and what it is good for."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail, ready to be sent. `text`: with the code, if it brings one. `at_ms`: its date."""

    to: str
    subject: str
    text: str = field(repr=False)
    at_ms: int


def mail_of(
    kind: str, to: str, *, service: str, page: str | None, at_ms: int, code: str = "", hours: float = 0
) -> Mail:
    """The mail of this kind, written at `at_ms`. `service`: what the server is called; `page`: the URL that takes
    codes, None if there is none; `hours`: how long the code works.
    """
    subject, body = _TEXTS[Kind(kind)](service)
    lines = [body]
    if code:
        where = f"Open this link:\n\n{page}#{kind}={code}" if page else f"Enter this code:\n\n{code}"
        lines.append(f"{where}\n\nIt works once, within {_time(hours)}.")
    lines.append(_NOT_YOU if Kind(kind) in _AFTER_THE_FACT else _UNASKED)
    return Mail(to, f"{service}: {subject}", "\n\n".join(lines) + "\n", at_ms)


_UNASKED: Final = "If you did not ask for this, do nothing: nothing will change."
_NOT_YOU: Final = "If this was not you, set a new password by way of 'forgot password'."


_AFTER_THE_FACT: Final = (Kind.PASSWORD_CHANGED, Kind.PASSWORD_RESET, Kind.EMAIL_CHANGE_ASKED, Kind.EMAIL_CHANGED)


def _verify(service: str) -> tuple[str, str]:
    return "confirm your address", f"Somebody has registered at {service} with this address."


def _reset(service: str) -> tuple[str, str]:
    return "set a new password", f"Somebody asked for a new password for the account at {service} with this address."


def _change_email(service: str) -> tuple[str, str]:
    return "confirm your new address", f"Somebody wants to use this address for an account at {service}."


def _invitation(service: str) -> tuple[str, str]:
    return "you have an account", f"Whoever runs {service} has made an account for you. Set a password to use it."


def _already_registered(service: str) -> tuple[str, str]:
    return "you have an account already", (
        f"Somebody wanted to register at {service} with this address, or to use it for another account. "
        "It has an account already, and nothing was changed. You can log in as before."
    )


def _no_account(service: str) -> tuple[str, str]:
    return "there is no account with this address", (
        f"Somebody asked about the account at {service} with this address. There is none: "
        "if you have one, it is under another address."
    )


def _password_changed(service: str) -> tuple[str, str]:
    return "your password was changed", (
        f"The password of your account at {service} was changed, and other devices were logged out. "
        "API keys go on; look through them if you think that somebody else had your password."
    )


def _password_reset(service: str) -> tuple[str, str]:
    return "your password was changed", (
        f"A new password was set for your account at {service}, by a code from a mail. All devices were logged out, "
        "and API keys have ended; make new ones where you need them."
    )


def _email_change_asked(service: str) -> tuple[str, str]:
    return "another address was asked for", (
        f"Somebody who knows your password wants your account at {service} to have another address. "
        "It will, once a code that was sent there is used."
    )


def _email_changed(service: str) -> tuple[str, str]:
    return "your address was changed", f"Your account at {service} has another address now; this is the last mail here."


_TEXTS: Final[Mapping[Kind, Callable[[str], tuple[str, str]]]] = {
    Kind.VERIFY: _verify,
    Kind.RESET: _reset,
    Kind.CHANGE_EMAIL: _change_email,
    Kind.INVITATION: _invitation,
    Kind.ALREADY_REGISTERED: _already_registered,
    Kind.NO_ACCOUNT: _no_account,
    Kind.PASSWORD_CHANGED: _password_changed,
    Kind.PASSWORD_RESET: _password_reset,
    Kind.EMAIL_CHANGE_ASKED: _email_change_asked,
    Kind.EMAIL_CHANGED: _email_changed,
}


def _time(hours: float) -> str:
    if hours < 1:
        return f"{round(hours * 60)} minutes"
    return f"{round(hours)} hours" if round(hours) != 1 else "one hour"
