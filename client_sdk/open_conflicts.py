"""Which conflicts show as open: kept in memory as they come and are answered, so that asking how many costs nothing.

Only what may have changed is looked at again: a conflict itself, or the resource it is over, since answers to it wait
there (`shown_conflicts`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping

from client_sdk.outbox import ResourceKey
from client_sdk.shown_conflicts import about_of
from conflict_rules import CONFLICT_TYPE, State

__all__ = ["OpenConflicts"]


class OpenConflicts:
    """Of one replica; `look_at` says what is shown. Every method runs inside a write of the replica."""

    def __init__(
        self, look_at: Callable[[Iterable[ResourceKey]], Awaitable[Mapping[ResourceKey, State | None]]]
    ) -> None:
        self._look_at = look_at
        self._open: set[str] = set()
        self._by_scope: dict[str, set[str]] = defaultdict(set)
        self._by_resource: dict[ResourceKey, set[str]] = defaultdict(set)

    @property
    def count(self) -> int:
        """How many wait for an answer, and have none from here either."""
        return len(self._open)

    def begin(self, states: Iterable[State]) -> None:
        """These conflicts are here."""
        for state in states:
            self._take(state.id, state)

    async def look_again(self, keys: Iterable[ResourceKey]) -> None:
        """These resources may show differently now."""
        ids: set[str] = set()
        for key in keys:
            if key[0] == CONFLICT_TYPE:
                ids.add(key[1])
            ids.update(self._by_resource.get(key, ()))
        await self._look(ids)

    async def look_again_in(self, scope: str) -> None:
        """Anything in this scope may be gone."""
        await self._look(self._by_scope.pop(scope, ()))

    async def _look(self, ids: Collection[str]) -> None:
        if ids:
            shown = await self._look_at([(CONFLICT_TYPE, each) for each in ids])
            for (_, conflict_id), state in shown.items():
                self._take(conflict_id, state)

    def _take(self, conflict_id: str, state: State | None) -> None:
        if state is None or state.deleted is not None or state.fields.get("status") != "open":
            self._open.discard(conflict_id)
        else:
            self._open.add(conflict_id)
        if state is not None:
            self._by_scope[state.scope].add(conflict_id)
            about = about_of(state)
            if about is not None:
                self._by_resource[about].add(conflict_id)
