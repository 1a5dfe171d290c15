"""API keys: what a script shows in the place of a log-in. A key acts as its account, in all scopes or in a few.

`syncd_key_<16 hex digits>_<49 letters and digits>`: scanners find a leaked one by that form, and its checksum tells one
that was mistyped from one that is no longer taken.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from conflict_rules.values import valid_scope
from syncd.auth.accounts import checked_name, existing
from syncd.auth.committer import Committer
from syncd.auth.refresh_tokens import LOG_IN
from syncd.auth.remembered import Remembered
from syncd.auth.revocations import Revocations, Revoked
from syncd.auth.secret_text import digest, new_secret, read, same, write
from syncd.errors import Forbidden, InvalidMessage, NotFound, Unauthenticated
from syncd.store.accounts import AccountCommit, AccountStore, AccountTransaction, ApiKeyRow

__all__ = ["PREFIX", "ApiKeys", "Grant", "Key", "NewKey"]

PREFIX: Final = "syncd_key_"
_MAX_KEYS: Final = 100
"""Of one account, revoked and expired ones included until they are swept."""
_MAX_SCOPES: Final = 100
_JUST_NOW_MS: Final = 10 * 60 * 1000
_REMEMBERED: Final = 10_000
_ANOTHER: Final = "Make another API key, and put it in this one's place."


@dataclass(frozen=True, slots=True)
class Key:
    """A key, for its owner to look at. `used_at_ms`: the last time that was written down, a while ago at most."""

    id: str
    name: str
    created_at_ms: int
    used_at_ms: int | None
    expires_at_ms: int | None
    revoked_at_ms: int | None
    scopes: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made. `text` is not shown again."""

    text: str = field(repr=False)
    key: Key


@dataclass(frozen=True, slots=True)
class Grant:
    """What a key opens. `roles`: the account's. `scopes`: the only ones; None: all that the account may."""

    id: str
    account: str
    roles: frozenset[str]
    scopes: frozenset[str] | None
    expires_at_ms: int | None


class ApiKeys:
    """The use cases of keys."""

    def __init__(
        self, store: AccountStore, committer: Committer, revocations: Revocations, now_ms: Callable[[], int]
    ) -> None:
        self._store = store
        self._commit = committer.run
        self._revocations = revocations
        self._now_ms = now_ms
        self._grants: Remembered[bytes, Grant] = Remembered(_REMEMBERED)
        self._used: dict[str, int] = {}
        revocations.on_revoked(self._forget)

    async def takes_password(self, account: str, session: str) -> bool:
        """Whether the owner, who asks by `session`, makes a key by the account's password only: the caller looks at it.

        A stolen access token would else become a key, which does not end. Where there is no password, the session is
        to be of the last ten minutes; raises `Forbidden` if it is older, `NotFound` without an account.
        """
        if (await existing(self._store, account)).password_hash is not None:
            return True
        row = await self._store.session(session)
        if row is None or self._now_ms() - row.created_at_ms >= _JUST_NOW_MS:
            raise Forbidden(
                "This account has no password, and the log-in was more than ten minutes ago.",
                code="log_in_needed",
                hint="Log in once more and make the key then; or set a password by way of 'forgot password'.",
            )
        return False

    async def create(
        self,
        account: str,
        name: str,
        *,
        scopes: Collection[str] | None = None,
        lifetime_ms: int | None = None,
        session: str = "",
    ) -> NewKey:
        """Make a key. `lifetime_ms`: None for one that does not expire. `session`: by which the owner asks, "" for
        whoever runs the server.

        Raises `InvalidMessage` for a name, a scope or a number of keys that cannot be, `NotFound` without an account,
        `Unauthenticated` if the session has been ended meanwhile.
        """
        name, only = checked_name(name), _checked_scopes(scopes)
        if lifetime_ms is not None and lifetime_ms <= 0:
            raise InvalidMessage("A key lives for some time.", code="invalid_lifetime", field="lifetime")
        id_, secret = secrets.token_hex(8), new_secret()

        async def decide(tx: AccountTransaction) -> tuple[AccountCommit, Key]:
            await existing(tx, account)
            if session and not await _goes_on(tx, session):
                # By a new password, say, while the old one was being looked at: no key may slip through behind it.
                raise Unauthenticated("This session has ended.", code="session_ended", hint=LOG_IN)
            if len(await tx.api_keys_of(account)) >= _MAX_KEYS:
                raise InvalidMessage(
                    f"An account has at most {_MAX_KEYS} API keys.", code="too_many_keys", hint="Revoke some first."
                )
            now_ms = self._now_ms()
            expires_at_ms = None if lifetime_ms is None else now_ms + lifetime_ms
            row = ApiKeyRow(id_, account, digest(secret), name, now_ms, expires_at_ms=expires_at_ms, scopes=only)
            return AccountCommit(api_keys=[row]), _key(row)

        return NewKey(write(PREFIX, id_, secret), await self._commit(decide))

    async def verify(self, text: str) -> Grant:
        """What a key opens; raises `Unauthenticated`, with a code that says why, if it opens nothing.

        Whether its account is suspended is not asked here. A key that was used before takes no look into the database.
        """
        whole = digest(text)
        grant = self._grants.get(whole) or await self._look_up(text, whole)
        if self._revocations.ended(grant.id):
            raise Unauthenticated("This API key was revoked.", code="api_key_revoked", hint=_ANOTHER)
        if grant.expires_at_ms is not None and grant.expires_at_ms <= self._now_ms():
            raise Unauthenticated("This API key has expired.", code="api_key_expired", hint=_ANOTHER)
        self._used[grant.id] = self._now_ms()
        return grant

    async def keys(self, account: str) -> Sequence[Key]:
        """All keys of an account, oldest first; those that were revoked or have expired too, for a while."""
        return [_key(row) for row in await self._store.api_keys_of(account)]

    async def revoke(self, account: str, key: str) -> None:
        """End a key of an account; raises `NotFound` if it has none of that id. One that was revoked stays so."""

        async def decide(tx: AccountTransaction) -> tuple[AccountCommit | None, None]:
            row = await tx.api_key(key)
            if row is None or row.account != account:
                raise NotFound("There is no API key of that id.", code="no_such_key", hint="List the keys again.")
            if row.revoked_at_ms is not None:
                return None, None
            return AccountCommit(api_keys=[row._replace(revoked_at_ms=self._now_ms())]), None

        await self._commit(decide)

    async def write_uses(self) -> int:
        """Write down when keys were last used, all at once; now and then, and before the store is closed."""
        used, self._used = self._used, {}

        async def decide(tx: AccountTransaction) -> tuple[AccountCommit | None, int]:
            rows = [(await tx.api_key(id_), at_ms) for id_, at_ms in used.items()]
            changed = [row._replace(used_at_ms=at_ms) for row, at_ms in rows if row is not None]
            return (AccountCommit(api_keys=changed) if changed else None), len(changed)

        return await self._commit(decide) if used else 0

    async def _look_up(self, text: str, whole: bytes) -> Grant:
        parts = read(PREFIX, text, 2)
        if parts is None:
            raise Unauthenticated(
                "This API key is mistyped: it is not as it was given out.", code="api_key_malformed", hint=_ANOTHER
            )
        ticket = self._grants.ticket()
        row = await self._store.api_key(parts[0])
        if row is None or not same(row.digest, digest(parts[1])):
            raise Unauthenticated("There is no such API key here.", code="api_key_unknown", hint=_ANOTHER)
        if row.revoked_at_ms is not None:
            raise Unauthenticated("This API key was revoked.", code="api_key_revoked", hint=_ANOTHER)
        account = await self._store.account(row.account)
        roles = frozenset[str]() if account is None else account.all_roles
        grant = Grant(row.id, row.account, roles, row.scopes, row.expires_at_ms)
        self._grants.put(whole, grant, ticket)
        return grant

    def _forget(self, revoked: Revoked) -> None:
        self._grants.forget(lambda grant: grant.id in revoked.sessions or grant.account in revoked.changed)


async def _goes_on(tx: AccountTransaction, session: str) -> bool:
    row = await tx.session(session)
    return row is not None and row.revoked_at_ms is None


def _key(row: ApiKeyRow) -> Key:
    return Key(row.id, row.name, row.created_at_ms, row.used_at_ms, row.expires_at_ms, row.revoked_at_ms, row.scopes)


def _checked_scopes(scopes: Collection[str] | None) -> frozenset[str] | None:
    if scopes is None:
        return None
    if len(scopes) > _MAX_SCOPES or not all(valid_scope(scope) for scope in scopes):
        raise InvalidMessage(
            f"A key is restricted to scopes by their names, at most {_MAX_SCOPES}.",
            code="invalid_scope",
            hint="A scope's name is 1 to 200 of A-Z a-z 0-9 _ . : ~ @ -",
            field="scopes",
        )
    return frozenset(scopes)
