"""What changes in the view through the network, for whoever watches: looked at before and after each commit.

A resource that shows the same as before, such as one's own echo, is not told.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

from client_sdk.outbox import ResourceKey
from client_sdk.rebase import same_content
from client_sdk.replica import Replica
from conflict_rules import State

__all__ = ["Looks", "ShownChanges"]

Looks = dict[str, dict[ResourceKey, State | None]]
"""What each watched scope shows of some resources."""


class ShownChanges:
    """`watched` says of which scopes anybody wants to know; `on_shown(scope, states)` is told.

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

    def is_watched(self, scope: str) -> bool:
        """Whether anybody wants to know."""
        return scope in self._watched()

    async def look(self, keys: Iterable[ResourceKey]) -> Looks:
        """What watched scopes show of these resources."""
        found: Looks = {scope: {} for scope in self._watched()}
        for key in keys if found else ():
            _, _, shown = await self._replica.look(key)
            for scope, states in found.items():
                states[key] = shown if shown is not None and shown.scope == scope else None
        return found

    async def tell(self, before: Looks) -> None:
        for scope, states in before.items():
            after = (await self.look(states)).get(scope, {})
            changed = [
                now or _gone(then)
                for key, then in states.items()
                if not same_content(then, now := after.get(key)) and (now or then)
            ]
            if changed:
                self._on_shown(scope, [state for state in changed if state is not None])


def _gone(state: State | None) -> State | None:
    """What was shown and is no longer here, as a watcher sees it: without fields, and deleted."""
    if state is None:
        return None
    last = max(state.marks.values(), key=lambda mark: mark.version, default=None)
    return replace(state, fields={}, marks={}, deleted=state.deleted or last)
