"""The comparison that rules share: field by field, seen beats stamped, and stamps decide the rest (law 2)."""

from __future__ import annotations

from conflict_rules.change import Change
from conflict_rules.outcome import Kind, Merged, Outcome
from conflict_rules.stamp import Stamp
from conflict_rules.state import Mark, Origin, State
from conflict_rules.values import same_value

__all__ = ["merge_fields"]


def merge_fields(state: State | None, change: Change, version: int) -> Merged:
    """Lay the change's fields over the state's, each on its own.

    A field that the change has seen is overwritten whatever the clocks say; an unseen one goes to the later stamp.
    The mark it leaves lies above the one it replaces, so that a slow clock's correction is not lost again to a
    change that arrives later (counterexample 4).
    """
    if state is None:
        marks = {name: Mark(version, change.stamp) for name in change.fields}
        created = State(change.scope, change.type, change.id, version, dict(change.fields), marks, _origin(change))
        return Merged(Outcome(Kind.APPLIED, version), created)

    fields, new_marks = dict(state.fields), dict(state.marks)
    lost: list[str] = []
    taken = False
    for name, value in change.fields.items():
        mark = state.marks.get(name)
        if mark is None or mark.seen_by(change) or change.stamp > mark.stamp:
            if mark is not None and mark.stamp == change.stamp and same_value(state.fields[name], value):
                continue  # This very change, told again: raising its stamp would let it win more than it did.
            fields[name] = value
            new_marks[name] = Mark(version, _above(change.stamp, mark))
            taken = True
        elif not same_value(state.fields[name], value):
            lost.append(name)

    if lost and len(lost) == len(change.fields):
        return Merged(
            Outcome(
                Kind.OVERRULED,
                state.version,
                "later_change_stands",
                "a later change, made without having seen this one, stands; this one is kept in the history",
                lost=tuple(lost),
            ),
            state,
        )
    kind = Kind.APPLIED if state.seen_by(change) else Kind.MERGED
    if not taken:
        return Merged(Outcome(kind, state.version, lost=tuple(lost)), state)
    merged = State(state.scope, state.type, state.id, version, fields, new_marks, _origin(change))
    return Merged(Outcome(kind, version, lost=tuple(lost)), merged)


def _above(stamp: Stamp, mark: Mark | None) -> Stamp:
    if mark is None or stamp > mark.stamp:
        return stamp
    return mark.stamp.next(stamp.replica)


def _origin(change: Change) -> Origin:
    return Origin(change.replica, change.n)
