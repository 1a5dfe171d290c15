"""What can be set about accounts, passwords, sessions and mail, as values with the defaults.

No more than values: `syncd.settings` makes them, and whatever only reads settings loads no argon2 and no SMTP.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Literal

from syncd.auth.codes import Purpose

__all__ = ["AccountRules", "HashCost", "MailRules", "PasswordRules", "PeopleRules", "SessionRules", "SmtpServer"]


@dataclass(frozen=True, slots=True)
class HashCost:
    """What one hash costs. By default RFC 9106's second choice (section 4)."""

    passes: int = 3
    memory_bytes: int = 64 * 1024 * 1024
    lanes: int = 4


@dataclass(frozen=True, slots=True)
class PasswordRules:
    """What a new password must be like. `classes`: a capital, a small letter, a digit and something else."""

    min_length: int = 8
    max_length: int = 128
    classes: bool = False


@dataclass(frozen=True, slots=True)
class AccountRules:
    """`verified_only`: an account opens only once its address was verified. `registration`: whether anybody may make
    one; else whoever was invited has one, and who brings a token of a trusted issuer.
    """

    verified_only: bool = True
    registration: bool = True


@dataclass(frozen=True, slots=True)
class SessionRules:
    """`idle_ms`: how long a session lasts unused, `lifetime_ms`: at all. `grace_ms`: how long the token before the
    newest is still answered. `rotate`: whether each use brings a new one, and the old one ends.
    """

    idle_ms: int = 7 * 24 * 60 * 60 * 1000
    lifetime_ms: int = 90 * 24 * 60 * 60 * 1000
    grace_ms: int = 30 * 1000
    rotate: bool = True


@dataclass(frozen=True, slots=True)
class MailRules:
    """`service`: what mails call the server. `page`: the URL that takes codes, None if there is none. `code_ms`: how
    long the code of a mail works. `give_up_ms`: how long a mail is tried.
    """

    service: str = "syncd"
    page: str | None = None
    verify_code_ms: int = 24 * 60 * 60 * 1000
    reset_code_ms: int = 60 * 60 * 1000
    give_up_ms: int = 3 * 24 * 60 * 60 * 1000

    def code_ms(self, purpose: Purpose) -> int:
        """How long a code for this works."""
        return self.reset_code_ms if purpose is Purpose.RESET else self.verify_code_ms


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where mails are handed in. `security`: starttls and tls refuse a server that offers none, or whose certificate
    `tls_context` does not trust (None: as the system does).
    """

    host: str
    port: int
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls_context: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class PeopleRules:
    """What can be set about them. `kept_ms`: how long an access token can be good, leeway included; `leeway_ms`: how
    long after its end.
    """

    accounts: AccountRules
    passwords: PasswordRules
    hash_cost: HashCost
    hash_workers: int
    sessions: SessionRules
    mail: MailRules
    kept_ms: int
    leeway_ms: int
