"""What every rule has in common: changes to what is gone or never was, and deletes (law 9, `delete_wins`)."""

from __future__ import annotations

from conflict_rules.change import Change, Op
from conflict_rules.outcome import Kind, Merged, Outcome
from conflict_rules.rule import Rule
from conflict_rules.state import Mark, Origin, State

__all__ = ["apply_change"]


def apply_change(rule: Rule, state: State | None, change: Change, version: int) -> Merged:
    """Merge one change of any kind into `state` (None: never was, or its tombstone has been trimmed).

    `version` is what the result takes if the change has an effect. This is the one door to the rules, for the
    server and for the replica's own view.
    """
    if state is None:
        return _apply_to_nothing(rule, change, version)
    if state.deleted is not None:
        return _apply_to_tombstone(state, state.deleted, change)
    if change.op is Op.DELETE:
        return _delete(state, change, version)
    return rule.merge(state, change, version)


def _apply_to_nothing(rule: Rule, change: Change, version: int) -> Merged:
    if change.op is Op.CREATE:
        return rule.merge(None, change, version)
    if change.op is Op.DELETE:
        outcome = Outcome(Kind.APPLIED, code="nothing_to_delete", message="there is no such resource any more")
    else:
        # Law 9: never a resurrection. What comes back half-empty is worse than what stays away.
        outcome = Outcome(
            Kind.REJECTED,
            code="unknown_resource",
            message=f"there is no {change.type} {change.id!r} to update: it never was, or was deleted long ago",
            field="id",
        )
    return Merged(outcome, None)


def _apply_to_tombstone(state: State, deleted: Mark, change: Change) -> Merged:
    if change.op is Op.DELETE:
        return Merged(Outcome(Kind.APPLIED, state.version, "nothing_to_delete", "it was deleted already"), state)
    if deleted.seen_by(change):
        return Merged(
            Outcome(
                Kind.REJECTED,
                state.version,
                "deleted",
                f"this {change.type} was deleted before the change was made",
                "id",
            ),
            state,
        )
    return Merged(
        Outcome(
            Kind.OVERRULED,
            state.version,
            "deleted",
            f"this {change.type} was deleted meanwhile, and the delete wins; the change is kept in the history",
            "id",
            lost=tuple(change.fields),
        ),
        state,
    )


def _delete(state: State, change: Change, version: int) -> Merged:
    kind = Kind.APPLIED if state.seen_by(change) else Kind.MERGED
    tombstone = State(
        state.scope,
        state.type,
        state.id,
        version,
        fields={},
        marks={},
        origin=Origin(change.replica, change.n),
        deleted=Mark(version, change.stamp),
    )
    return Merged(Outcome(kind, version), tombstone)
