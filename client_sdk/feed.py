"""Deltas between the live connection and the local file: applied in order, and only when nothing could show twice.

While a push or a pull that touches a scope is under way, its deltas wait: the reply or the page will say which
pending changes they hold. But what came before the end of one push holds nothing of the next one: a replica's changes
take rising versions. A delta of a scope in doubt (a change was sent, its answer never came) is dropped in favour of a
pull, which says so too (law 4). So is one that does not follow what is held: that is a gap.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Mapping
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
        self._pulls: Counter[str] = Counter()
        self._pushes: Counter[str] = Counter()
        self._settled: dict[str, int] = {}
        """Up to which version of a scope nothing comes of the push that is under way."""
        self._lock = asyncio.Lock()

    def hold(self, scopes: Iterable[str]) -> None:
        """Deltas of these scopes wait until `release` has been called as often."""
        self._pulls.update(scopes)

    async def release(self, scopes: Collection[str]) -> None:
        """Apply what waited."""
        self._pulls.subtract(scopes)
        for scope in scopes:
            await self.drain(scope)

    def hold_for_push(self, scopes: Iterable[str]) -> None:
        """Deltas of these scopes wait, as far as they may hold something of the push, until `release_from_push`."""
        self._pushes.update(scopes)

    async def release_from_push(self, scopes: Collection[str], settled: Mapping[str, int]) -> None:
        """Apply what waited. `settled`: up to which version of each scope the push was settled, where the next one of
        the same replica id is under way already."""
        self._pushes.subtract(scopes)
        self._settled.update(settled)
        for scope in scopes:
            if self._pushes[scope] <= 0:
                self._settled.pop(scope, None)
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
            while (waiting := self._waiting.get(scope)) and self._pulls[scope] <= 0:
                pushing = self._pushes[scope] > 0
                if pushing and self._may_hold_push(waiting[0]):
                    break
                if self._replica.is_absent(scope):
                    waiting.clear()
                elif (not pushing and self._replica.outbox.in_doubt(scope)) or not self._skip_to_next(scope, waiting):
                    waiting.clear()
                    self._want([scope])
                elif not waiting or (pushing and self._may_hold_push(waiting[0])):
                    break
                elif not await self._intake.apply_delta(waiting.popleft()):
                    self._want([scope])
            if not self._waiting.get(scope):
                self._waiting.pop(scope, None)

    def _may_hold_push(self, delta: Delta) -> bool:
        """Whether it may hold something of the push that is under way; one without states holds nothing (law 6)."""
        version = max((state.version for state, _ in delta.states), default=0)
        return version > self._settled.get(delta.scope, 0)

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
