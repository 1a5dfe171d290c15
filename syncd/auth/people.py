"""Everything of accounts that one server runs, put together once.

    async with open_people(store, ...) as people: ...

What is opened here is closed in the order that loses nothing: mail first, then what is still to be written.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from syncd.auth.accounts import Accounts
from syncd.auth.api_keys import ApiKeys
from syncd.auth.authenticate import Authenticator, OpenLink, Verifier
from syncd.auth.committer import Committer
from syncd.auth.identities import Identities
from syncd.auth.invitations import Invitations
from syncd.auth.leaving import Leaving
from syncd.auth.link_uses import LinkUses
from syncd.auth.log_in import LogIn
from syncd.auth.mail import Mailer, Outbox
from syncd.auth.passwords import Passwords
from syncd.auth.revocations import Revocations
from syncd.auth.rules import PeopleRules
from syncd.auth.second_factor import SecondFactor
from syncd.auth.sessions import AccessTokens, Sessions
from syncd.auth.standing import Standing
from syncd.store.accounts import AccountStore

__all__ = ["People", "open_people"]


@dataclass(frozen=True, slots=True)
class People:
    """The use cases of accounts."""

    accounts: Accounts
    log_in: LogIn
    sessions: Sessions
    second_factor: SecondFactor
    standing: Standing
    invitations: Invitations
    leaving: Leaving
    api_keys: ApiKeys
    link_uses: LinkUses
    identities: Identities
    revocations: Revocations
    authenticator: Authenticator
    store: AccountStore


@asynccontextmanager
async def open_people(
    store: AccountStore,
    tokens: AccessTokens,
    verifier: Verifier,
    mailer: Mailer,
    now_ms: Callable[[], int],
    rules: PeopleRules,
    *,
    issuer: str,
    links: Mapping[str, OpenLink] | None = None,
) -> AsyncIterator[People]:
    """`issuer`: as our own tokens name it. `links`: by the prefix of their text, what opens share links."""
    async with AsyncExitStack() as undo:
        passwords = Passwords(rules.hash_cost, rules.passwords, workers=rules.hash_workers)
        undo.callback(passwords.close)
        outbox = Outbox(store, mailer, now_ms, rules.mail)
        revocations = Revocations(now_ms, kept_ms=rules.kept_ms, leeway_ms=rules.leeway_ms)
        committer = Committer(store, revocations, outbox.wake)
        undo.push_async_callback(committer.close)
        api_keys = ApiKeys(store, committer, revocations, now_ms)
        undo.push_async_callback(api_keys.write_uses)
        link_uses = LinkUses(store, committer, now_ms)
        undo.push_async_callback(link_uses.write)
        accounts = Accounts(store, committer, passwords, now_ms, rules.accounts)
        second_factor = SecondFactor(committer, accounts, now_ms, issuer=rules.mail.service)
        sessions = Sessions(store, committer, tokens, now_ms, rules.sessions)
        identities = Identities(store, committer, revocations, now_ms, rules.accounts)
        # Before the first request: what was revoked must not open anything for a moment.
        await revocations.load(store)
        sending = asyncio.create_task(outbox.run(), name="outbox")
        undo.push_async_callback(_ended, sending)
        yield People(
            accounts,
            LogIn(store, committer, passwords, sessions, identities, now_ms, rules.accounts),
            sessions,
            second_factor,
            Standing(committer, now_ms, rules.leeway_ms),
            Invitations(committer, now_ms),
            Leaving(store, committer, accounts, second_factor),
            api_keys,
            link_uses,
            identities,
            revocations,
            Authenticator(verifier, api_keys, identities, revocations, issuer=issuer, links=links),
            store,
        )


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
