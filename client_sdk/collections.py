"""Collections: the resources of one type, as the user's own models or as plain dicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Collection as Names
from typing import Any, Generic, TypeVar

from client_sdk.drafts import Draft, GroupDraft
from client_sdk.edits import Edits
from client_sdk.handles import ChangeHandle
from client_sdk.observers import CollectionChange, ShownPair
from client_sdk.replica import Replica
from client_sdk.selection import Sort, Where, select
from conflict_rules import State
from conflict_rules.values import JsonValue
from syncd.app import Resource, new_id

__all__ = ["Collection", "DictCollection"]

R = TypeVar("R", bound=Resource)
T = TypeVar("T")

ToHandle = Callable[[Draft], ChangeHandle]
CurrentGroup = Callable[[], GroupDraft | None]


class _Base:
    def __init__(self, replica: Replica, type_name: str, to_handle: ToHandle, group: CurrentGroup) -> None:
        self._replica = replica
        self._edits = Edits(replica)
        self._type = type_name
        self._to_handle = to_handle
        self._group = group

    async def delete(self, resource_id: str) -> ChangeHandle:
        """Delete a resource; raises `NotHere` if it is not here."""
        return self._to_handle(await self._edits.delete(self._type, resource_id, self._group()))

    async def update(self, resource_id: str, /, **fields: Any) -> ChangeHandle:
        """Set fields of a resource that is here; the others stay. One local commit.

        A counter is told an `Increment`, a set what to `Add` and to `Remove`.
        Raises `NotHere`, or `conflict_rules.InvalidValue` before anything is queued.
        """
        return self._to_handle(await self._edits.update(self._type, resource_id, fields, self._group()))

    async def restore(self, resource_id: str, /, **fields: Any) -> ChangeHandle:
        """Bring back a deleted resource as it was last known here, with these fields laid over that. One local commit.

        Raises `NotHere` if it was never here, or what it held is no longer known; `Unfit` if it is not deleted.
        """
        return self._to_handle(await self._edits.restore(self._type, resource_id, fields, self._group()))

    async def _put(
        self, resource_id: str, scope: str | None, fields: Mapping[str, JsonValue], unsaid: Names[str] = ()
    ) -> ChangeHandle:
        draft = await self._edits.put(self._type, resource_id, scope, fields, self._group(), unsaid=unsaid)
        return self._to_handle(draft)

    async def _get(self, resource_id: str) -> State | None:
        state = await self._replica.state((self._type, resource_id), self._group())
        return None if state is None or state.deleted is not None else state

    async def _all(self, scope: str | None) -> list[State]:
        return await self._replica.states(self._type, scope, self._group())

    def _observe(
        self,
        shape: Callable[[State], T],
        callback: Callable[[CollectionChange[T]], object],
        scope: str | None = None,
    ) -> Callable[[], None]:
        def told(pair: ShownPair) -> None:
            before, after = pair
            one = after or before
            if one is not None and scope in (None, one.scope):
                here = after is not None and after.deleted is None
                callback(CollectionChange(one.id, one.scope, shape(one) if here else None))

        return self._replica.observers.add(self._type, told)


class Collection(_Base, Generic[R]):
    """Resources of one declared type. Reads show the view: what is confirmed, and what was done here since."""

    def __init__(
        self, replica: Replica, type_name: str, model: type[R], to_handle: ToHandle, group: CurrentGroup
    ) -> None:
        super().__init__(replica, type_name, to_handle, group)
        self._model = model
        # Whoever may not set these, or even see them, does not say what they are by leaving them out.
        private = replica.type(type_name).private
        self._guarded = frozenset(name for name, each in private.items() if each.read or each.write)

    async def put(self, resource: R) -> ChangeHandle:
        """Create it, or set the fields in which it differs from the one that is here. One local commit.

        A counter gets the difference, a set what is new and what is gone.
        Raises `conflict_rules.InvalidValue` before anything is queued, and `NotHere` if it was deleted.
        """
        return await self._put(resource.id, None, resource.to_fields(), self._guarded - resource.model_fields_set)

    async def get(self, resource_id: str) -> R | None:
        """The resource as it is shown; None if it is not here or deleted."""
        state = await self._get(resource_id)
        return None if state is None else self._model.from_fields(state.id, state.fields)

    async def all(
        self,
        scope: str | None = None,
        *,
        where: Where[R] | None = None,
        sort: Sort[R] | None = None,
        limit: int | None = None,
    ) -> list[R]:
        """The resources of one scope, or of every scope that is here, sorted by id unless `sort` says otherwise.

        `where`: the values that fields must have, or a function that chooses. `sort`: a field, with "-" before it for
        the highest first, or a key function. `limit`: how many at most.
        """
        return select(await self._resources(scope), getattr, where, sort, limit)

    async def count(self, scope: str | None = None, *, where: Where[R] | None = None) -> int:
        """How many `all` would return."""
        return len(select(await self._resources(scope), getattr, where))

    def on_change(self, callback: Callable[[CollectionChange[R]], object]) -> Callable[[], None]:
        """Call it whenever a resource of this type shows differently, changed here or elsewhere.

        It runs in the event loop, once the file has the change, and cannot wait. Returns a function that ends that.
        """
        return self._observe(lambda state: self._model.from_fields(state.id, state.fields), callback)

    async def _resources(self, scope: str | None) -> list[R]:
        return [self._model.from_fields(state.id, state.fields) for state in await self._all(scope)]


class DictCollection(_Base):
    """Resources of one type as dicts of their fields, with the id under "id"."""

    def __init__(
        self, replica: Replica, type_name: str, scope: str | None, to_handle: ToHandle, group: CurrentGroup
    ) -> None:
        super().__init__(replica, type_name, to_handle, group)
        self._scope = scope

    async def put(self, resource: Mapping[str, JsonValue]) -> ChangeHandle:
        """Create it, under its "id" or a new one, or set the fields in which it differs. One local commit.

        A counter gets the difference, a set what is new and what is gone.
        Raises `conflict_rules.InvalidValue` before anything is queued, and `NotHere` if it was deleted.
        """
        fields = dict(resource)
        resource_id = fields.pop("id", None)
        return await self._put(new_id() if resource_id is None else str(resource_id), self._scope, fields)

    async def get(self, resource_id: str) -> dict[str, JsonValue] | None:
        """The resource as it is shown; None if it is not here or deleted."""
        state = await self._get(resource_id)
        return None if state is None else _as_dict(state)

    async def all(
        self,
        scope: str | None = None,
        *,
        where: Where[dict[str, JsonValue]] | None = None,
        sort: Sort[dict[str, JsonValue]] | None = None,
        limit: int | None = None,
    ) -> list[dict[str, JsonValue]]:
        """The resources of one scope, this collection's by default, sorted by id unless `sort` says otherwise.

        `where`: the values that fields must have, or a function that chooses. `sort`: a field, with "-" before it for
        the highest first, or a key function. `limit`: how many at most.
        """
        return select(await self._resources(scope), dict.get, where, sort, limit)

    async def count(self, scope: str | None = None, *, where: Where[dict[str, JsonValue]] | None = None) -> int:
        """How many `all` would return."""
        return len(select(await self._resources(scope), dict.get, where))

    def on_change(self, callback: Callable[[CollectionChange[dict[str, JsonValue]]], object]) -> Callable[[], None]:
        """Call it whenever a resource of this type shows differently, changed here or elsewhere.

        It runs in the event loop, once the file has the change, and cannot wait. Returns a function that ends that.
        """
        return self._observe(_as_dict, callback, self._scope)

    async def _resources(self, scope: str | None) -> list[dict[str, JsonValue]]:
        return [_as_dict(state) for state in await self._all(scope or self._scope)]


def _as_dict(state: State) -> dict[str, JsonValue]:
    return {**state.fields, "id": state.id}
