"""Sessions: signed-in devices. Each is opened by `LogIn`, kept by its refresh token, and ended by its owner, by a new
password, or by a refresh token that somebody shows who should not have it.

Knows no password and no HTTP. A session of a suspended account stays, and refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog
import uuid_utils

from syncd.auth.committer import Committer
from syncd.auth.refresh_tokens import (
    LOG_IN,
    Verdict,
    judge,
    new_refresh_token,
    read_refresh_token,
    renewed,
    reused_refresh_token,
    unknown_refresh_token,
    wrong_device,
)
from syncd.auth.rules import SessionRules
from syncd.auth.secret_text import digest
from syncd.errors import Forbidden, InvalidMessage, NotFound, Unauthenticated
from syncd.store.accounts import (
    AccountCommit,
    AccountRow,
    AccountStatus,
    AccountStore,
    AccountTransaction,
    SessionRow,
)

__all__ = [
    "LOGGED_IN_ANEW",
    "LOGGED_OUT",
    "REUSED",
    "SENT_AWAY",
    "AccessTokens",
    "Device",
    "Issued",
    "Sessions",
    "SignedIn",
    "Tokens",
    "check_may_sign_in",
]

log = structlog.get_logger(__name__)

_MAX_SESSIONS: Final = 100
"""Of one account; beyond that, the ones that were used longest ago end."""
_MAX_DEVICE_LENGTH: Final = 100

LOGGED_OUT: Final = "logged out"
"""Why a session was ended: its own device said so."""
LOGGED_IN_ANEW: Final = "logged in anew"
"""Its device has another now."""
SENT_AWAY: Final = "sent away"
"""Somebody else said so: its owner from another device, or whoever runs the server."""
REUSED: Final = "refresh token reused"
"""Somebody had a copy of it."""


class Issued(Protocol):
    """An access token that was made."""

    @property
    def token(self) -> str: ...
    @property
    def expires_at_ms(self) -> int: ...
    @property
    def id(self) -> str: ...


class AccessTokens(Protocol):
    """Whoever makes access tokens."""

    def issue(self, subject: str, *, session: str, roles: Collection[str] = ()) -> Issued:
        """A token for an account, which ends soon."""
        ...


@dataclass(frozen=True, slots=True)
class Device:
    """What a device says about itself. `id`: its own; with one, a session is bound to it."""

    id: str = ""
    name: str = ""
    platform: str = ""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a device gets. `refresh`: None if it keeps the one it has; it ends unless it is used before then."""

    account: str
    session: str
    access: str = field(repr=False)
    access_expires_at_ms: int
    refresh: str | None = field(repr=False)
    refresh_expires_at_ms: int


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session, for its owner to look at. `current`: it is the one that asks."""

    id: str
    device: Device
    created_at_ms: int
    used_at_ms: int
    expires_at_ms: int
    current: bool


_Refreshed = tuple[SessionRow, AccountRow | None, str | None]
"""The session, its account (None if it has just been ended), the next refresh token."""


class Sessions:
    """The use cases of sessions; `LogIn` opens them."""

    def __init__(
        self,
        store: AccountStore,
        committer: Committer,
        access: AccessTokens,
        now_ms: Callable[[], int],
        rules: SessionRules | None = None,
    ) -> None:
        self._store = store
        self._commit = committer.run
        self._access = access
        self._now_ms = now_ms
        self._rules = rules or SessionRules()

    async def begun(self, tx: AccountTransaction, account: str, device: Device) -> tuple[Sequence[SessionRow], str]:
        """The rows that open a session, its own first, and its refresh token.

        The device's earlier session ends, and so does the oldest if there are too many. Raises `InvalidMessage` if the
        device says too much.
        """
        _check_device(device)
        now_ms = self._now_ms()
        shown = new_refresh_token()
        row = SessionRow(
            id=str(uuid_utils.uuid7()),
            account=account,
            family=digest(shown.family),
            current=digest(shown.secret),
            created_at_ms=now_ms,
            used_at_ms=now_ms,
            expires_at_ms=now_ms + self._rules.lifetime_ms,
            device_id=device.id,
            device_name=device.name,
            platform=device.platform,
        )
        others = await tx.sessions_of(account)
        anew = [other for other in others if device.id and other.device_id == device.id]
        kept = sorted((other for other in others if other not in anew), key=lambda other: other.used_at_ms)
        ended = [_ended(other, now_ms, LOGGED_IN_ANEW) for other in anew]
        ended += [_ended(other, now_ms, "too many sessions") for other in kept[: max(0, len(kept) + 1 - _MAX_SESSIONS)]]
        return [row, *ended], shown.text

    def tokens(self, account: AccountRow, session: SessionRow, refresh: str | None) -> Tokens:
        """What the device of a session is given, with a new access token."""
        issued = self._access.issue(account.id, session=session.id, roles=account.all_roles)
        return Tokens(
            account=account.id,
            session=session.id,
            access=issued.token,
            access_expires_at_ms=issued.expires_at_ms,
            refresh=refresh,
            refresh_expires_at_ms=self._ends_at_ms(session),
        )

    async def refresh(self, token: str, *, device_id: str = "") -> Tokens:
        """A new access token, and with rotation a new refresh token, for this one.

        Raises `Unauthenticated` if it opens nothing, `Forbidden` if its account is suspended.
        """
        shown = read_refresh_token(token)

        async def decide(tx: AccountTransaction) -> tuple[AccountCommit, _Refreshed]:
            now_ms = self._now_ms()
            row = await tx.session_by_family(digest(shown.family))
            if row is None:
                raise unknown_refresh_token()
            if row.revoked_at_ms is not None or self._ends_at_ms(row) <= now_ms:
                raise _over()
            verdict = judge(row, shown, now_ms, grace_ms=self._rules.grace_ms)
            if verdict is Verdict.REUSED:
                ended = _ended(row, now_ms, REUSED)
                return AccountCommit(sessions=[ended]), (ended, None, None)
            if row.device_id and row.device_id != device_id:
                # Refused and no more: what a device calls itself is no secret, and a mistake in it ends no session.
                raise wrong_device()
            account = await tx.account(row.account)
            check_may_sign_in(account)
            row, refresh = renewed(row, shown, verdict, now_ms, rotate=self._rules.rotate)
            return AccountCommit(sessions=[row]), (row, account, refresh)

        session, account, refresh = await self._commit(decide)
        if account is None:
            log.warning("refresh_token_reused", session=session.id, account=session.account)
            raise reused_refresh_token()
        return self.tokens(account, session, refresh)

    async def log_out_by_token(self, token: str) -> None:
        """End the session of a refresh token, for a device whose access token is over. Nothing is said if it opens
        nothing.
        """
        try:
            shown = read_refresh_token(token)
        except Unauthenticated:
            return

        async def decide(tx: AccountTransaction) -> tuple[AccountCommit | None, None]:
            row = await tx.session_by_family(digest(shown.family))
            if row is None or row.revoked_at_ms is not None:
                return None, None
            return AccountCommit(sessions=[_ended(row, self._now_ms(), LOGGED_OUT)]), None

        await self._commit(decide)

    async def log_out(self, account: str, session: str, *, asking: str = "") -> None:
        """End one session of an account, if it goes on; raises `NotFound` if there is none of that id. `asking`: the
        session that asks, "" if it is none of the account's.
        """

        async def decide(tx: AccountTransaction) -> tuple[AccountCommit | None, None]:
            row = await tx.session(session)
            if row is None or row.account != account:
                raise NotFound(
                    "There is no session of that id.", code="no_such_session", hint="List the devices again."
                )
            if row.revoked_at_ms is not None:
                return None, None
            return AccountCommit(sessions=[_ended(row, self._now_ms(), _why(row, asking))]), None

        await self._commit(decide)

    async def log_out_everywhere(self, account: str, *, keep_session: str = "", asking: str = "") -> int:
        """End every session of an account but `keep_session`; how many that were. `asking`: as in `log_out`."""

        async def decide(tx: AccountTransaction) -> tuple[AccountCommit, int]:
            rows = [row for row in await tx.sessions_of(account) if row.id != keep_session]
            return AccountCommit(sessions=[_ended(row, self._now_ms(), _why(row, asking)) for row in rows]), len(rows)

        return await self._commit(decide)

    async def devices(self, account: str, *, current: str = "") -> Sequence[SignedIn]:
        """The sessions of an account that have not ended, oldest first. `current`: the one that asks."""
        return [
            SignedIn(
                row.id,
                Device(row.device_id, row.device_name, row.platform),
                row.created_at_ms,
                row.used_at_ms,
                self._ends_at_ms(row),
                row.id == current,
            )
            for row in await self._store.sessions_of(account)
            if self._ends_at_ms(row) > self._now_ms()
        ]

    def _ends_at_ms(self, row: SessionRow) -> int:
        return min(row.expires_at_ms, row.used_at_ms + self._rules.idle_ms)


def check_may_sign_in(account: AccountRow | None) -> None:
    """Raise `Forbidden` for a suspended account, `Unauthenticated` for one that is gone."""
    if account is None or account.status is AccountStatus.ERASED:
        raise _over()
    if account.status is AccountStatus.SUSPENDED:
        raise Forbidden(
            "This account is suspended.",
            code="account_suspended",
            hint="Ask whoever runs the server; nothing on the device is lost meanwhile.",
        )


def _check_device(device: Device) -> None:
    for name, text in (("id", device.id), ("name", device.name), ("platform", device.platform)):
        if len(text) > _MAX_DEVICE_LENGTH or not text.isprintable():
            raise InvalidMessage(
                f"A device's {name} is one line of at most {_MAX_DEVICE_LENGTH} characters.",
                code="invalid_device",
                hint="Send less, and no control characters.",
                field=f"device.{name}",
            )


def _ended(row: SessionRow, now_ms: int, why: str) -> SessionRow:
    return row._replace(revoked_at_ms=now_ms, revoked_why=why)


def _why(row: SessionRow, asking: str) -> str:
    return LOGGED_OUT if row.id == asking else SENT_AWAY


def _over() -> Unauthenticated:
    return Unauthenticated("This session has ended.", code="session_ended", hint=LOG_IN)
