"""Conflicts, as the user holds them: what waits for an answer, and answering. All of it works offline.

Here stands what a person may ask for; what an answer becomes is in `edits`, and how it shows in `shown_conflicts`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from client_sdk.drafts import Draft, GroupDraft
from client_sdk.edits import Edits
from client_sdk.errors import NotHere, Unfit
from client_sdk.handles import ChangeHandle
from client_sdk.observers import CollectionChange, ShownPair
from client_sdk.replica import Replica
from conflict_rules import CONFLICT_TYPE, State
from conflict_rules.values import JsonValue
from syncd.app import Conflict

__all__ = ["Conflicts"]

_NOTHING: Final = object()


class Conflicts:
    """The conflicts in every scope that is here."""

    def __init__(
        self,
        replica: Callable[[], Replica],
        to_handle: Callable[[Draft], ChangeHandle],
        group: Callable[[], GroupDraft | None],
    ) -> None:
        self._replica = replica
        self._to_handle = to_handle
        self._group = group

    async def all(self, scope: str | None = None, *, open: bool | None = True) -> list[Conflict]:
        """Those of a scope, or of all, by id. `open`: True, those without an answer; False, with one; None, both."""
        states = await self._replica().states(CONFLICT_TYPE, scope, self._group())
        conflicts = [_model(state) for state in states]
        return [conflict for conflict in conflicts if open in (None, conflict.open)]

    async def get(self, conflict_id: str) -> Conflict | None:
        """The conflict as it is shown; None if it is not here."""
        state = await self._replica().state((CONFLICT_TYPE, conflict_id), self._group())
        return None if state is None or state.deleted is not None else _model(state)

    async def settle(
        self, conflict: Conflict | str, *, value: JsonValue = _NOTHING, choice: str | None = None
    ) -> ChangeHandle:
        """Answer it: by the `key` of one of its candidates, or, over a field, by whatever value is right.

        One local commit; it shows at once, with `conflict.pending` until the server has it. A settled one may be
        answered anew. Raises `NotHere`, `Unfit`, or `conflict_rules.InvalidValue` before anything is queued.
        """
        found = await self._find(conflict)
        if (value is _NOTHING) is (choice is None):
            raise Unfit("settle a conflict by one of the two: choice=, the key of a candidate, or value=")
        edits, group = Edits(self._replica()), self._group()
        if choice is not None:
            candidate = next((each for each in found.candidates if each.get("key") == choice), None)
            if candidate is None:
                keys = ", ".join(str(each.get("key")) for each in found.candidates)
                raise Unfit(f"the conflict {found.id} has no candidate {choice!r}; it has {keys}")
            value = candidate.get("value")
        if found.field is not None:
            about = (found.about["type"], found.about["id"])
            return self._to_handle(await edits.settle_field(about, found.id, found.field, value, group))
        if choice is None:
            raise Unfit(f"the conflict {found.id} is a question with given answers; settle it by choice=")
        return self._to_handle(await edits.settle_conflict(found.id, {"choice": choice}, group))

    async def reopen(self, conflict: Conflict | str) -> ChangeHandle:
        """Ask again: the answer is put aside, and what stands meanwhile stays. Raises `NotHere`."""
        found = await self._find(conflict)
        edits = Edits(self._replica())
        return self._to_handle(await edits.settle_conflict(found.id, {"status": "open"}, self._group()))

    def on_open(self, callback: Callable[[Conflict], object]) -> Callable[[], None]:
        """Call it with each conflict that opens from now on, or opens again. Returns a function that ends that.

        It runs in the event loop, once the file has the conflict, and cannot wait.
        """

        def told(pair: ShownPair) -> None:
            before, after = map(_shown, pair)
            if after is not None and after.open and not (before is not None and before.open):
                callback(after)

        return self._replica().observers.add(CONFLICT_TYPE, told)

    def on_change(self, callback: Callable[[CollectionChange[Conflict]], object]) -> Callable[[], None]:
        """Call it whenever a conflict shows differently: opened, with one more candidate, answered, confirmed.

        It runs in the event loop, once the file has it, and cannot wait. Returns a function that ends that.
        """

        def told(pair: ShownPair) -> None:
            state = pair[1] or pair[0]
            assert state is not None
            callback(CollectionChange(state.id, state.scope, _shown(pair[1])))

        return self._replica().observers.add(CONFLICT_TYPE, told)

    async def _find(self, conflict: Conflict | str) -> Conflict:
        conflict_id = conflict if isinstance(conflict, str) else conflict.id
        found = await self.get(conflict_id)
        if found is None:
            raise NotHere(f"there is no conflict {conflict_id!r} in this replica")
        return found


def _shown(state: State | None) -> Conflict | None:
    return None if state is None or state.deleted is not None else _model(state)


def _model(state: State) -> Conflict:
    return Conflict.from_fields(state.id, state.fields)
