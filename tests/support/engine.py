"""An engine on a real SQLite file, and replicas that speak to it without HTTP, clock and numbers in the test's hand."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conflict_rules import Stamp
from syncd.app import App, open_app
from syncd.bus.local import LocalBus
from syncd.documents.protocol import Documents
from syncd.engine.authorise import Authoriser
from syncd.engine.limits import Limits
from syncd.engine.memberships import Memberships
from syncd.engine.principal import OPERATOR, Caller, Principal
from syncd.engine.pull import Puller
from syncd.engine.push import Pusher
from syncd.engine.share_links import ShareLinks
from syncd.engine.watch import Watcher
from syncd.store.protocol import Store
from syncd.store.sqlite import SqliteStore
from tests.support.database import prepare_database

NOON_MS = 1_763_640_000_000


@dataclass
class SettableClock:
    """A wall clock that moves only when it is told to."""

    now_ms: int = NOON_MS

    def __call__(self) -> int:
        return self.now_ms

    def advance(self, seconds: float) -> None:
        self.now_ms += int(seconds * 1000)


@dataclass
class Engine:
    """The three use cases over one store."""

    store: Store
    pusher: Pusher
    puller: Puller
    watcher: Watcher
    bus: LocalBus
    clock: SettableClock
    documents: Documents | None = None
    memberships: Memberships = field(init=False)
    links: ShareLinks = field(init=False)

    def replica(self, name: str, *, ahead_s: float = 0, principal: Principal = OPERATOR) -> Replica:
        return Replica(self, name, ahead_ms=int(ahead_s * 1000), principal=principal)

    async def states(self, scope: str = "main") -> dict[str, dict[str, Any]]:
        """What a fresh replica pulls: wire states by id, tombstones among them."""
        page = (await self.puller.pull(None, {scope: None}, 1 << 20))[scope]
        assert not page.more
        return {state["id"]: state for state in map(json.loads, page.bodies)}

    async def fields(self, scope: str = "main") -> dict[str, dict[str, Any]]:
        """The fields of every live resource of a scope, by id."""
        return {name: state["fields"] for name, state in (await self.states(scope)).items() if not state.get("deleted")}


@dataclass
class Replica:
    """Numbers and stamps changes as a device does, but knows nothing of merging."""

    engine: Engine
    id: str
    ahead_ms: int = 0
    n: int = 0
    stamps: int = field(default=0, repr=False)
    principal: Principal = OPERATOR

    def change(self, op: str, id: str, base: int | None = None, /, **fields: Any) -> dict[str, Any]:
        """The next change, ready to push. `_stamp`, `_scope`, `_type` and `_group` among the fields set those keys."""
        self.n += 1
        self.stamps += 1
        stamp = fields.pop("_stamp", None) or Stamp(self.engine.clock() + self.ahead_ms, self.stamps, self.id)
        change: dict[str, Any] = {
            "n": self.n,
            "scope": fields.pop("_scope", "main"),
            "type": fields.pop("_type", "note"),
            "id": id,
            "op": op,
            "base": base or 0,
            "stamp": str(stamp),
        }
        group = fields.pop("_group", None)
        if group:
            change["group"] = group
        if fields:
            change["fields"] = fields
        return change

    async def push(self, *changes: dict[str, Any]) -> list[dict[str, Any]]:
        """Push, and return the outcomes."""
        reply = await self.engine.pusher.push(self.id, 1, changes, principal=self.principal)
        return [dict(outcome) for outcome in reply.outcomes]

    async def create(self, id: str, /, **fields: Any) -> dict[str, Any]:
        return (await self.push(self.change("create", id, 0, **fields)))[0]

    async def update(self, id: str, base: int, /, **fields: Any) -> dict[str, Any]:
        return (await self.push(self.change("update", id, base, **fields)))[0]

    async def delete(self, id: str, base: int, /, **fields: Any) -> dict[str, Any]:
        return (await self.push(self.change("delete", id, base, **fields)))[0]


def user(name: str, *roles: str, suspended: bool = False) -> Principal:
    """Somebody with an account."""
    return Principal(Caller.USER, name, frozenset(roles), suspended=suspended)


@asynccontextmanager
async def open_engine(
    path: Path,
    *,
    app: App | None = None,
    limits: Limits | None = None,
    clock: SettableClock | None = None,
    wrap: Callable[[Store], Store] | None = None,
    documents: Documents | None = None,
) -> AsyncIterator[Engine]:
    """An engine on the database at `path`; `wrap` may put something between it and its store."""
    clock = clock or SettableClock()
    limits = limits or Limits()
    prepare_database(path)
    store: Store = await SqliteStore.open(path)
    if wrap is not None:
        store = wrap(store)
    bus = LocalBus()
    app = app or open_app()
    authoriser = Authoriser(app)
    watcher = Watcher(store, bus, limits, authoriser)
    pusher = Pusher(store, app, bus, watcher, clock, limits, documents)
    try:
        engine = Engine(store, pusher, Puller(store, limits, authoriser), watcher, bus, clock, documents)
        engine.puller.on_head = watcher.pulled
        engine.memberships = Memberships(store, authoriser, pusher.act, clock)
        engine.links = ShareLinks(store, authoriser, pusher.act, clock)
        yield engine
    finally:
        await pusher.close()
        await watcher.close()
        await bus.close()
        await store.close()
