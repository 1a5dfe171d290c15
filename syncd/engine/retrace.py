"""The states that a resource has had: its changes, laid over one another again by the same pure merge as at first.

Pure. Only what took effect is laid down, so that what a hook vetoed or a group took with it stays out. Where the rule
is not known, has changed since, or the beginning was trimmed, what the ledger says of a change is believed instead, and
`exact` is false from then on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from conflict_rules import Change, InvalidValue, Kind, Mark, Op, Origin, Rule, State, apply_change, rule_by_name
from conflict_rules.scrubbed import by_scrubber, scrubbed
from syncd.engine.entry import Entry

__all__ = ["Retrace", "Step"]

Lift = Callable[[Change], Change]
"""Brings a change that was made under an older version of the app to this one."""


@dataclass(frozen=True, slots=True)
class Step:
    """One entry, and the resource before and after it; the same object where it changed nothing.

    `change`: as it was applied, without the fields that it only told; None if it cannot be read.
    """

    entry: Entry
    change: Change | None
    before: State | None
    after: State | None

    @property
    def moved(self) -> bool:
        """Whether the resource took a new version."""
        return self.after is not self.before


class Retrace:
    """Takes the entries of one resource, oldest first. `rule`: None where it is not known."""

    def __init__(self, rule: Rule | None, lift: Lift | None = None) -> None:
        self._rule = rule_by_name("merge") if rule is None else rule
        self._lift = lift
        self.state: State | None = None
        self.exact = rule is not None

    def take(self, entry: Entry) -> Step:
        """The step that this entry made."""
        before, change = self.state, entry.change
        if change is not None and self._lift is not None and entry.outcome.kind is not Kind.REJECTED:
            change = self._lifted(change)
        if change is not None and (told := entry.outcome.told):
            change = replace(change, fields={name: each for name, each in change.fields.items() if name not in told})
        if change is not None and _moved(entry, before):
            self.state = self._apply(entry, change)
        return Step(entry, change, before, self.state)

    def _lifted(self, change: Change) -> Change:
        assert self._lift is not None
        try:
            return self._lift(change)
        except Exception:
            # An upgrade that is no more, or fails by now: the change is taken as it was sent.
            self.exact = False
            return change

    def _apply(self, entry: Entry, change: Change) -> State | None:
        version = entry.outcome.version
        if self.state is not None and by_scrubber(entry.replica):
            left = None if change.op is Op.DELETE else change.fields
            return scrubbed(self.state, left, Mark(version, change.stamp), Origin(entry.replica, entry.n))
        try:
            merged = apply_change(self._rule, self.state, change, version)
        except InvalidValue:
            merged = None
        if merged is not None and merged.state is not None and merged.state.version == version:
            if set(merged.outcome.lost) != set(entry.outcome.lost):
                self.exact = False
            return merged.state
        self.exact = False
        return _believed(self.state, entry, change)


def _moved(entry: Entry, before: State | None) -> bool:
    """Whether the entry led to a version that was not there before it."""
    return entry.outcome.kind.took_effect and entry.outcome.version > (0 if before is None else before.version)


def _believed(before: State | None, entry: Entry, change: Change) -> State:
    """What the ledger says came of it, without asking how."""
    mark = Mark(entry.outcome.version, change.stamp)
    origin = Origin(entry.replica, entry.n)
    state = before or State(change.scope, change.type, change.id, 0, {}, {}, origin)
    if change.op is Op.DELETE:
        return replace(state, version=mark.version, fields={}, marks={}, origin=origin, deleted=mark)
    taken = {name: value for name, value in change.fields.items() if name not in entry.outcome.lost}
    return replace(
        state,
        version=mark.version,
        fields={**state.fields, **taken},
        marks={**state.marks, **dict.fromkeys(taken, mark)},
        origin=origin,
        deleted=None,
    )
