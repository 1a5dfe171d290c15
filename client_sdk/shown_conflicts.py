"""What is shown of a conflict: the confirmed one, and what was done here since, as the server will follow it.

Pure: no I/O, no clock. A conflict over a field is settled by a change to the resource it is about, so that what is
pending there has to be told to it; the same code does so here and on the server (`conflict_rules.conflict`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from client_sdk.outbox import ResourceKey
from client_sdk.rebase import ABOVE_ALL, Pending, show
from conflict_rules import CONFLICT, CONFLICT_TYPE, Change, Op, Rule, State, conflict_id
from conflict_rules.conflict import disputed_fields, follow

__all__ = ["about_of", "conflicts_of", "show_conflict"]


def about_of(conflict: State) -> ResourceKey | None:
    """The resource whose field is in dispute; None if the conflict is a hook's question, which is settled by itself."""
    about = conflict.fields.get("about")
    if conflict.fields.get("field") is None or not isinstance(about, Mapping):
        return None
    return (str(about.get("type")), str(about.get("id")))


def conflicts_of(rule: Rule, change: Change) -> Collection[ResourceKey]:
    """The conflicts that may show differently because of `change`, were they here."""
    ids = {conflict_id(change.type, change.id, name) for name in change.fields if rule.field_rule(name).asks}
    if change.op is Op.SETTLE and change.conflict is not None:
        ids.add(change.conflict)
    return {(CONFLICT_TYPE, each) for each in ids}


def show_conflict(
    conflict: State | None, own: Sequence[Pending], rule: Rule, about: State | None, around: Sequence[Pending]
) -> State | None:
    """The conflict as it is shown. `own`: what is pending of it; `around`: of `about`, the resource it is over.

    A settlement that the server has not confirmed has `"pending": true` beside its value.
    """
    made: set[tuple[str, int]] = set()
    for entry in sorted([*own, *around], key=lambda entry: entry.seq):
        change, version = entry.change, ABOVE_ALL + entry.seq
        made.add((change.replica, change.n))
        if change.type == CONFLICT_TYPE:
            conflict = show(CONFLICT, conflict, [entry])
            continue
        before, about = about, show(rule, about, [entry])
        if conflict is None or conflict.deleted is not None or about is None or about is before:
            continue
        field = str(conflict.fields["field"])
        if field in disputed_fields(before, about):
            conflict = follow(conflict, before, about, change, field, version)
    return conflict if conflict is None else _marked(conflict, made)


def _marked(conflict: State, made: Collection[tuple[str, int]]) -> State:
    settlement = conflict.fields.get("settlement")
    if not isinstance(settlement, Mapping) or (settlement.get("replica"), settlement.get("n")) not in made:
        return conflict
    return replace(conflict, fields={**conflict.fields, "settlement": {**settlement, "pending": True}})
