"""Conflicts in the workspace: they follow the resources that they are about, in the same commit (law 8)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from conflict_rules import CONFLICT_TYPE, Change, Dispute, InvalidValue, Outcome, Stamp, State, conflict_id
from conflict_rules.conflict import disputed_fields, follow, lost_settlement
from conflict_rules.wire import MalformedChange
from syncd.engine.workspace import Workspace, encode_body
from syncd.store.protocol import ResourceKey

__all__ = ["Disputes", "concerns_conflicts"]


def concerns_conflicts(before: State | None, after: State) -> bool:
    """Whether a conflict has to know what led from one state to the other."""
    return after.type == CONFLICT_TYPE or bool(disputed_fields(before, after))


class Disputes:
    """`look_for` brings resources into the workspace, as far as they are there."""

    def __init__(self, workspace: Workspace, look_for: Callable[[Sequence[ResourceKey]], Awaitable[None]]) -> None:
        self._workspace = workspace
        self._look_for = look_for

    async def follow(self, before: State | None, after: State, change: Change, group: Sequence[int] = ()) -> None:
        """Let conflicts know that `change` has led from `before` to `after`, which the workspace holds.

        Raises `InvalidValue` if a conflict cannot be opened again, since what it was about is gone.
        """
        if after.type == CONFLICT_TYPE:
            if before is not None and before.fields["status"] == "settled" and after.fields["status"] == "open":
                await self._reopen(after)
            return
        for field in disputed_fields(before, after):
            conflict = await self._load((CONFLICT_TYPE, conflict_id(after.type, after.id, field)))
            version = self._workspace.head(after.scope) + 1
            self._put(follow(conflict, before, after, change, field, version, group))

    async def tell_loser(self, change: Change | MalformedChange, outcome: Outcome, stamp: Stamp | None) -> None:
        """A settlement that came to nothing stands in its conflict beside the one that counts."""
        if outcome.code != "settled_otherwise" or not isinstance(change, Change) or stamp is None:
            return
        key = (CONFLICT_TYPE, change.id if change.type == CONFLICT_TYPE else change.conflict or "")
        conflict = await self._load(key)
        if conflict is not None:
            version = self._workspace.head(conflict.scope) + 1
            self._put(lost_settlement(conflict, replace(change, stamp=stamp), version))

    async def _reopen(self, conflict: State) -> None:
        """The field is in dispute again, with the value that was chosen as the accepted one."""
        field, about = conflict.fields["field"], conflict.fields["about"]
        if not isinstance(field, str) or not isinstance(about, dict):
            return
        state = await self._load((str(about["type"]), str(about["id"])))
        if state is None or state.deleted is not None:
            raise InvalidValue("deleted", "id", "what this conflict was about has been deleted")
        if field not in state.fields:
            # It was of a life that a delete has ended; what was put in its place has no such field.
            raise InvalidValue("no_such_conflict", "id", f"there is no {field} any more that could be in dispute")
        # The value may have been changed since it was chosen.
        fields = {**conflict.fields, "accepted": state.fields[field]}
        self._put(replace(conflict, fields=fields, marks={**conflict.marks, "accepted": conflict.marks["status"]}))
        version = self._workspace.head(state.scope) + 1
        dispute = Dispute(conflict.id, version, open=True)
        self._put(
            replace(
                state,
                version=version,
                origin=conflict.origin,
                rule_data={**state.rule_data, field: dispute.data()},
            )
        )

    async def _load(self, key: ResourceKey) -> State | None:
        await self._look_for([key])
        return self._workspace.state(key)

    def _put(self, state: State) -> None:
        self._workspace.put(state, encode_body(state))
