"""What sends mails: files, and a real SMTP server, with TLS and without."""

from __future__ import annotations

import asyncio
import email
import email.policy
import ssl
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from syncd.auth.mail import MailNotSent, MailRefused, Outbox
from syncd.auth.mail_texts import Mail
from syncd.auth.mailers import FileMailer, SmtpMailer
from syncd.auth.rules import SmtpServer
from tests.auth.house import ANN, PASSWORD, House

SENDER = "The club <post@club.example>"
NOON_MS = 1_763_640_000_000
MAIL = Mail(ANN, "The club: set a new password", "Enter this code:\n\n" + "x" * 200 + "\n\n.\n", NOON_MS)


@dataclass
class Server:
    """A mail server on this machine, and what it does."""

    envelopes: list[Envelope] = field(default_factory=list)
    refuse: str | None = None
    port: int = 0

    async def handle_RCPT(  # noqa: N802  # the library's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.refuse and self.refuse.startswith("rcpt"):
            return self.refuse.partition(" ")[2]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.refuse and self.refuse.startswith("data"):
            return self.refuse.partition(" ")[2]
        self.envelopes.append(envelope)
        return "250 taken"


@asynccontextmanager
async def serving(*, tls: ssl.SSLContext | None = None, **how: object) -> AsyncIterator[Server]:
    """A server on a free port. `tls`: from the first byte."""
    server, loop = Server(), asyncio.get_running_loop()
    listening = await loop.create_server(lambda: SMTP(server, loop=loop, **how), "127.0.0.1", 0, ssl=tls)  # type: ignore[arg-type]
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        await listening.wait_closed()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """Without TLS."""
    async with serving() as server:
        yield server


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1, with its key, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("certificate") / "mail.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def served_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


# Files.


async def test_each_mail_is_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "mail"
    mailer = FileMailer(folder, SENDER)
    await mailer.send(MAIL)
    await mailer.send(MAIL)
    first, second = sorted(folder.iterdir())
    assert first.suffix == second.suffix == ".eml"
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    message = email.message_from_bytes(first.read_bytes(), policy=email.policy.default)
    assert (message["From"], message["To"], message["Subject"]) == (SENDER, ANN, MAIL.subject)
    assert message["Date"].datetime == datetime.fromtimestamp(NOON_MS / 1000, UTC)
    assert message["Message-ID"].endswith("@club.example>")
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content().replace("\r\n", "\n") == MAIL.text


async def test_a_folder_that_cannot_be_written_to_is_for_later(tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("a file is in the way")
    with pytest.raises(MailNotSent):
        await FileMailer(tmp_path / "mail", SENDER).send(MAIL)


# SMTP.


async def test_a_mail_arrives(server: Server) -> None:
    await SmtpMailer(SmtpServer("127.0.0.1", server.port, "none"), SENDER).send(MAIL)
    (envelope,) = server.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == ("post@club.example", [ANN])
    assert isinstance(envelope.content, bytes)
    message = email.message_from_bytes(envelope.content, policy=email.policy.default)
    assert message.get_content().replace("\r\n", "\n") == MAIL.text
    assert max(map(len, envelope.content.split(b"\r\n"))) <= 998


async def test_from_the_command_to_the_mailbox(house: House, server: Server) -> None:
    outbox = Outbox(house.store, SmtpMailer(SmtpServer("127.0.0.1", server.port, "none"), SENDER), house.clock)
    await house.accounts.register(ANN, PASSWORD)
    await outbox.send_due()
    (envelope,) = server.envelopes
    assert isinstance(envelope.content, bytes)
    text = email.message_from_bytes(envelope.content, policy=email.policy.default).get_content()
    await house.accounts.verify_email(text.split("Enter this code:")[1].split()[0])
    assert await house.store.next_mail_at_ms() is None


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        ("rcpt 550 no such mailbox", MailRefused),
        ("rcpt 451 come again", MailNotSent),
        ("data 554 we do not like this", MailNotSent),
        ("data 452 full", MailNotSent),
    ],
)
async def test_only_a_mailbox_that_is_not_there_is_for_ever(server: Server, refusal: str, kind: type) -> None:
    server.refuse = refusal
    with pytest.raises(MailNotSent) as caught:
        await SmtpMailer(SmtpServer("127.0.0.1", server.port, "none"), SENDER).send(MAIL)
    assert type(caught.value) is kind
    assert ANN not in str(caught.value)


async def test_a_server_that_is_not_there_is_for_later() -> None:
    async with serving() as server:
        pass
    with pytest.raises(MailNotSent):
        await SmtpMailer(SmtpServer("127.0.0.1", server.port, "none"), SENDER).send(MAIL)


async def test_a_server_without_tls_is_refused_where_it_is_asked_for(server: Server) -> None:
    for security in ("starttls", "tls"):
        with pytest.raises(MailNotSent):
            await SmtpMailer(SmtpServer("127.0.0.1", server.port, security), SENDER).send(MAIL)  # type: ignore[arg-type]
    assert server.envelopes == []


async def test_starttls_with_a_password(certificate: Path) -> None:
    def check(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
        return AuthResult(success=data == LoginPassword(b"post", b"a secret"), handled=False)

    context = served_context(certificate)
    async with serving(tls_context=context, require_starttls=True, authenticator=check, auth_required=True) as server:
        how = SmtpServer("localhost", server.port, "starttls", "post", "a secret", trusting(certificate))
        await SmtpMailer(how, SENDER).send(MAIL)
        assert len(server.envelopes) == 1
        wrong = SmtpServer("localhost", server.port, "starttls", "post", "wrong", trusting(certificate))
        with pytest.raises(MailNotSent) as caught:
            await SmtpMailer(wrong, SENDER).send(MAIL)
        assert type(caught.value) is MailNotSent, "the operator will correct it"
        assert "535" in str(caught.value)
        assert "wrong" not in f"{caught.value} {wrong!r}"
        assert len(server.envelopes) == 1


async def test_tls_from_the_first_byte(certificate: Path) -> None:
    async with serving(tls=served_context(certificate)) as server:
        how = SmtpServer("localhost", server.port, "tls", tls_context=trusting(certificate))
        await SmtpMailer(how, SENDER).send(MAIL)
        assert len(server.envelopes) == 1


async def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: Path) -> None:
    async with serving(tls_context=served_context(certificate)) as server:
        with pytest.raises(MailNotSent):
            await SmtpMailer(SmtpServer("localhost", server.port, "starttls"), SENDER).send(MAIL)
        assert server.envelopes == []
