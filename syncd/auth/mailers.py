"""What sends mails: a folder, for development and for tests, and an SMTP server."""

from __future__ import annotations

import asyncio
import email.policy
import email.utils
import os
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Final

import aiosmtplib
import uuid_utils

from syncd.auth.mail import MailNotSent, MailRefused
from syncd.auth.mail_texts import Mail
from syncd.auth.rules import SmtpServer

__all__ = ["FileMailer", "SmtpMailer"]

_TIMEOUT_S: Final = 30.0


class FileMailer:
    """Writes each mail as an .eml file, which only the server's user may read: it may hold a code that works."""

    def __init__(self, folder: Path, sender: str) -> None:
        self._folder = folder
        self._sender = sender

    async def send(self, mail: Mail) -> None:
        """See `Mailer.send`."""
        try:
            await asyncio.to_thread(self._write, message_of(mail, self._sender).as_bytes())
        except OSError as error:
            raise MailNotSent(f"the folder cannot be written to: {error.strerror}") from error

    def _write(self, content: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Time-ordered, so that the newest stands last; under another name until it is whole.
        path = self._folder / f"{uuid_utils.uuid7()}.eml"
        unfinished = path.with_suffix(".part")
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        unfinished.rename(path)


class SmtpMailer:
    """Hands each mail to an SMTP server, over a connection of its own."""

    def __init__(self, server: SmtpServer, sender: str) -> None:
        self._server = server
        self._sender = sender

    async def send(self, mail: Mail) -> None:
        """See `Mailer.send`."""
        server = self._server
        try:
            await aiosmtplib.send(
                message_of(mail, self._sender),
                hostname=server.host,
                port=server.port,
                username=server.user,
                password=server.password,
                use_tls=server.security == "tls",
                start_tls=server.security == "starttls",
                tls_context=server.tls_context,
                timeout=_TIMEOUT_S,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = sorted({refusal.code for refusal in error.recipients})
            kind = MailRefused if all(code >= 500 for code in codes) else MailNotSent
            raise kind(f"the server does not take mail for this address ({codes})") from error
        except aiosmtplib.SMTPResponseException as error:
            raise MailNotSent(f"the server answered {error.code}") from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise MailNotSent(f"the server cannot be reached ({type(error).__name__})") from error


def message_of(mail: Mail, sender: str) -> EmailMessage:
    """A mail as RFC 5322 has it. `sender`: an address, with or without a name."""
    message = EmailMessage(policy=email.policy.SMTP)
    message["From"] = sender
    message["To"] = mail.to
    message["Subject"] = mail.subject
    message["Date"] = datetime.fromtimestamp(mail.at_ms / 1000, UTC)
    _, address = email.utils.parseaddr(sender)
    message["Message-ID"] = f"<{uuid_utils.uuid7()}@{address.rpartition('@')[2] or 'localhost'}>"
    # RFC 3834, section 5: nobody's holiday answers to it.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    return message
