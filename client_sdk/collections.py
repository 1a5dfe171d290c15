"""Collections: the resources of one type, as the user's own models or as plain dicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from client_sdk.drafts import Draft, GroupDraft
from client_sdk.edits import Edits
from client_sdk.handles import ChangeHandle
from client_sdk.replica import Replica
from conflict_rules import State
from conflict_rules.values import JsonValue
from syncd.app import Resource, new_id

__all__ = ["Collection", "DictCollection"]

R = TypeVar("R", bound=Resource)

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

        Raises `NotHere`, or `conflict_rules.InvalidValue` before anything is queued.
        """
        return self._to_handle(await self._edits.update(self._type, resource_id, fields, self._group()))

    async def _put(self, resource_id: str, scope: str | None, fields: Mapping[str, JsonValue]) -> ChangeHandle:
        return self._to_handle(await self._edits.put(self._type, resource_id, scope, fields, self._group()))

    async def _get(self, resource_id: str) -> State | None:
        state = await self._replica.state((self._type, resource_id), self._group())
        return None if state is None or state.deleted is not None else state

    async def _all(self, scope: str | None) -> list[State]:
        return await self._replica.states(self._type, scope, self._group())


class Collection(_Base, Generic[R]):
    """Resources of one declared type. Reads show the view: what is confirmed, and what was done here since."""

    def __init__(
        self, replica: Replica, type_name: str, model: type[R], to_handle: ToHandle, group: CurrentGroup
    ) -> None:
        super().__init__(replica, type_name, to_handle, group)
        self._model = model

    async def put(self, resource: R) -> ChangeHandle:
        """Create it, or set the fields in which it differs from the one that is here. One local commit.

        Raises `conflict_rules.InvalidValue` before anything is queued, and `NotHere` if it was deleted.
        """
        return await self._put(resource.id, None, resource.to_fields())

    async def get(self, resource_id: str) -> R | None:
        """The resource as it is shown; None if it is not here or deleted."""
        state = await self._get(resource_id)
        return None if state is None else self._model.from_fields(state.id, state.fields)

    async def all(self, scope: str | None = None) -> list[R]:
        """The resources of one scope, or of every scope that is here, sorted by id."""
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

        Raises `conflict_rules.InvalidValue` before anything is queued, and `NotHere` if it was deleted.
        """
        fields = dict(resource)
        resource_id = fields.pop("id", None)
        return await self._put(new_id() if resource_id is None else str(resource_id), self._scope, fields)

    async def get(self, resource_id: str) -> dict[str, JsonValue] | None:
        """The resource as it is shown; None if it is not here or deleted."""
        state = await self._get(resource_id)
        return None if state is None else {**state.fields, "id": state.id}

    async def all(self, scope: str | None = None) -> list[dict[str, JsonValue]]:
        """The resources of one scope, this collection's by default, sorted by id."""
        return [{**state.fields, "id": state.id} for state in await self._all(scope or self._scope)]
