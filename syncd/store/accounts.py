"""The AccountStore: what `syncd.auth` asks of a database, in types and prose.

An adapter knows rows. It makes no secret, compares none and sends no mail: it is handed finished rows, and of tokens
and codes only digests (SHA-256, 32 bytes), so that whoever reads the database cannot come in with what he finds.

The contract, to which `tests/conformance/test_account_store.py` holds every adapter:

- **Durable.** When `AccountTransaction.commit` has returned, a kill -9 of everything loses nothing of it.
- **Atomic.** A transaction that is left without a commit, or whose commit raises, leaves no trace. The mails that tell
  of a commit are rows of the same commit.
- **Serial.** Two transactions leave what they would leave if one had begun when the other had ended: what was read is
  still so when the commit is written. So an address is looked up and then taken, without a race.
- **Small.** A transaction may hold a lock that pushes wait for: nothing slow happens inside, least of all a password.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

__all__ = [
    "AccountCommit",
    "AccountReads",
    "AccountRow",
    "AccountStatus",
    "AccountStore",
    "AccountTransaction",
    "ApiKeyRow",
    "Barred",
    "CodeRow",
    "IdentityRow",
    "LinkUseRow",
    "MailRow",
    "RevokedTokenRow",
    "SessionRow",
]


class AccountStatus(StrEnum):
    """Whether an account may be used."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    ERASED = "erased"
    """The person is gone; the row stays, without anything personal, so that the id is never given again."""


def _shown(row: Any, *hidden: str) -> str:
    """How a row stands in a log or a traceback: without these fields."""
    fields = (f"{name}={value!r}" for name, value in row._asdict().items() if name not in hidden)
    return f"{type(row).__name__}({', '.join(fields)})"


class AccountRow(NamedTuple):
    """Somebody. `id`: a UUIDv7, for ever.

    `email`: normalised, of one account at most; None for who came by tokens of others, and for the erased.
    `verified_at_ms`: when it was shown that he reads mail sent there. `password_hash`: argon2's text, None for none.
    `roles`: in the whole app; `tier`: of its rate limits, "" for the ordinary one; `roles_at_ms`: when either was last
    changed. `totp_secret`: base32, None for no second factor; it counts from `totp_since_ms`, None until it was
    confirmed; `totp_step`: the last one that was used (RFC 6238, section 5.2).
    """

    id: str
    created_at_ms: int
    email: str | None = None
    verified_at_ms: int | None = None
    password_hash: str | None = None
    name: str = ""
    status: AccountStatus = AccountStatus.ACTIVE
    roles: frozenset[str] = frozenset()
    roles_at_ms: int = 0
    tier: str = ""
    totp_secret: str | None = None
    totp_since_ms: int | None = None
    totp_step: int = 0

    @property
    def all_roles(self) -> frozenset[str]:
        """What tokens say: the roles, and the tier, by which limits tell it."""
        return self.roles | {self.tier} if self.tier else self.roles

    def __repr__(self) -> str:
        return _shown(self, "password_hash", "totp_secret")


class IdentityRow(NamedTuple):
    """Who an account is elsewhere, for as long as it is there: the `subject` of a `provider`, such as an issuer of
    tokens.
    """

    provider: str
    subject: str
    account: str
    created_at_ms: int


class SessionRow(NamedTuple):
    """One signed-in device, and the family of its refresh tokens.

    `family`: digest of the part that all of them share; `current`: of the rest of the newest, `previous`: of the one
    before, None before the first rotation. `salt`: what the newest was made of, with the one before. `expires_at_ms`:
    when it ends whatever happens. `device_id`: the device's own name for itself, "" if it has none.
    """

    id: str
    account: str
    family: bytes
    current: bytes
    created_at_ms: int
    used_at_ms: int
    expires_at_ms: int
    previous: bytes | None = None
    salt: bytes = b""
    rotated_at_ms: int | None = None
    device_id: str = ""
    device_name: str = ""
    platform: str = ""
    revoked_at_ms: int | None = None
    revoked_why: str = ""

    def __repr__(self) -> str:
        return _shown(self, "family", "current", "previous", "salt")


class CodeRow(NamedTuple):
    """A one-time code. `email`: where it was sent, "" if it was not sent. `expires_at_ms`: None for never."""

    digest: bytes
    purpose: str
    account: str
    created_at_ms: int
    expires_at_ms: int | None = None
    email: str = ""
    used_at_ms: int | None = None

    def __repr__(self) -> str:
        return _shown(self, "digest")


class ApiKeyRow(NamedTuple):
    """A key for scripts, which acts as its account. `scopes`: the only ones it opens; None: all that he may."""

    id: str
    account: str
    digest: bytes
    name: str
    created_at_ms: int
    used_at_ms: int | None = None
    expires_at_ms: int | None = None
    revoked_at_ms: int | None = None
    scopes: frozenset[str] | None = None

    def __repr__(self) -> str:
        return _shown(self, "digest")


class RevokedTokenRow(NamedTuple):
    """A single access token that is no longer taken, by its id (`jti`), until it would have ended anyway."""

    id: str
    revoked_at_ms: int
    expires_at_ms: int


class MailRow(NamedTuple):
    """A mail to be sent. `kind`: of which there is a template; `account`: "" if the address has none.

    It holds no code: that is made when the mail is sent. `due_at_ms`: when to try next.
    """

    id: str
    kind: str
    to: str
    account: str
    created_at_ms: int
    due_at_ms: int
    attempts: int = 0


class LinkUseRow(NamedTuple):
    """How often a share link has opened something, and when last."""

    link: str
    uses: int
    used_at_ms: int


@dataclass(frozen=True, slots=True)
class Barred:
    """What is turned away although it looks right, for whoever keeps it in memory.

    `sessions`, `keys`: when each was revoked. `tokens`: when each ends. `accounts`: those that are not active.
    `roles`: of accounts whose roles were changed, tier included, and when.
    """

    sessions: Mapping[str, int] = field(default_factory=dict)
    keys: Mapping[str, int] = field(default_factory=dict)
    tokens: Mapping[str, int] = field(default_factory=dict)
    accounts: Mapping[str, AccountStatus] = field(default_factory=dict)
    roles: Mapping[str, tuple[frozenset[str], int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AccountCommit:
    """Everything that one transaction writes. Each row takes the place of the one with the same key, if there is one;
    only an identity is written once.

    `dropped_codes`: (account, purpose): those that are not used yet go, and so do mails of a kind of that name, which
    would bring another one, before `codes` and `mails` are written. `dropped_mails`: by id, those that were sent or
    given up. `dropped_identities`: (provider, subject) of those who were erased. `emptied`: accounts of which every
    session, identity, API key, code and mail goes, before anything is written.
    """

    accounts: Sequence[AccountRow] = ()
    identities: Sequence[IdentityRow] = ()
    sessions: Sequence[SessionRow] = ()
    codes: Sequence[CodeRow] = ()
    api_keys: Sequence[ApiKeyRow] = ()
    revoked_tokens: Sequence[RevokedTokenRow] = ()
    mails: Sequence[MailRow] = ()
    link_uses: Sequence[LinkUseRow] = ()
    dropped_codes: Sequence[tuple[str, str]] = ()
    dropped_mails: Sequence[str] = ()
    dropped_identities: Sequence[tuple[str, str]] = ()
    emptied: Sequence[str] = ()


class AccountReads(Protocol):
    """What can be asked, inside of a transaction and outside. What is not there is None, or absent."""

    async def account(self, id: str) -> AccountRow | None:
        """By id; erased ones too."""
        ...

    async def account_by_email(self, email: str) -> AccountRow | None:
        """By its normalised address."""
        ...

    async def account_by_identity(self, provider: str, subject: str) -> AccountRow | None:
        """By who it is elsewhere."""
        ...

    async def accounts(self, *, after: str = "", limit: int) -> Sequence[AccountRow]:
        """By id, those above `after`, at most `limit`; erased ones too."""
        ...

    async def identities_of(self, account: str) -> Sequence[IdentityRow]:
        """Who an account is elsewhere, by provider and subject."""
        ...

    async def session(self, id: str) -> SessionRow | None:
        """By id, whatever has become of it."""
        ...

    async def session_by_family(self, family: bytes) -> SessionRow | None:
        """By the digest of what its refresh tokens share, whatever has become of it."""
        ...

    async def sessions_of(self, account: str) -> Sequence[SessionRow]:
        """Those that were not revoked, oldest first; expired ones too, until they are swept."""
        ...

    async def code(self, digest: bytes) -> CodeRow | None:
        """By its digest, used or not."""
        ...

    async def codes_of(self, account: str, purpose: str) -> Sequence[CodeRow]:
        """Those that are not used yet; expired ones too, until they are swept."""
        ...

    async def api_key(self, id: str) -> ApiKeyRow | None:
        """By id, whatever has become of it."""
        ...

    async def api_keys_of(self, account: str) -> Sequence[ApiKeyRow]:
        """All of an account's, oldest first, until they are swept."""
        ...

    async def mail(self, id: str) -> MailRow | None:
        """By id, until it is dropped."""
        ...

    async def mails_due(self, now_ms: int, *, limit: int) -> Sequence[MailRow]:
        """Those to try now, the longest due first."""
        ...

    async def next_mail_at_ms(self) -> int | None:
        """When the next mail is due; None if none waits."""
        ...

    async def link_uses(self, links: Collection[str]) -> Sequence[LinkUseRow]:
        """Of these links, those that were used, by id."""
        ...

    async def barred(self, since_ms: int, now_ms: int) -> Barred:
        """What is turned away: of sessions, keys and roles what was changed at `since_ms` or later; every account that
        is not active; tokens that have not ended.
        """
        ...


class AccountTransaction(AccountReads, Protocol):
    """A writing transaction; it reads what it is going to change."""

    async def commit(self, commit: AccountCommit) -> None:
        """Write everything and make it durable. Called at most once, last.

        Raises `StoreUnavailable` if the database could not take it, `StoreError` if an address, an identity or a
        digest belongs to another row; then nothing of it was written.
        """
        ...


class AccountStore(AccountReads, Protocol):
    """The accounts of one database. Each read outside of a transaction is of its own moment."""

    def transaction(self) -> AbstractAsyncContextManager[AccountTransaction]:
        """Open a writing transaction; leaving the block without a commit, or by an exception, rolls it back."""
        ...

    async def sweep(self, before_ms: int) -> int:
        """Forget what ended before that moment: sessions and keys that expired or were revoked, codes that were used
        or expired, revoked tokens; how many rows went.

        It lies further back than a token lives, or a start would not know of a revocation that still matters.
        """
        ...

    async def purge_unverified(self, before_ms: int) -> int:
        """Delete the accounts that were made before that moment, and whose address nobody ever verified; how many.

        Only those in which nobody has ever been: with no session, identity or API key.
        """
        ...
