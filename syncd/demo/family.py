"""The family at home: it follows the match live, and never writes. What it knows, it knows from deltas alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from client_sdk import Client
from conflict_rules import State
from syncd.app import App
from syncd.demo.patience import until
from syncd.demo.standing import Copy, copy_of

__all__ = ["Family", "fresh_copy"]


class Family:
    """`async with Family(…)` watches the scope for as long as it is open; `on_score` hears of every change of goals."""

    def __init__(
        self, url: str, replica: Path, app: App, scope: str, on_score: Callable[[Mapping[str, Any]], None] | None = None
    ) -> None:
        self._client = Client(url, replica=replica, app=app, scopes=(scope,))
        self._app = app
        self._scope = scope
        self._on_score = on_score or (lambda score: None)
        self._states: dict[tuple[str, str], State] = {}
        self._watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Family:
        await self._client.__aenter__()
        self._watching = asyncio.create_task(self._watch(), name="family")
        return self

    async def __aexit__(self, *exception: object) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await self._client.__aexit__(None, None, None)

    async def _watch(self) -> None:
        before: Sequence[object] = (0, 0, [])
        async for delta in self._client.watch(self._scope):
            for state in delta.states:
                self._states[state.type, state.id] = state
            score = self.copy().score
            if (score["home"], score["away"], score["goals"]) != before:
                before = (score["home"], score["away"], score["goals"])
                self._on_score(score)

    def copy(self) -> Copy:
        """The match as the family has followed it."""
        return copy_of("the family", self._app, self._states.values())

    async def holds(self, copy: Copy) -> None:
        """Wait until the family has the same as `copy`."""
        await until(lambda: self.copy().resources == copy.resources)


async def fresh_copy(url: str, replica: Path, app: App, scope: str) -> Copy:
    """What somebody gets who comes now, on a new device, and pulls everything."""
    async with Client(url, replica=replica, app=app, scopes=(scope,)) as client:
        await client.synced()
        resources = {
            (name, resource.id): resource.to_fields()
            for name, declared in app.types.items()
            if declared.model is not None
            for resource in await client.collection(declared.model).all(scope)
        }
        resources |= {
            ("conflict", conflict.id): conflict.to_fields() for conflict in await client.conflicts.all(scope, open=None)
        }
        score: Any = await client.view("score", scope)
        events: Any = await client.view("match_events", scope)
        return Copy("a fresh replica", resources, score, events)
