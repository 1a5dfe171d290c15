"""Watching a scope's view: what changed in it through the network, for a screen that wants to follow.

A slow watcher costs bounded memory: changes of one resource replace each other while they wait.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from client_sdk.pulse import Pulse
from conflict_rules import State

__all__ = ["WatchDelta", "Watchers"]


@dataclass(frozen=True, slots=True)
class WatchDelta:
    """What changed in the view of a scope; `states`: as they are shown now, deleted ones with `deleted` set."""

    scope: str
    states: tuple[State, ...]


class _Watcher:
    def __init__(self, scope: str) -> None:
        self._scope = scope
        self._waiting: dict[tuple[str, str], State] = {}
        self._pulse = Pulse()
        self._closed = False

    def put(self, states: Iterable[State]) -> None:
        for state in states:
            key = (state.type, state.id)
            self._waiting.pop(key, None)
            self._waiting[key] = state
        self._pulse.beat()

    def close(self) -> None:
        self._closed = True
        self._pulse.beat()

    async def next(self) -> WatchDelta | None:
        await self._pulse.until(lambda: bool(self._waiting) or self._closed)
        if not self._waiting:
            return None
        waiting, self._waiting = self._waiting, {}
        return WatchDelta(self._scope, tuple(waiting.values()))


class Watchers:
    """Everybody who watches."""

    def __init__(self) -> None:
        self._by_scope: dict[str, set[_Watcher]] = defaultdict(set)
        self._closed = False

    def any(self, scope: str) -> bool:
        """Whether anybody watches this scope."""
        return bool(self._by_scope.get(scope))

    def tell(self, scope: str, states: Iterable[State]) -> None:
        """These are shown differently now."""
        states = list(states)
        for watcher in self._by_scope.get(scope, ()):
            watcher.put(states)

    def watch(self, scope: str) -> AsyncIterator[WatchDelta]:
        """Deltas from this moment on, until the client closes."""
        watcher = _Watcher(scope)
        self._by_scope[scope].add(watcher)
        if self._closed:
            watcher.close()
        return self._deltas(scope, watcher)

    async def _deltas(self, scope: str, watcher: _Watcher) -> AsyncIterator[WatchDelta]:
        try:
            while (delta := await watcher.next()) is not None:
                yield delta
        finally:
            self._by_scope[scope].discard(watcher)

    def close(self) -> None:
        """End every iteration once what waits is read."""
        self._closed = True
        for watchers in self._by_scope.values():
            for watcher in watchers:
                watcher.close()
