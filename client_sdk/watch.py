"""Watching a scope's view: what changed in it through the network, for a screen that wants to follow.

A slow watcher costs bounded memory: changes of one resource replace each other while they wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakSet

from client_sdk.pulse import Pulse
from conflict_rules import State

__all__ = ["Watch", "WatchDelta", "Watchers"]


@dataclass(frozen=True, slots=True)
class WatchDelta:
    """What changed in the view of a scope; `states`: as they are shown now, deleted ones with `deleted` set."""

    scope: str
    states: tuple[State, ...]


class Watch:
    """One watcher's deltas, from the moment it was made until the client closes: `async for delta in watch`."""

    def __init__(self, scope: str, *, ended: bool) -> None:
        self.scope = scope
        self._waiting: dict[tuple[str, str], State] = {}
        self._pulse = Pulse()
        self._ended = ended

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> WatchDelta:
        await self._pulse.until(lambda: bool(self._waiting) or self._ended)
        if not self._waiting:
            raise StopAsyncIteration
        waiting, self._waiting = self._waiting, {}
        return WatchDelta(self.scope, tuple(waiting.values()))

    def put(self, states: Sequence[State]) -> None:
        """These are shown differently now."""
        self._waiting.update({(state.type, state.id): state for state in states})
        self._pulse.beat()

    def end(self) -> None:
        """Nothing more will come."""
        self._ended = True
        self._pulse.beat()


class Watchers:
    """Everybody who watches; who has let go of his `Watch` is forgotten."""

    def __init__(self) -> None:
        self._watches: WeakSet[Watch] = WeakSet()
        self._closed = False

    def watch(self, scope: str) -> Watch:
        """A watch from this moment on."""
        watch = Watch(scope, ended=self._closed)
        self._watches.add(watch)
        return watch

    def scopes(self) -> set[str]:
        """The scopes that somebody watches."""
        return {watch.scope for watch in self._watches}

    def tell(self, scope: str, states: Sequence[State]) -> None:
        """These are shown differently now in a scope."""
        for watch in self._watches:
            if watch.scope == scope:
                watch.put(states)

    def close(self) -> None:
        """End every watch, once what waits is read."""
        self._closed = True
        for watch in self._watches:
            watch.end()
