"""The app is asked: what no declaration says of a resource, its own function does, also of what was deleted before.

After a stop it is found out anew what is left to do, so what tells whom a resource was about goes last: its state, or,
where a tombstone keeps nothing, the history that led to it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Container, Iterable, Mapping, Sequence
from functools import partial
from typing import Final

from conflict_rules import State
from conflict_rules.scrubbed import is_bare
from conflict_rules.values import JsonValue
from conflict_rules.wire import decode_state
from syncd.app import App, ResourceType
from syncd.engine.entry import read_entry
from syncd.engine.retrace import Retrace
from syncd.jobs.forget import Forgetting
from syncd.jobs.removal import Removal, owners_of, questions_about
from syncd.jobs.wipe import ALL_FIELDS
from syncd.store.protocol import ResourceKey, StateRow, Store
from syncd.store.traces import Traces

__all__ = ["AskedApp"]

_ROWS: Final = 100
"""Looked at in one go: others get their turn between two pages."""
_IDS: Final = 5000
"""Found by one look through all that was sent about a type."""


class AskedApp:
    """`app`: has the functions (`App.on_erase`)."""

    def __init__(self, app: App, store: Store, traces: Traces) -> None:
        self._app = app
        self._store = store
        self._traces = traces
        self._forgetting = Forgetting(app)

    async def erase(self, user: str, declared: ResourceType, removal: Removal) -> None:
        """Do what the app says of each resource of a type. Raises `AppError` if its function fails."""
        if declared.name not in self._app.erasures:
            return
        async for rows in self._living(declared):
            await self._let_go(user, declared, map(_state, rows), removal)
        async for rows in self._gone(user, declared):
            states = [_state(row) for row in rows]
            await self._let_go(user, declared, (state for state in states if not is_bare(state)), removal)
            await self._let_go_for_good(user, declared, filter(is_bare, states), removal)

    async def _living(self, declared: ResourceType) -> AsyncIterator[Sequence[StateRow]]:
        after, more = "", True
        while more:
            async with self._store.snapshot() as snapshot:
                rows = await snapshot.of_type(declared.name, scope=None, after=after, limit=_ROWS)
            more = bool(rows)
            if rows:
                after = rows[-1].id
                yield rows
                await asyncio.sleep(0)

    async def _gone(self, user: str, declared: ResourceType) -> AsyncIterator[Sequence[StateRow]]:
        """Tombstones, of those that have ever had his id in them."""
        after = ""
        while ids := await self._traces.naming(declared.name, user, after=after, limit=_IDS):
            for start in range(0, len(ids), _ROWS):
                keys = [(declared.name, id_) for id_ in ids[start : start + _ROWS]]
                async with self._store.snapshot() as snapshot:
                    rows = (await snapshot.states(keys)).values()
                yield [row for row in rows if row.deleted]
                await asyncio.sleep(0)
            after = ids[-1]

    async def _let_go(self, user: str, declared: ResourceType, states: Iterable[State], removal: Removal) -> None:
        """Of resources that say by themselves whom they are about."""
        names, questions = self._going(user, declared, states)
        if not names:
            return
        # Before the resources: afterwards the function could not tell any more that they were about him.
        await removal.forget(names, questions)
        await removal.change(names, partial(self._left, user, declared))
        # What others have sent in between.
        await removal.forget(names, questions)

    async def _let_go_for_good(
        self, user: str, declared: ResourceType, tombstones: Iterable[State], removal: Removal
    ) -> None:
        """Of resources of which only the history can say it: so that goes after all else."""
        found = [await self._last_living(declared, (each.type, each.id), removal) for each in tombstones]
        names, questions = self._going(user, declared, [state for state in found if state is not None])
        await removal.change(names, partial(self._left, user, declared))
        await removal.forget(names, questions)

    def _going(
        self, user: str, declared: ResourceType, states: Iterable[State]
    ) -> tuple[dict[ResourceKey, Container[str]], list[ResourceKey]]:
        """The fields that go, of each resource of which any do, and the questions that there may be about them."""
        assert declared.model is not None
        names: dict[ResourceKey, Container[str]] = {}
        questions: list[ResourceKey] = []
        for state in states:
            key = (state.type, state.id)
            left = self._forgetting.of_state(declared, state, user)
            if left is None:
                names[key] = ALL_FIELDS
                questions += questions_about(key, {*declared.model.model_fields, *state.fields, *state.rule_data})
            elif left:
                names[key] = left.keys() - owners_of(declared)
                questions += questions_about(key, left)
        return names, questions

    def _left(self, user: str, declared: ResourceType, state: State) -> Mapping[str, JsonValue] | None:
        # Of a tombstone that keeps nothing it was asked before, or of what it was until just now.
        return None if is_bare(state) else self._forgetting.of_state(declared, state, user)

    async def _last_living(self, declared: ResourceType, key: ResourceKey, removal: Removal) -> State | None:
        retrace = Retrace(declared.rule, self._app.upgrades.lift)
        last: State | None = None
        async for rows in removal.ledger.about(key):
            for row in rows:
                state = retrace.take(read_entry(row)).after
                if state is not None and state.deleted is None:
                    last = state
        return last


def _state(row: StateRow) -> State:
    return decode_state(json.loads(row.body), row.scope)
