"""What a state brings that is new: told from the states of a scope alone, as they come in pages and deltas. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from conflict_rules import Mark, State
from conflict_rules.values import JsonValue

__all__ = ["ScopeTeller", "Told"]


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that happened. `op`: create, update, delete, or `gone` for what a server that was restored does not
    have any more. `fields`: what was set since the state that was met before. `made_at_ms`: by the effective stamp.
    """

    scope: str
    type: str
    id: str
    op: str
    version: int
    replica: str
    n: int
    fields: Mapping[str, JsonValue]
    made_at_ms: int


@dataclass(frozen=True, slots=True)
class _Met:
    """A state as it was met last: all that is kept of a resource."""

    version: int
    replica: str
    n: int
    deleted: bool
    made_at_ms: int


class ScopeTeller:
    """One scope, in the order in which its states come."""

    def __init__(self, scope: str) -> None:
        self._scope = scope
        self._met: dict[tuple[str, str], _Met] = {}
        self._highest = 0
        self._left_over: dict[tuple[str, str], _Met] | None = None

    def knows(self, states: Iterable[State]) -> bool:
        """Whether all of these were met already, in a page that overtook their delta."""
        return all(state.version <= self._highest for state in states)

    def start_over(self) -> None:
        """A fresh snapshot begins: what is not met again until its end is gone."""
        self._left_over = dict(self._met)
        self._highest = 0

    def take(self, states: Iterable[State]) -> list[Told]:
        """What these states bring."""
        told = []
        for state in states:
            key = (state.type, state.id)
            before, now = self._met.get(key), _met(state)
            self._met[key] = now
            self._highest = max(self._highest, state.version)
            if self._left_over is not None:
                self._left_over.pop(key, None)
            if now != before:
                told.append(self._tell(state, now, before))
        return told

    def end_snapshot(self) -> list[Told]:
        """The snapshot is complete; what is gone with it."""
        left_over, self._left_over = self._left_over or {}, None
        for key in left_over:
            del self._met[key]
        return [
            Told(self._scope, type_name, id_, "gone", met.version, met.replica, met.n, {}, met.made_at_ms)
            for (type_name, id_), met in left_over.items()
            if not met.deleted
        ]

    def _tell(self, state: State, now: _Met, before: _Met | None) -> Told:
        known = before is not None and not before.deleted
        op = "delete" if now.deleted else "update" if known else "create"
        # After a restore, versions of the past that was lost say nothing.
        seen = before.version if before is not None and known and before.version < state.version else 0
        fields = {name: value for name, value in state.fields.items() if state.marks[name].version > seen}
        return Told(self._scope, state.type, state.id, op, now.version, now.replica, now.n, fields, now.made_at_ms)


def _met(state: State) -> _Met:
    marks: Iterable[Mark] = state.marks.values() if state.deleted is None else [state.deleted]
    made_at_ms = max((mark.stamp.wall_ms for mark in marks if mark.version == state.version), default=0)
    return _Met(state.version, state.origin.replica, state.origin.n, state.deleted is not None, made_at_ms)
