"""The transaction as an author's hook sees it: typed reads and writes, in the same commit as the change.

Reads see everything written before, by this push and by those that share its group commit (law 5). A hook that touches
a scope that is not locked makes the whole group run again with the larger set, so hooks may run more than once.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, TypeVar

from conflict_rules import Change, Clock, Op, State, apply_change
from conflict_rules.values import canonical_json, clean_fields
from conflict_rules.wire import change_digest, encode_change, encode_outcome
from syncd.app import App, Resource, ResourceType
from syncd.engine.workspace import Workspace, encode_body
from syncd.errors import AppError
from syncd.store.protocol import ReplicaRow, ResourceKey, SettledRow, Transaction, Wanted

__all__ = ["EngineHookTransaction", "UnlockedScope"]

R = TypeVar("R", bound=Resource)


class UnlockedScope(Exception):
    """A hook needs a scope whose lock is not held: run the group again with it (law 5)."""

    def __init__(self, scope: str) -> None:
        super().__init__(scope)
        self.scope = scope


class EngineHookTransaction:
    """Implements `syncd.app.HookTransaction`; what a hook writes is numbered by the server's own replica."""

    def __init__(
        self,
        transaction: Transaction,
        workspace: Workspace,
        app: App,
        *,
        locked: Collection[str],
        server: str,
        clock: Clock,
        now_ms: int,
    ) -> None:
        self._transaction = transaction
        self._workspace = workspace
        self._app = app
        self._locked = locked
        self._server = server
        self._clock = clock
        self._now_ms = now_ms

    async def get(self, model: type[R], resource_id: str, /) -> R | None:
        """The resource as of now, or None if it never was or is deleted."""
        state = await self._load((self._app.type_of(model).name, resource_id))
        return None if state is None or state.deleted is not None else model.from_fields(state.id, state.fields)

    async def all(self, model: type[R], scope: str, /) -> list[R]:
        """Every resource of that type in a scope, as of now, in the order of their versions."""
        self._need(scope)
        name = self._app.type_of(model).name
        rows = await self._transaction.scan(scope)
        await self._look_for([(row.type, row.id) for row in rows if row.type == name])
        states = {(row.type, row.id): self._workspace.state((row.type, row.id)) for row in rows if row.type == name}
        states.update({(state.type, state.id): state for state in self._workspace.written(scope) if state.type == name})
        live = [state for state in states.values() if state is not None and state.deleted is None]
        return [model.from_fields(state.id, state.fields) for state in sorted(live, key=lambda state: state.version)]

    async def create(self, resource: Resource, /) -> None:
        """Write a new resource; raises `AppError` if its type is not this app's, InvalidValue if it is not valid."""
        resource_type = self._app.type_of(type(resource))
        fields = clean_fields(dict(resource.to_fields()))
        scope = resource_type.scope_of(resource.id, fields)
        if scope is None:
            raise AppError(f"the scope of the new {resource_type.name} cannot be told from its fields")
        resource_type.check_create(resource.id, scope, fields)
        await self._write(resource_type, scope, resource.id, Op.CREATE, fields)

    async def update(self, model: type[Resource], resource_id: str, /, **fields: Any) -> None:
        """Set fields of a resource, as somebody who has seen it as it is now."""
        resource_type = self._app.type_of(model)
        scope = await self._scope_of(resource_type, resource_id)
        cleaned = clean_fields({**fields})
        resource_type.check_update(scope, cleaned)
        await self._write(resource_type, scope, resource_id, Op.UPDATE, cleaned)

    async def delete(self, model: type[Resource], resource_id: str, /) -> None:
        """Delete a resource."""
        resource_type = self._app.type_of(model)
        await self._write(resource_type, await self._scope_of(resource_type, resource_id), resource_id, Op.DELETE, {})

    async def _write(
        self, resource_type: ResourceType, scope: str, resource_id: str, op: Op, fields: dict[str, object]
    ) -> None:
        self._need(scope)
        workspace = self._workspace
        state = await self._load((resource_type.name, resource_id))
        before = workspace.replica(self._server)
        change = Change(
            replica=self._server,
            n=before.settled + 1,
            scope=scope,
            type=resource_type.name,
            id=resource_id,
            op=op,
            stamp=self._clock.tick(),
            base=state.version if state is not None else 0,
            fields=fields,
            schema=self._app.version,
        )
        merged = apply_change(resource_type.rule, state, change, workspace.head(scope) + 1)
        if merged.state is not None and merged.state is not state:
            workspace.put(merged.state, encode_body(merged.state))
        raw = encode_change(change)
        workspace.settle(
            SettledRow(
                replica=self._server,
                n=change.n,
                digest=change_digest(raw),
                scope=scope,
                type=change.type,
                id=resource_id,
                version=workspace.head(scope),
                kind=merged.outcome.kind.value,
                at_ms=self._now_ms,
                stamp=str(change.stamp),
                change=canonical_json(raw),
                outcome=canonical_json(encode_outcome(change.n, merged.outcome)),
            ),
            ReplicaRow(self._server, change.n, str(change.stamp)),
        )

    async def _scope_of(self, resource_type: ResourceType, resource_id: str) -> str:
        state = await self._load((resource_type.name, resource_id))
        if state is None or state.deleted is not None:
            raise AppError(f"a hook wrote to the {resource_type.name} {resource_id!r}, which does not exist")
        return state.scope

    async def _load(self, key: ResourceKey) -> State | None:
        await self._look_for([key])
        state = self._workspace.state(key)
        if state is not None:
            self._need(state.scope)
        return state

    async def _look_for(self, keys: list[ResourceKey]) -> None:
        unknown = [key for key in keys if not self._workspace.knows(key)]
        if unknown:
            self._workspace.add(await self._transaction.load(Wanted(resources=unknown)), unknown)

    def _need(self, scope: str) -> None:
        if scope not in self._locked:
            raise UnlockedScope(scope)
