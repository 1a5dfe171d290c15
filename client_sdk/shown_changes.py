"""What changes in the view through the network, for whoever watches: looked at before and after each commit.

A resource that shows the same as before, such as one's own echo, is not told.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

from client_sdk.observers import changed_pairs
from client_sdk.outbox import ResourceKey
from client_sdk.replica import Replica
from conflict_rules import State

__all__ = ["Looks", "ShownChanges"]

Looks = dict[ResourceKey, State | None]
"""What is shown of some resources."""


class ShownChanges:
    """`watched` says of which scopes anybody wants to know; `on_shown(scope, states)` is told. So are the observers of
    the replica.

    Every method runs inside a write of the replica.
    """

    def __init__(
        self,
        replica: Replica,
        watched: Callable[[], Collection[str]],
        on_shown: Callable[[str, Sequence[State]], None],
    ) -> None:
        self._replica = replica
        self._watched = watched
        self._on_shown = on_shown

    def is_anybody_there(self) -> bool:
        """Whether anybody wants to know anything."""
        return bool(self._watched()) or bool(self._replica.observers.types)

    def is_watched(self, scope: str) -> bool:
        """Whether anybody wants to know."""
        return scope in self._watched() or bool(self._replica.observers.types)

    async def look(self, keys: Iterable[ResourceKey]) -> Looks:
        """What is shown of these resources, as far as anybody wants to know."""
        types = None if self._watched() else self._replica.observers.types
        return await self._replica.look_at(key for key in keys if types is None or key[0] in types)

    async def tell(self, before: Looks) -> None:
        """Tell what shows differently than before."""
        if not before:
            return
        changed = changed_pairs(before, await self._replica.look_at(before))
        for scope in self._watched():
            states = [now or _gone(then) for then, now in changed]
            here = [state for state in states if state is not None and state.scope == scope]
            if here:
                self._on_shown(scope, here)
        self._replica.observers.tell(changed)


def _gone(state: State | None) -> State | None:
    """What was shown and is no longer here, as a watcher sees it: without fields, and deleted."""
    if state is None:
        return None
    last = max(state.marks.values(), key=lambda mark: mark.version, default=None)
    return replace(state, fields={}, marks={}, deleted=state.deleted or last)
