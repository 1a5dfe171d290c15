"""The one door to the rules, and what they have in common: deletes, restores, what is gone or never was (law 9)."""

from __future__ import annotations

from dataclasses import replace

from conflict_rules.change import Change, Op
from conflict_rules.deletes import Deletes
from conflict_rules.outcome import Kind, Merged, Outcome
from conflict_rules.rule import Rule
from conflict_rules.state import Mark, Origin, State
from conflict_rules.values import InvalidValue

__all__ = ["apply_change"]


def apply_change(rule: Rule, state: State | None, change: Change, version: int) -> Merged:
    """Merge one change of any kind into `state` (None: never was, or its tombstone has been trimmed).

    `version` is what the result takes if the change has an effect. This is the one door to the rules, for the
    server and for the replica's own view.
    """
    try:
        if state is None:
            return _apply_to_nothing(rule, change, version)
        if state.deleted is not None:
            return _apply_to_tombstone(rule, state, state.deleted, change, version)
        return _apply_to_living(rule, state, change, version)
    except InvalidValue as invalid:
        version = 0 if state is None else state.version
        return Merged(Outcome(Kind.REJECTED, version, invalid.code, str(invalid), invalid.field), state)


def _apply_to_nothing(rule: Rule, change: Change, version: int) -> Merged:
    if change.op is Op.CREATE or (change.op is Op.RESTORE and change.fields):
        return rule.merge(None, change, version)
    if change.op is Op.DELETE:
        return Merged(
            Outcome(Kind.APPLIED, code="nothing_to_delete", message="there is no such resource any more"), None
        )
    # Law 9: never a resurrection. What comes back half-empty is worse than what stays away.
    message = f"there is no {change.type} {change.id!r} to {change.op}: it never was, or was deleted long ago"
    raise InvalidValue("unknown_resource", "id", message)


def _apply_to_living(rule: Rule, state: State, change: Change, version: int) -> Merged:
    if _is_of_a_former_life(rule, state, change):
        return _deleted_meanwhile(state, change)
    if change.op is Op.DELETE:
        return _delete(rule, state, change, version)
    return rule.merge(state, change, version)


def _is_of_a_former_life(rule: Rule, state: State, change: Change) -> bool:
    """Whether it is of the life that a delete ended; then it may come before the restore or after it."""
    if rule.deletes is not Deletes.DELETE_WINS or state.floor is None:
        return False
    return not state.floor.seen_by(change)


def _apply_to_tombstone(rule: Rule, state: State, deleted: Mark, change: Change, version: int) -> Merged:
    if change.op is Op.DELETE:
        return Merged(Outcome(Kind.APPLIED, state.version, "nothing_to_delete", "it was deleted already"), state)
    seen = deleted.seen_by(change)
    if change.op is Op.RESTORE and seen:
        return _bring_back(rule, state, deleted, change, version, Kind.APPLIED)
    if rule.deletes is Deletes.UPDATE_WINS and not seen and change.op is not Op.SETTLE:
        return _bring_back(rule, state, deleted, change, version, Kind.MERGED)
    if seen:
        raise InvalidValue("deleted", "id", f"this {change.type} was deleted before the change was made")
    return _deleted_meanwhile(state, change)


def _bring_back(rule: Rule, state: State, deleted: Mark, change: Change, version: int, kind: Kind) -> Merged:
    if not state.fields and not change.fields:
        raise InvalidValue(
            "nothing_kept", "fields", f"fields: what this {change.type} held is not kept; say what it is to hold"
        )
    # Under `update_wins` the tombstone has kept what there was; else the change brings the whole of it.
    before = replace(state, deleted=None) if state.fields else None
    merged = rule.merge(before, change, version)
    assert merged.state is not None
    if merged.state is before and kind is Kind.MERGED:
        # Had it come before the delete, it would have changed nothing either, and the delete would have seen all.
        return _deleted_meanwhile(state, change)
    outcome = merged.outcome
    if outcome.kind is not Kind.CONFLICT:
        outcome = Outcome(kind, lost=outcome.lost)
    origin = Origin(change.replica, change.n)
    back = replace(merged.state, version=version, origin=origin, deleted=None, floor=deleted)
    return Merged(replace(outcome, version=version), back)


def _deleted_meanwhile(state: State, change: Change) -> Merged:
    if change.op is Op.DELETE:
        return Merged(Outcome(Kind.APPLIED, state.version, "nothing_to_delete", "it was deleted already"), state)
    message = f"this {change.type} was deleted meanwhile, and the delete wins; the change is kept in the history"
    return Merged(
        Outcome(Kind.OVERRULED, state.version, "deleted", message, "id", lost=tuple(change.fields)),
        state,
    )


def _delete(rule: Rule, state: State, change: Change, version: int) -> Merged:
    seen = state.seen_by(change)
    origin = Origin(change.replica, change.n)
    mark = Mark(version, change.stamp)
    if rule.deletes is Deletes.DELETE_WINS:
        tombstone = State(state.scope, state.type, state.id, version, {}, {}, origin, mark)
        return Merged(Outcome(Kind.APPLIED if seen else Kind.MERGED, version), tombstone)
    if not seen:
        message = f"somebody edited this {change.type} meanwhile, and the edit wins; it stays"
        return Merged(Outcome(Kind.OVERRULED, state.version, "updated_meanwhile", message), state)
    return Merged(
        Outcome(Kind.APPLIED, version), replace(state, version=version, origin=origin, deleted=mark, floor=None)
    )
