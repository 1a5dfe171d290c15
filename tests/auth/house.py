"""Everything of syncd.auth over one real SQLite file; clock and mail in the test's hand, argon2 as cheap as can be."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt

from syncd.auth.accounts import Accounts
from syncd.auth.api_keys import ApiKeys
from syncd.auth.authenticate import Authenticator
from syncd.auth.committer import Committer
from syncd.auth.identities import Identities
from syncd.auth.invitations import Invitations
from syncd.auth.log_in import LogIn
from syncd.auth.mail import Outbox
from syncd.auth.mail_texts import Mail
from syncd.auth.passwords import Passwords, Verified
from syncd.auth.revocations import Revocations, Revoked
from syncd.auth.rules import AccountRules, HashCost, PasswordRules, SessionRules
from syncd.auth.second_factor import SecondFactor
from syncd.auth.sessions import Device, Sessions, Tokens
from syncd.auth.standing import Standing
from syncd.errors import Unauthenticated
from syncd.store.accounts import AccountCommit, AccountRow, AccountStatus, AccountStore, AccountTransaction
from syncd.store.sqlite import SqliteStore
from tests.support.engine import SettableClock

CHEAP = HashCost(passes=1, memory_bytes=8 * 1024, lanes=1)
"""The least that argon2 allows: these tests are about what is hashed when, not about how hard it is to guess."""
SECRET = "a secret of tests that is long enough for HS256"
ISSUER = "https://sync.club.example"
ACCESS_S = 900
ANN, BOB = "ann@club.example", "bob@club.example"
PASSWORD = "four words in a row"


@dataclass(frozen=True)
class Token:
    """What was issued."""

    token: str
    expires_at_ms: int
    id: str


@dataclass(frozen=True)
class Said:
    """What a token says."""

    subject: str
    issuer: str
    session: str
    token_id: str
    roles: frozenset[str]
    expires_at_ms: int


@dataclass
class Tokenizer:
    """Issues and verifies real tokens, HS256 and no more: what syncd.auth needs of whoever does it in earnest."""

    clock: SettableClock
    made: int = 0
    verified: int = 0

    def issue(
        self,
        subject: str,
        *,
        session: str,
        roles: Collection[str] = (),
        issuer: str = ISSUER,
        lifetime_s: int = ACCESS_S,
    ) -> Token:
        self.made += 1
        expires_s = self.clock() // 1000 + lifetime_s
        claims = {"sub": subject, "iss": issuer, "sid": session, "jti": f"token-{self.made}", "exp": expires_s}
        text = jwt.encode({**claims, "roles": sorted(roles)}, SECRET, algorithm="HS256")
        return Token(text, expires_s * 1000, claims["jti"])  # type: ignore[arg-type]

    async def verify(self, token: str) -> Said:
        self.verified += 1
        try:
            said: dict[str, Any] = jwt.decode(token, SECRET, algorithms=["HS256"], options={"verify_exp": False})
        except jwt.InvalidTokenError as error:
            raise Unauthenticated("This token is not good.") from error
        if said["exp"] * 1000 <= self.clock():
            raise Unauthenticated("This token is over.")
        return Said(said["sub"], said["iss"], said["sid"], said["jti"], frozenset(said["roles"]), said["exp"] * 1000)


@dataclass
class Postbox:
    """Keeps what is sent."""

    mails: list[Mail] = field(default_factory=list)

    async def send(self, mail: Mail) -> None:
        self.mails.append(mail)

    def subjects(self, to: str) -> list[str]:
        """What mails to this address are about, oldest first, without the name of the server."""
        return [mail.subject.partition(": ")[2] for mail in self.mails if mail.to == to]

    def code(self, to: str) -> str:
        """The code in the last mail to this address."""
        (text,) = [mail.text for mail in self.mails if mail.to == to][-1:]
        (code,) = re.findall(r"syncd_code_\w+", text)
        return str(code)


class CountingPasswords(Passwords):
    """Counts the hashes: work done, which does not depend on how busy the machine is."""

    hashes = 0

    async def hash(self, password: str) -> str:
        self.hashes += 1
        return await super().hash(password)

    async def verify(self, password_hash: str | None, password: str) -> Verified:
        self.hashes += 1
        return await super().verify(password_hash, password)


class House:
    """The rooms, and a few things that tests do again and again."""

    def __init__(
        self,
        store: AccountStore,
        clock: SettableClock,
        account_rules: AccountRules,
        session_rules: SessionRules,
        cost: HashCost,
        password_rules: PasswordRules,
    ) -> None:
        self.store = store
        self.clock = clock
        self.tokens = Tokenizer(clock)
        self.postbox = Postbox()
        self.outbox = Outbox(store, self.postbox, clock)
        self.revocations = Revocations(clock)
        self.told: list[Revoked] = []
        self.revocations.on_revoked(self.told.append)
        self.committer = Committer(store, self.revocations, self.outbox.wake)
        self.passwords = CountingPasswords(cost, password_rules)
        self.accounts = Accounts(store, self.committer, self.passwords, clock, account_rules)
        self.standing = Standing(self.committer, clock)
        self.invitations = Invitations(self.committer, clock)
        self.second_factor = SecondFactor(self.committer, self.accounts, clock, issuer="The club")
        self.sessions = Sessions(store, self.committer, self.tokens, clock, session_rules)
        self.identities = Identities(store, self.committer, self.revocations, clock, account_rules)
        self.log_in = LogIn(store, self.committer, self.passwords, self.sessions, self.identities, clock, account_rules)
        self.api_keys = ApiKeys(store, self.committer, self.revocations, clock)
        self.authenticator = Authenticator(
            self.tokens,
            self.api_keys,
            self.identities,
            self.revocations,
            issuer=ISSUER,
            operator_token="operator's own",
        )

    async def member(self, email: str = ANN, password: str = PASSWORD) -> str:
        """An account whose address is verified; its id."""
        await self.accounts.register(email, password)
        await self.mails()
        return await self.accounts.verify_email(self.postbox.code(email))

    async def signed_in(self, email: str = ANN, device: str = "phone") -> Tokens:
        """A session of a member."""
        return await self.log_in.with_password(email, PASSWORD, Device(device))

    async def erase(self, account: str) -> None:
        """What is left of an account that was erased."""

        async def decide(tx: AccountTransaction) -> tuple[AccountCommit, None]:
            row = await tx.account(account)
            assert row is not None
            erased = AccountRow(row.id, row.created_at_ms, status=AccountStatus.ERASED)
            identities = [(identity.provider, identity.subject) for identity in await tx.identities_of(account)]
            return AccountCommit(accounts=[erased], dropped_identities=identities), None

        await self.committer.run(decide)

    async def mails(self) -> list[Mail]:
        """Send what waits; every mail that was ever sent."""
        while await self.outbox.send_due():
            pass
        return self.postbox.mails


@asynccontextmanager
async def open_house(
    path: Path,
    *,
    clock: SettableClock | None = None,
    account_rules: AccountRules | None = None,
    session_rules: SessionRules | None = None,
    cost: HashCost = CHEAP,
    password_rules: PasswordRules | None = None,
) -> AsyncIterator[House]:
    """A house on the database at `path`, its memory loaded from there."""
    store = await SqliteStore.open(path)
    house = House(
        store.accounts,
        clock or SettableClock(),
        account_rules or AccountRules(),
        session_rules or SessionRules(),
        cost,
        password_rules or PasswordRules(),
    )
    try:
        await house.revocations.load(store.accounts)
        yield house
    finally:
        await house.committer.close()
        house.passwords.close()
        await store.close()
