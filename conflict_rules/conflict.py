"""Conflicts: questions for a person, as resources of a built-in type, so that they sync and can be settled offline.

One is opened over each field in dispute (see `manual`), or by an app's hook that asks. Its state follows from what
happens to the resource it is about: `follow` says how. A hook's question is settled by itself: `CONFLICT`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from conflict_rules.change import Change, Op
from conflict_rules.dispute import Dispute, conflict_id, dispute_of
from conflict_rules.later_stamp import LATER_STAMP
from conflict_rules.outcome import Kind, Merged, Outcome
from conflict_rules.record_rule import RecordRule
from conflict_rules.state import Mark, Origin, State
from conflict_rules.values import InvalidValue, JsonValue, same_value

__all__ = ["CONFLICT", "CONFLICT_TYPE", "VALUES_DIFFER", "disputed_fields", "follow", "lost_settlement", "question"]

CONFLICT_TYPE: Final = "conflict"
VALUES_DIFFER: Final = "values"
"""The question of a field in dispute: which of its values is right?"""

_KEPT_SETTLEMENTS: Final = 20


def disputed_fields(before: State | None, after: State) -> list[str]:
    """The fields whose conflicts have something to learn of the step from `before` to `after`."""
    if not after.rule_data and (before is None or not before.rule_data):
        return []
    names = {*(before.rule_data if before is not None else ()), *after.rule_data}
    return sorted(name for name in names if _has_news(before, after, name))


def _has_news(before: State | None, after: State, name: str) -> bool:
    was, now = _dispute(before, name), _dispute(after, name)
    if after.deleted is not None:
        return was is not None and was.open
    if now is None:
        return False
    if before is not None and before.deleted is not None:
        # It is back: what was asked before its delete is asked again, unless this change has chosen.
        return now.open or was != now
    if was != now:
        return True
    return now.open and before is not None and before.marks[name] != after.marks[name]


def follow(
    conflict: State | None,
    before: State | None,
    after: State,
    change: Change,
    field: str,
    version: int,
    group: Sequence[int] = (),
) -> State:
    """The conflict over `field`, now that `change` has led from `before` to `after`; `version` is what it takes.

    `group`: the numbers of the changes that stand or fall with this one.
    """
    edit = _Edit(conflict, change, after, field)
    was, now = _dispute(before, field), _dispute(after, field)
    if after.deleted is not None or now is None:
        edit.settle({"deleted": True, **_author(change)})
    elif not now.open:
        value = after.fields[field]
        edit.settle({"value": value, "key": edit.key_of(value), **_author(change)})
        edit.accept(after)
    else:
        if was is None or not was.open:
            edit.open(before or after)
        edit.ask_again()
        if now.version == after.version and field in change.fields:
            edit.widen(group)
        edit.accept(after)
    return edit.state(version)


def lost_settlement(conflict: State, change: Change, version: int) -> State:
    """The conflict with a settlement that came to nothing, since a later one stands: both can be seen there."""
    edit = _Edit(conflict, change, conflict, "")
    value = next(iter(change.fields.values()), None)
    edit.remember({"value": value, **_author(change)})
    return edit.state(version)


def question(
    conflict_id: str,
    about: State,
    code: str,
    options: Iterable[str],
    others: Iterable[tuple[str, str]],
    message: str | None,
    change: Change,
    version: int,
) -> State:
    """A new conflict that a hook asks for. `options`: what may be chosen."""
    fields: dict[str, JsonValue] = {
        "about": {"type": about.type, "id": about.id},
        "field": None,
        "question": code,
        "message": message,
        "others": [{"type": type_name, "id": resource_id} for type_name, resource_id in others],
        "accepted": None,
        "base": None,
        "candidates": [{"key": option, "value": option} for option in options],
        "status": "open",
        "settlement": None,
        "settlements": [],
    }
    mark = Mark(version, change.stamp)
    origin = Origin(change.replica, change.n)
    return State(about.scope, CONFLICT_TYPE, conflict_id, version, fields, dict.fromkeys(fields, mark), origin)


class _Edit:
    """A conflict's fields while a change to what it is about is told to it."""

    def __init__(self, conflict: State | None, change: Change, about: State, field: str) -> None:
        self._before = conflict if conflict is not None and conflict.deleted is None else None
        self._change = change
        self._about = about
        self._field = field
        self.fields: dict[str, Any] = {
            "about": {"type": about.type, "id": about.id},
            "field": field,
            "question": VALUES_DIFFER,
            "message": None,
            "others": [],
            "accepted": None,
            "base": None,
            "candidates": [],
            "status": "open",
            "settlement": None,
            "settlements": [],
        }
        if self._before is not None:
            self.fields.update(self._before.fields)

    def open(self, about: State) -> None:
        """Anew: what stands, and who said so, is the first candidate."""
        self.put_aside()
        mark = about.marks[self._field]
        accepted = {
            "key": f"{mark.stamp.replica}.{mark.version}",
            "value": about.fields[self._field],
            "replica": mark.stamp.replica,
            "stamp": str(mark.stamp),
            "at_ms": mark.stamp.wall_ms,
        }
        base = self._change.was.get(self._field)
        self.fields.update({"status": "open", "base": base, "candidates": [accepted]})

    def ask_again(self) -> None:
        """The same candidates: an answer that the dispute has outlived, such as a delete, is put aside."""
        self.put_aside()
        self.fields["status"] = "open"

    def widen(self, group: Sequence[int]) -> None:
        """One more candidate; a replica's newer one takes the place of its older."""
        change = self._change
        first, *others = self.fields["candidates"]
        others = [other for other in others if other.get("replica") != change.replica]
        key = f"{change.replica}.{change.n}"
        candidate = {"key": key, "value": change.fields[self._field], **_author(change)}
        if group:
            candidate["group"] = list(group)
        self.fields["candidates"] = [first, *others, candidate]

    def accept(self, about: State) -> None:
        """What stands meanwhile."""
        self.fields["accepted"] = about.fields.get(self._field)

    def settle(self, settlement: dict[str, JsonValue]) -> None:
        """An answer; an earlier one is put aside, not forgotten."""
        self.put_aside()
        self.fields.update({"status": "settled", "settlement": settlement})

    def put_aside(self) -> None:
        """Keep the settlement that was."""
        if self.fields["settlement"] is not None:
            self.remember(self.fields["settlement"])
        self.fields["settlement"] = None

    def remember(self, settlement: Mapping[str, JsonValue]) -> None:
        """A settlement that does not stand."""
        self.fields["settlements"] = [*self.fields["settlements"], dict(settlement)][-_KEPT_SETTLEMENTS:]

    def key_of(self, value: JsonValue) -> JsonValue:
        """The candidate that has this value, if one has."""
        return next((each["key"] for each in self.fields["candidates"] if same_value(each["value"], value)), None)

    def state(self, version: int) -> State:
        """As it is from now on."""
        conflict, change = self._before, self._change
        mark, origin = Mark(version, change.stamp), Origin(change.replica, change.n)
        if conflict is None:
            identity = conflict_id(self._about.type, self._about.id, self._field)
            marks = dict.fromkeys(self.fields, mark)
            return State(self._about.scope, CONFLICT_TYPE, identity, version, self.fields, marks, origin)
        marks = {
            name: held if same_value(conflict.fields.get(name), self.fields[name]) else mark
            for name, held in conflict.marks.items()
        }
        return replace(conflict, version=version, fields=self.fields, marks=marks, origin=origin)


@dataclass(frozen=True)
class ConflictRule(RecordRule):
    """Law 7: a conflict changes through settlements only, and those of a field in dispute go to its resource."""

    def merge(self, state: State | None, change: Change, version: int) -> Merged:
        """See `Rule.merge`: choose an answer to a hook's question, or open a conflict again."""
        if change.op is not Op.SETTLE or state is None:
            raise InvalidValue("built_in_type", "op", "op: a conflict is opened by the server, and settled by `settle`")
        edit = _Edit(state, change, state, "")
        if dict(change.fields) == {"status": "open"}:
            if state.fields["status"] == "open":
                return Merged(Outcome(Kind.APPLIED, state.version), state)
            edit.put_aside()
            edit.fields["status"] = "open"
            return self._merged(state, change, edit.state(version))
        return self._choose(state, change, edit, version)

    def _choose(self, state: State, change: Change, edit: _Edit, version: int) -> Merged:
        choice = change.fields.get("choice")
        if state.fields["field"] is not None:
            raise InvalidValue(
                "settle_the_resource", "type", "type: this conflict is about a field; settle that field of the resource"
            )
        if len(change.fields) != 1 or edit.key_of(choice) is None:
            options = ", ".join(str(each["key"]) for each in edit.fields["candidates"])
            raise InvalidValue("unknown_choice", "choice", f"choice: one of {options}")
        stands, mark = state.fields["settlement"], state.marks["settlement"]
        if isinstance(stands, Mapping) and not mark.seen_by(change) and change.stamp < mark.stamp:
            if stands.get("value") == choice:
                return Merged(Outcome(Kind.APPLIED, state.version), state)
            why = "somebody else has settled it, later; this one is kept in the history"
            return Merged(Outcome(Kind.OVERRULED, state.version, "settled_otherwise", why, lost=("choice",)), state)
        edit.settle({"value": choice, "key": choice, **_author(change)})
        return self._merged(state, change, edit.state(version))

    def _merged(self, before: State, change: Change, after: State) -> Merged:
        seen = before.seen_by(change)
        return Merged(Outcome(Kind.APPLIED if seen else Kind.MERGED, after.version), after)


CONFLICT: Final = ConflictRule("conflict", LATER_STAMP)


def _dispute(state: State | None, field: str) -> Dispute | None:
    return None if state is None else dispute_of(state.rule_data.get(field))


def _author(change: Change) -> dict[str, JsonValue]:
    stamp = change.stamp
    return {"replica": change.replica, "n": change.n, "stamp": str(stamp), "at_ms": stamp.wall_ms}
