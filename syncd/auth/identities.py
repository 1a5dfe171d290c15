"""Who somebody is elsewhere, and which account that is here: the same for ever, made at first sight.

An address alone makes nobody the owner of an account. Where a provider has verified it, and so have we, it is the same
person. If only the provider has, whoever registered it here is a stranger: his password, sessions and keys go.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple, Protocol

from syncd.auth.accounts import (
    checked_name,
    ended_keys,
    ended_sessions,
    new_account,
    registration_closed,
    without_second_factor,
)
from syncd.auth.codes import Purpose
from syncd.auth.committer import Committer
from syncd.auth.email_address import normal_email
from syncd.auth.remembered import Remembered
from syncd.auth.revocations import Revocations, Revoked
from syncd.auth.rules import AccountRules
from syncd.errors import InvalidMessage
from syncd.store.accounts import AccountCommit, AccountRow, AccountStore, AccountTransaction, IdentityRow

__all__ = ["Identities", "Identity", "Known"]

_REMEMBERED: Final = 10_000


class Identity(Protocol):
    """What a provider's token says, verified by whoever hands it on. Texts are "" for what it does not say."""

    @property
    def provider(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def email(self) -> str: ...
    @property
    def email_verified(self) -> bool: ...
    @property
    def name(self) -> str: ...


class Known(NamedTuple):
    """Somebody from elsewhere. `roles`: those that he was given here."""

    account: str
    roles: frozenset[str]


class Identities:
    """From (provider, subject) to an account."""

    def __init__(
        self,
        store: AccountStore,
        committer: Committer,
        revocations: Revocations,
        now_ms: Callable[[], int],
        rules: AccountRules | None = None,
    ) -> None:
        self._rules = rules or AccountRules()
        self._store = store
        self._commit = committer.run
        self._now_ms = now_ms
        self._remembered: Remembered[tuple[str, str], Known] = Remembered(_REMEMBERED)
        revocations.on_revoked(self._forget)

    async def known(self, provider: str, subject: str) -> Known:
        """The account of somebody who brings a token of a trusted issuer. An address in it counts for nothing here.

        Of the last ones to come it is known without a look into the database.
        """
        known = self._remembered.get((provider, subject))
        if known is not None:
            return known
        ticket = self._remembered.ticket()
        found = await self._store.account_by_identity(provider, subject)
        if found is None:
            known = Known(await self._linked(provider, subject, "", "", made=True), frozenset())
        else:
            known = Known(found.id, found.all_roles)
            self._remembered.put((provider, subject), known, ticket)
        return known

    async def signed_in(self, identity: Identity) -> str:
        """The account of somebody who signs in by a provider, whose word on a verified address counts.

        Raises `Forbidden` where it would have to be made, and nobody registers.
        """
        address, name = _address(identity), _name_of(identity.name)
        return await self._linked(identity.provider, identity.subject, address, name, made=self._rules.registration)

    def _forget(self, revoked: Revoked) -> None:
        self._remembered.forget(lambda known: known.account in revoked.changed | revoked.accounts)

    async def _linked(self, provider: str, subject: str, email: str, name: str, *, made: bool) -> str:
        """`made`: whether an account may be made, if there is none."""

        async def decide(tx: AccountTransaction) -> tuple[AccountCommit | None, str]:
            known = await tx.account_by_identity(provider, subject)
            if known is not None:
                return None, known.id
            now_ms = self._now_ms()
            row = await tx.account_by_email(email) if email else None
            commit = AccountCommit()
            if row is None and not made:
                raise registration_closed()
            if row is None:
                row = new_account(now_ms)._replace(
                    email=email or None, verified_at_ms=now_ms if email else None, name=name
                )
                commit = AccountCommit(accounts=[row])
            elif row.verified_at_ms is None:
                commit = await self._taken_over(tx, row, now_ms)
            link = IdentityRow(provider, subject, row.id, now_ms)
            return replace(commit, identities=[link]), row.id

        return await self._commit(decide)

    async def _taken_over(self, tx: AccountTransaction, row: AccountRow, now_ms: int) -> AccountCommit:
        return AccountCommit(
            accounts=[without_second_factor(row)._replace(verified_at_ms=now_ms, password_hash=None)],
            sessions=await ended_sessions(tx, row.id, now_ms, "the address's owner has come"),
            api_keys=await ended_keys(tx, row.id, now_ms),
            dropped_codes=[(row.id, purpose) for purpose in Purpose],
        )


def _address(identity: Identity) -> str:
    if not identity.email_verified:
        return ""
    try:
        return normal_email(identity.email)
    except InvalidMessage:
        return ""


def _name_of(text: str) -> str:
    """A provider's text is taken as far as it is a name here; nobody could correct it."""
    try:
        return checked_name(text)
    except InvalidMessage:
        return ""
