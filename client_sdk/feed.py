"""Deltas between the live connection and the local file: applied in order, and only when nothing could show twice.

While a push or a pull that touches a scope is under way, its deltas wait: the reply or the page will say which
pending changes they hold. A delta of a scope in doubt (a change was sent, its answer never came) is dropped in favour
of a pull, which says so too (law 4). So is one that does not follow what is held: that is a gap.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from typing import Final

from client_sdk.intake import Intake
from client_sdk.messages import Delta
from client_sdk.replica import Replica

__all__ = ["Feed"]

_MOST_WAITING: Final = 256
"""Deltas of one scope that wait; beyond, a pull is cheaper, and memory stays bounded."""
_MOST_RELAYED_BYTES: Final = 1024 * 1024
"""Of updates of documents that wait with them; what comes beyond is fetched."""


class Feed:
    """`want` asks for a pull of scopes."""

    def __init__(self, replica: Replica, intake: Intake, want: Callable[[Collection[str]], object]) -> None:
        self._replica = replica
        self._intake = intake
        self._want = want
        self._waiting: dict[str, deque[Delta]] = defaultdict(deque)
        self._held: Counter[str] = Counter()
        self._lock = asyncio.Lock()

    def hold(self, scopes: Iterable[str]) -> None:
        """Deltas of these scopes wait until `release` has been called as often."""
        self._held.update(scopes)

    async def release(self, scopes: Collection[str]) -> None:
        """Apply what waited."""
        self._held.subtract(scopes)
        for scope in scopes:
            await self.drain(scope)

    async def offer(self, delta: Delta) -> None:
        """Take a delta as it comes."""
        row = self._replica.scopes.get(delta.scope)
        if row is None or not row.followed:
            return
        waiting = self._waiting[delta.scope]
        if sum(map(_relayed_bytes, waiting)) + _relayed_bytes(delta) > _MOST_RELAYED_BYTES:
            delta = replace(delta, documents=())
        waiting.append(delta)
        if len(waiting) > _MOST_WAITING:
            waiting.clear()
            self._want([delta.scope])
        await self.drain(delta.scope)

    def forget(self) -> None:
        """The live connection is gone: what waits is dropped; the pull after the next one brings it."""
        self._waiting.clear()

    async def drain(self, scope: str) -> None:
        """Apply what waits, as far as that is right."""
        async with self._lock:
            while self._waiting.get(scope) and self._held[scope] <= 0:
                waiting = self._waiting[scope]
                if self._replica.outbox.in_doubt(scope) or not self._skip_to_next(scope, waiting):
                    waiting.clear()
                    self._want([scope])
                elif waiting and not await self._intake.apply_delta(waiting.popleft()):
                    self._want([scope])
            if not self._waiting.get(scope):
                self._waiting.pop(scope, None)

    def _skip_to_next(self, scope: str, waiting: deque[Delta]) -> bool:
        """Drop deltas that a pull brought already; False if what is left does not follow what is held."""
        row = self._replica.scopes.get(scope)
        cursor = None if row is None else row.cursor
        for index, delta in enumerate(waiting):
            held = index + 1 if delta.upto == cursor else index if delta.after == cursor else None
            if held is not None:
                for _ in range(held):
                    waiting.popleft()
                return True
        return False


def _relayed_bytes(delta: Delta) -> int:
    return sum(len(update) for relayed in delta.documents for update in relayed.updates)
