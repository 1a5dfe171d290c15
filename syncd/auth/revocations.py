"""What every request is checked against, in memory: sessions, keys and tokens that were revoked, and accounts that are
not active. Loaded at the start, and told of every commit afterwards.

An access token is taken for as long as it says, without a look into the database; so what was revoked is remembered for
as long as such a token can live, and no longer. Accounts that are suspended or erased are remembered for good.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import structlog

from syncd.store.accounts import AccountCommit, AccountStatus, AccountStore, Barred

__all__ = ["KEPT_MS", "Revocations", "Revoked"]

log = structlog.get_logger(__name__)

KEPT_MS: Final = 60 * 60 * 1000
"""The least time for which a revocation is remembered."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """What a commit has put an end to.

    `sessions`: ids of sessions, API keys and tokens (a principal's `session`) that open nothing any more: close its
    sockets. `accounts`: those that are not active any more: close all of theirs. `changed`: those whose roles are
    others now, or that are active again: who they are has to be asked anew.
    """

    sessions: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()
    changed: frozenset[str] = frozenset()


Listener = Callable[[Revoked], None]


class Revocations:
    """One for a server. `kept_ms`: how long an access token of ours lives, clock leeway included. `leeway_ms`: for how
    long after its end a token is still taken.
    """

    def __init__(self, now_ms: Callable[[], int], *, kept_ms: int = KEPT_MS, leeway_ms: int = 0) -> None:
        self._now_ms = now_ms
        self._kept_ms = max(kept_ms, KEPT_MS)
        self._leeway_ms = leeway_ms
        self._ended: dict[str, int] = {}
        self._forget: list[tuple[int, str]] = []
        self._standing: dict[str, AccountStatus] = {}
        self._roles: dict[str, tuple[frozenset[str], int]] = {}
        self._listeners: dict[object, Listener] = {}

    async def load(self, accounts: AccountStore) -> None:
        """Take over what the database knows; before the first request."""
        now_ms = self._now_ms()
        self._take(await accounts.barred(now_ms - self._kept_ms, now_ms - self._leeway_ms))

    def ended(self, *ids: str) -> bool:
        """Whether one of these sessions, keys or tokens was revoked."""
        return any(self._ended[each] > self._now_ms() for each in ids if each in self._ended)

    def status(self, account: str) -> AccountStatus:
        """Whether an account may be used."""
        return self._standing.get(account, AccountStatus.ACTIVE)

    def roles(self, account: str, told: frozenset[str]) -> frozenset[str]:
        """The roles of an account now, `told` being what a token says; it may be older than they are."""
        changed = self._roles.get(account)
        return told if changed is None or changed[1] <= self._now_ms() else changed[0]

    def committed(self, commit: AccountCommit) -> None:
        """Take note of what was committed, and tell the listeners what has come to an end."""
        self._tell(
            self._take(
                Barred(
                    sessions={row.id: row.revoked_at_ms for row in commit.sessions if row.revoked_at_ms is not None},
                    keys={row.id: row.revoked_at_ms for row in commit.api_keys if row.revoked_at_ms is not None},
                    tokens={row.id: row.expires_at_ms for row in commit.revoked_tokens},
                    accounts={row.id: row.status for row in commit.accounts},
                    roles={row.id: (row.all_roles, row.roles_at_ms) for row in commit.accounts if row.roles_at_ms},
                )
            )
        )

    def on_revoked(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` after every commit that ends something; returns what ends that. It must not block."""
        subscription = object()
        self._listeners[subscription] = listener

        def unsubscribe() -> None:
            self._listeners.pop(subscription, None)

        return unsubscribe

    def __len__(self) -> int:
        """How many sessions, keys and tokens are remembered."""
        return len(self._ended)

    def _take(self, barred: Barred) -> Revoked:
        self._forget_what_is_over()
        ended = self._end(
            (id_, at_ms + self._kept_ms) for id_, at_ms in (*barred.sessions.items(), *barred.keys.items())
        )
        ended |= self._end((id_, ends_at_ms + self._leeway_ms) for id_, ends_at_ms in barred.tokens.items())
        stopped: set[str] = set()
        changed: set[str] = set()
        for account, status in barred.accounts.items():
            if status is not self.status(account):
                (changed if status is AccountStatus.ACTIVE else stopped).add(account)
            if status is AccountStatus.ACTIVE:
                self._standing.pop(account, None)
            else:
                self._standing[account] = status
        for account, (roles, at_ms) in barred.roles.items():
            until_ms = at_ms + self._kept_ms
            if until_ms > self._now_ms() and self._roles.get(account) != (roles, until_ms):
                self._roles[account] = (roles, until_ms)
                changed.add(account)
        return Revoked(frozenset(ended), frozenset(stopped), frozenset(changed))

    def _end(self, until_ms_of: Iterable[tuple[str, int]]) -> set[str]:
        now_ms = self._now_ms()
        later = {id_: until_ms for id_, until_ms in until_ms_of if until_ms > max(now_ms, self._ended.get(id_, 0))}
        new = later.keys() - self._ended.keys()
        self._ended.update(later)
        for id_, until_ms in later.items():
            heapq.heappush(self._forget, (until_ms, id_))
        return new

    def _forget_what_is_over(self) -> None:
        now_ms = self._now_ms()
        while self._forget and self._forget[0][0] <= now_ms:
            _, id_ = heapq.heappop(self._forget)
            # It may have been revoked once more, until later.
            if self._ended.get(id_, 0) <= now_ms:
                self._ended.pop(id_, None)
        for account in [account for account, (_, until_ms) in self._roles.items() if until_ms <= now_ms]:
            del self._roles[account]

    def _tell(self, revoked: Revoked) -> None:
        if revoked == Revoked():
            return
        for listener in tuple(self._listeners.values()):
            try:
                listener(revoked)
            except Exception:
                # One that fails must not keep the others from closing their sockets.
                log.exception("revocation_listener_failed")
