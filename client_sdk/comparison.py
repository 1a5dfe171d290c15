"""Comparison: whether this replica holds what the server holds, told by a digest of each scope (invariant 13).

Asked for once a scope has been brought, after each reconnection, every `check_s`, and by `Client.check`. A scope that
differs starts over from a snapshot, out of sight: what is held stays shown until the snapshot is complete, and what
waits in the outbox stays there.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from json import loads

from client_sdk.errors import Unfit
from client_sdk.intake import Intake
from client_sdk.local_rows import ResourceRow
from client_sdk.replica import Replica
from conflict_rules.digest import digest_text, scope_digest
from conflict_rules.wire import decode_state

__all__ = ["Comparison", "Held"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Held:
    """What was held of a scope at the very cursor of the server's digest; `rows` is None if that cannot be told."""

    scope: str
    digest: str
    rows: Sequence[ResourceRow] | None


@dataclass(slots=True)
class _Standing:
    """`due_s`: when to compare next, by the monotonic clock. `asked`, `told`: how often `Client.check` asked, and up
    to which time there is an answer: `same`, None if the server gives no digests. `repairs`: in a row.
    """

    due_s: float = 0.0
    asked: int = 0
    told: int = 0
    same: bool | None = None
    repairs: int = 0
    repair_again_s: float = 0.0


class Comparison:
    """`repaired`: how often a scope was started over, since this object was made."""

    def __init__(
        self, replica: Replica, intake: Intake, check_s: float, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._replica = replica
        self._intake = intake
        self._check_s = check_s
        self._monotonic_s = monotonic_s
        self._standings: dict[str, _Standing] = {}
        self.repaired = 0

    def due(self, scopes: Collection[str]) -> bool:
        """Whether any of these scopes is to be compared with the next pull that brings it to its end."""
        now_s = self._monotonic_s()
        return any(self._of(scope).due_s <= now_s for scope in scopes)

    def reconnected(self) -> None:
        """Every scope is to be compared once more."""
        for standing in self._standings.values():
            standing.due_s = 0.0

    def ask(self, scope: str) -> int:
        """Compare this scope as soon as possible; returns the ticket for `answer`."""
        standing = self._of(scope)
        standing.due_s = 0.0
        standing.asked += 1
        return standing.asked

    def answered(self, scope: str, ticket: int) -> bool:
        """Whether there is an answer to that question."""
        return self._of(scope).told >= ticket

    def answer(self, scope: str) -> bool:
        """Whether the last comparison found the same; raises `Unfit` if there was nothing to compare with."""
        same = self._of(scope).same
        if same is None:
            raise Unfit("this server gives no digests, so that nothing can be compared with it")
        return same

    def has_none(self, scope: str) -> None:
        """The server was asked for a digest and gave none."""
        self._tell(scope, None)

    def is_gone(self, scope: str) -> None:
        """The server shows nothing of it, and nothing is here."""
        self._of(scope).repairs = 0
        self._tell(scope, True)

    async def hold(self, scope: str, cursor: str, digest: str) -> Held:
        """What is held at `cursor`; nothing may be applied to the scope between that page and this call."""
        async with self._replica.reading():
            row = self._replica.scopes.get(scope)
            if row is None or row.cursor != cursor or row.resetting:
                return Held(scope, digest, None)
            return Held(scope, digest, await self._replica.store.resources(None, scope))

    async def judge(self, held: Held) -> bool:
        """Whether it is the same as the server's; if not, the scope has started over."""
        if held.rows is None:
            return True
        rows = held.rows
        # In a thread: a hundred thousand resources take seconds.
        if await asyncio.to_thread(_digest, held.scope, rows) == held.digest:
            self._of(held.scope).repairs = 0
            self._tell(held.scope, True)
            return True
        repaired = await self._repair(held.scope)
        self._tell(held.scope, False)
        if repaired:
            # Compared again as soon as the snapshot is complete.
            self._of(held.scope).due_s = 0.0
        return not repaired

    async def _repair(self, scope: str) -> bool:
        standing = self._of(scope)
        now_s = self._monotonic_s()
        if standing.repairs and now_s < standing.repair_again_s:
            # Whatever it is, bringing the same once more does not help: never a loop of snapshots.
            log.error("the scope %s still differs from the server's after it was repaired", scope)
            return False
        if not await self._intake.start_over(scope):
            return False
        standing.repairs += 1
        standing.repair_again_s = now_s + self._check_s * 2.0 ** min(standing.repairs, 10)
        self.repaired += 1
        log.warning("what is held of the scope %s differs from the server's; it starts over from a snapshot", scope)
        return True

    def _tell(self, scope: str, same: bool | None) -> None:
        standing = self._of(scope)
        standing.due_s = self._monotonic_s() + self._check_s
        standing.told, standing.same = standing.asked, same

    def _of(self, scope: str) -> _Standing:
        return self._standings.setdefault(scope, _Standing())


def _digest(scope: str, rows: Sequence[ResourceRow]) -> str | None:
    try:
        return digest_text(scope_digest(decode_state(loads(row.body), scope) for row in rows))
    except (LookupError, TypeError, ValueError):
        # A row that cannot even be read is no copy of anything.
        return None
