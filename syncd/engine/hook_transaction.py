"""The transaction as an author's hook sees it: typed reads and writes, in the same commit as the change.

Reads see everything written before, by this push and by those that share its group commit (law 5). A hook that touches
a scope that is not locked makes the whole group run again with the larger set, so hooks may run more than once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn, TypeVar

import structlog

from conflict_rules import CONFLICT_TYPE, Change, Clock, InvalidValue, Op, State, apply_change
from conflict_rules.conflict import question as ask_question
from conflict_rules.crdt import Collaborative
from conflict_rules.values import JsonValue, canonical_json, clean_fields, valid_id, valid_type
from conflict_rules.wire import change_digest, encode_change, encode_outcome
from syncd.app import App, Resource, ResourceType, Veto
from syncd.engine.hook_documents import Shown
from syncd.engine.workspace import Workspace, encode_body
from syncd.errors import AppError, DocumentUnreadable, StoreError
from syncd.store.protocol import ReplicaRow, ResourceKey, SettledRow, Transaction, Wanted

__all__ = ["EngineHookTransaction"]

log = structlog.get_logger(__name__)

R = TypeVar("R", bound=Resource)

_PATIENCE_S = 10.0
"""How long a hook may wait for whatever it waits for: everybody's pushes wait with it."""


class EngineHookTransaction:
    """Implements `syncd.app.HookTransaction`; what a hook writes is numbered by the server's own replica."""

    def __init__(
        self,
        transaction: Transaction,
        workspace: Workspace,
        app: App,
        *,
        server: str,
        clock: Clock,
        now_ms: int,
        shown: Shown,
    ) -> None:
        self._transaction = transaction
        self._workspace = workspace
        self._app = app
        self._server = server
        self._clock = clock
        self._now_ms = now_ms
        self._shown = shown
        self._change: Change | None = None
        self._asked: list[str] = []

    async def run_hooks(self, change: Change) -> Sequence[str]:
        """Run the hooks for a change that took effect, and return the ids of the conflicts that they opened.

        Raises `Veto`, also for a hook that fails.
        """
        self._change, self._asked = change, []
        for hook in self._app.hooks(change.type):
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    await hook(self, self._as_shown(change))
            except Veto:
                raise
            except DocumentUnreadable as error:
                raise Veto(error.message, code=error.problem_code) from error
            except BaseException as failure:
                self._refuse(change, failure)
        return self._asked

    async def get(self, model: type[R], resource_id: str, /) -> R | None:
        """The resource as of now, or None if it never was or is deleted."""
        state = await self._load((self._app.type_of(model).name, resource_id))
        return None if state is None or state.deleted is not None else self._resource(model, state)

    async def all(self, model: type[R], scope: str, /) -> list[R]:
        """Every resource of that type in a scope, as of now, in the order of their versions."""
        self._workspace.need(scope)
        name = self._app.type_of(model).name
        rows = await self._transaction.scan(scope)
        await self.look_for([(row.type, row.id) for row in rows if row.type == name])
        states = {(row.type, row.id): self._workspace.state((row.type, row.id)) for row in rows if row.type == name}
        states.update({(state.type, state.id): state for state in self._workspace.written(scope) if state.type == name})
        live = [state for state in states.values() if state is not None and state.deleted is None]
        return [self._resource(model, state) for state in sorted(live, key=lambda state: state.version)]

    async def create(self, resource: Resource, /) -> None:
        """Write a new resource; raises `AppError` if its type is not this app's, InvalidValue if it is not valid."""
        resource_type = self._app.type_of(type(resource))
        fields = clean_fields(_without_documents(resource_type, resource))
        scope = resource_type.scope_of(resource.id, fields)
        if scope is None:
            raise AppError(f"the scope of the new {resource_type.name} cannot be told from its fields")
        resource_type.check_create(resource.id, scope, fields)
        await self.write(resource_type.name, scope, resource.id, Op.CREATE, fields)

    async def update(self, model: type[Resource], resource_id: str, /, **fields: Any) -> None:
        """Set fields of a resource, as somebody who has seen it as it is now."""
        resource_type = self._app.type_of(model)
        state = await self._standing(resource_type, resource_id)
        for name in fields:
            if _is_document(resource_type, name):
                raise _document_written(resource_type, name)
        cleaned = clean_fields({**fields})
        resource_type.check_update(state.scope, cleaned)
        if resource_type.rule.whole_record:
            held = {name: value for name, value in state.fields.items() if not _is_document(resource_type, name)}
            cleaned = {**held, **cleaned}
        await self.write(resource_type.name, state.scope, resource_id, Op.UPDATE, cleaned)

    async def delete(self, model: type[Resource], resource_id: str, /) -> None:
        """Delete a resource."""
        resource_type = self._app.type_of(model)
        state = await self._standing(resource_type, resource_id)
        await self.write(resource_type.name, state.scope, resource_id, Op.DELETE, {})

    async def has_seen(self, change: Change, resource: Resource, /, *fields: str) -> bool:
        """Law 1: whether whoever made `change` had been shown `resource`, or those fields, by base or as its author."""
        state = await self._load((self._app.type_of(type(resource)).name, resource.id))
        if state is None or state.deleted is not None or not fields:
            return state is None or state.seen_by(change)
        return all(state.marks[name].seen_by(change) for name in fields if name in state.marks)

    async def ask(
        self,
        question: str,
        /,
        *,
        about: Resource,
        options: Sequence[str],
        others: Sequence[Resource] = (),
        message: str | None = None,
        id: str,
    ) -> None:
        """Open a conflict for a person to settle by choosing one of `options`; nothing if one of that id was opened."""
        state = await self._standing(self._app.type_of(type(about)), about.id)
        if not valid_type(question) or not valid_id(id) or len(set(options)) < 2:
            raise AppError(
                f"a hook asks {question!r} under the id {id!r} with the options {list(options)}",
                hint="A question is a word in lower case, has an id, and at least two options.",
            )
        assert self._change is not None
        if await self._load((CONFLICT_TYPE, id)) is not None:
            return
        keys = [(self._app.type_of(type(other)).name, other.id) for other in others]
        version = self._workspace.head(state.scope) + 1
        conflict = ask_question(id, state, question, options, keys, message, self._change, version)
        self._workspace.put(conflict, encode_body(conflict))
        self._asked.append(id)

    def _as_shown(self, change: Change) -> Change:
        """The change, with what its documents say after it; a copy, since only a type checker keeps a hook from
        assigning to it."""
        state = self._workspace.state((change.type, change.id))
        resource_type = self._app.type(change.type)
        if state is None or resource_type is None:
            return replace(change)
        documents = {name for name in change.fields if _is_document(resource_type, name)}
        if not documents:
            return replace(change)
        shown = self._shown.fields(state, documents)
        return replace(change, fields={**change.fields, **{name: shown[name] for name in documents & shown.keys()}})

    def _resource(self, model: type[R], state: State) -> R:
        return model.from_fields(state.id, self._shown.fields(state))

    async def write(
        self, type_name: str, scope: str, resource_id: str, op: Op, fields: Mapping[str, JsonValue]
    ) -> None:
        """Make a change as the server, of what has been checked; raises `InvalidValue` if it cannot be."""
        resource_type = self._app.type(type_name)
        assert resource_type is not None
        workspace = self._workspace
        workspace.need(scope)
        state = await self._load((resource_type.name, resource_id))
        if state is not None and state.scope != scope:
            raise InvalidValue("scope_is_for_life", "id", f"id: this {resource_type.name} lives in another scope")
        if resource_type.name == CONFLICT_TYPE and (op is not Op.DELETE or state is None or state.fields["field"]):
            raise AppError(
                f"a hook wrote to the conflict {resource_id!r}",
                hint="A hook may withdraw a question that a hook has asked; it settles none, and none about a field.",
            )
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

    async def _standing(self, resource_type: ResourceType, resource_id: str) -> State:
        state = await self._load((resource_type.name, resource_id))
        if state is None or state.deleted is not None:
            raise AppError(f"a hook wrote to the {resource_type.name} {resource_id!r}, which does not exist")
        return state

    async def _load(self, key: ResourceKey) -> State | None:
        await self.look_for([key])
        state = self._workspace.state(key)
        if state is not None:
            self._workspace.need(state.scope)
        return state

    async def look_for(self, keys: Sequence[ResourceKey]) -> None:
        """Bring resources into the workspace, as far as they are there."""
        unknown = [key for key in keys if not self._workspace.knows(key)]
        if unknown:
            self._workspace.add(await self._transaction.load(Wanted(resources=unknown)), unknown)

    async def lives(self, type_name: str, prefix: str) -> bool:
        """Whether a resource of that type lives, in whatever scope, whose id begins with `prefix` and goes on."""
        written = {state.id: state for state in self._workspace.written_of(type_name) if state.id.startswith(prefix)}
        if any(state.deleted is None for state in written.values()):
            return True
        # What was deleted here still lives in the store.
        found = await self._transaction.of_type(type_name, after=prefix, limit=len(written) + 1)
        return any(row.id.startswith(prefix) and row.id not in written for row in found)

    def _refuse(self, change: Change, failure: BaseException) -> NoReturn:
        """A hook that fails refuses its change, and the queue behind it goes on (invariant 6)."""
        if isinstance(failure, (StoreError, KeyboardInterrupt, SystemExit)):
            raise failure
        task = asyncio.current_task()
        if isinstance(failure, asyncio.CancelledError) and task is not None and task.cancelling():
            raise failure
        if not self._workspace.missing and not self._shown.missing:
            # Else it will run again, and may have failed for want of a lock, or of what a document says.
            log.error("hook_failed", type=change.type, id=change.id, exc_info=failure)
        message = "a hook of the app failed on this change; its author should look at the server's log"
        raise Veto(message, code="hook_failed") from failure


def _is_document(resource_type: ResourceType, name: str) -> bool:
    return isinstance(resource_type.rule.field_rule(name), Collaborative)


def _without_documents(resource_type: ResourceType, resource: Resource) -> dict[str, JsonValue]:
    """The fields of a new resource, its documents left out: they begin with their first edit.

    Raises `AppError` for one that is set.
    """
    fields: dict[str, JsonValue] = {}
    for name, value in resource.to_fields().items():
        if not _is_document(resource_type, name):
            fields[name] = value
        elif value and name in resource.model_fields_set:
            raise _document_written(resource_type, name)
    return fields


def _document_written(resource_type: ResourceType, name: str) -> AppError:
    return AppError(
        f"a hook wrote to the field {name!r} of {resource_type.name}, which is a document",
        hint="A document is edited by updates, on devices; a hook may set the other fields.",
    )
