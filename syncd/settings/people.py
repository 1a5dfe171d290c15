"""Accounts, their passwords and sessions, and the mail about them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, SecretStr

from syncd.auth.rules import AccountRules, HashCost, MailRules, PasswordRules, SessionRules, SmtpServer

__all__ = ["PeopleSettings"]

_HASH = HashCost()
_PASSWORD = PasswordRules()
_SESSION = SessionRules()
_MAIL = MailRules()


class PeopleSettings(BaseModel):
    """The accounts of one server process."""

    accounts: bool = Field(False, description="people register and log in here, and each sees what he may")
    verified_email_only: bool = Field(
        AccountRules().verified_only, description="an account opens only once its e-mail address was verified"
    )
    registration: bool = Field(
        AccountRules().registration,
        description="anybody may make an account; else whom you invite has one, and whom a trusted issuer names",
    )
    password_classes: bool = Field(
        _PASSWORD.classes, description="a new password has a capital, a small letter, a digit and something else"
    )
    password_hash_passes: int = Field(_HASH.passes, ge=1, description="of argon2id over its memory, for one password")
    password_hash_bytes: int = Field(_HASH.memory_bytes, ge=8 * 1024, description="of memory for one password's hash")
    password_hash_lanes: int = Field(_HASH.lanes, ge=1, description="of argon2id, in which they are computed at once")
    password_workers: int = Field(2, ge=1, le=64, description="threads that hash passwords; others wait")
    session_idle_s: int = Field(
        _SESSION.idle_ms // 1000, ge=60, description="how long a session goes on when its device does not refresh it"
    )
    session_lifetime_s: int = Field(
        _SESSION.lifetime_ms // 1000, ge=60, description="how long a session goes on at all; then there is a new log-in"
    )
    refresh_rotation: bool = Field(
        _SESSION.rotate, description="each use of a refresh token brings another; without, it stays the same"
    )
    refresh_grace_s: int = Field(
        _SESSION.grace_ms // 1000, ge=0, description="how long the one before is still answered, if a reply was lost"
    )
    unverified_kept_s: int = Field(
        30 * 24 * 60 * 60, ge=3600, description="how long an account waits for its address to be verified"
    )
    export_kept_s: int = Field(
        7 * 24 * 60 * 60, ge=60, description="how long the file with all of a person's data can be fetched"
    )
    service_name: str = Field(_MAIL.service, description="what mails and second factors call this server")
    account_page: str | None = Field(None, description="the URL that mails link to, which takes the code behind its #")
    verify_code_s: int = Field(
        _MAIL.verify_code_ms // 1000, ge=60, description="how long a mailed code for an address works"
    )
    reset_code_s: int = Field(
        _MAIL.reset_code_ms // 1000, ge=60, description="how long a mailed code for a new password works"
    )
    mail_from: str = Field("syncd@localhost", description="the sender of mails, with or without a name")
    mail_folder: Path = Field(Path("mail"), description="where mails are written as files, without an SMTP server")
    mail_give_up_s: int = Field(
        _MAIL.give_up_ms // 1000, ge=60, description="how long a mail that cannot be sent is tried again"
    )
    smtp_server: str | None = Field(
        None, pattern=r"^[^\s:/]+:[0-9]{1,5}$", description="as host:port, such as mail.club.example:587"
    )
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="how the connection to it is encrypted; none is for a relay on this machine"
    )
    smtp_user: str | None = Field(None, description="the name for it, where it asks for one")
    smtp_password: SecretStr | None = Field(None, description="the password for it")

    @property
    def account_rules(self) -> AccountRules:
        """When an account opens."""
        return AccountRules(self.verified_email_only, self.registration)

    @property
    def hash_cost(self) -> HashCost:
        """What the hash of a password costs."""
        return HashCost(self.password_hash_passes, self.password_hash_bytes, self.password_hash_lanes)

    @property
    def password_rules(self) -> PasswordRules:
        """What a new password is like."""
        return PasswordRules(classes=self.password_classes)

    @property
    def session_rules(self) -> SessionRules:
        """How long a session goes on, and by which tokens."""
        return SessionRules(
            idle_ms=self.session_idle_s * 1000,
            lifetime_ms=self.session_lifetime_s * 1000,
            grace_ms=self.refresh_grace_s * 1000,
            rotate=self.refresh_rotation,
        )

    @property
    def mail_rules(self) -> MailRules:
        """What mails say, and how long they are tried."""
        return MailRules(
            service=self.service_name,
            page=self.account_page,
            verify_code_ms=self.verify_code_s * 1000,
            reset_code_ms=self.reset_code_s * 1000,
            give_up_ms=self.mail_give_up_s * 1000,
        )

    @property
    def smtp(self) -> SmtpServer | None:
        """Where mails are handed in; None: they are written to `mail_folder`."""
        if self.smtp_server is None:
            return None
        host, _, port = self.smtp_server.rpartition(":")
        password = None if self.smtp_password is None else self.smtp_password.get_secret_value()
        return SmtpServer(host, int(port), self.smtp_security, self.smtp_user, password)
