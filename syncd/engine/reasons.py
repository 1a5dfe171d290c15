"""Why a change took a field, or did not, as a sentence that names the law. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from conflict_rules import Change, Kind, Mark, Op, Stamp
from syncd.engine.entry import Entry
from syncd.engine.retrace import Step

__all__ = ["why_deleted", "why_lost", "why_taken"]


def why_taken(step: Step, name: str, rule: str | None, *, joins: bool = False) -> str:
    """Why the field holds something of this step's change. `joins`: an author's rule that is asked in sight too."""
    change = step.change
    mark = _mark(step, name)
    if change is None:
        return "the ledger says that it took effect"
    if change.op is Op.SETTLE:
        return f"it settles the conflict {change.conflict or 'over this field'} (law 8)"
    joined = _joined(change.fields.get(name), rule)
    if joined is not None:
        return joined
    if mark is None:
        if step.before is None or step.before.deleted is not None:
            return "it came with the resource" if change.op is not Op.RESTORE else "it came back with the resource"
        return "it is the first value of this field"
    if joins:
        return f"the rule {rule} made this of what was held and of what came, seen or not"
    seen = _seen(mark, change)
    if seen is not None:
        return f"seen: {seen}, so it may overwrite whatever the clocks say (law 2)"
    unseen = _unseen(mark, change)
    if rule in (None, "lww"):
        return f"{unseen}, and its stamp is the later one: {_later(change.stamp, mark)} (law 2)"
    if rule in ("max", "min"):
        return f"{rule}: the {'greater' if rule == 'max' else 'lesser'} value stands, seen or not"
    return f"{unseen}; the rule {rule} made this of the two"


def why_lost(step: Step, name: str, rule: str | None, *, joins: bool = False) -> str:
    """Why the field holds nothing of this step's change. `joins`: see `why_taken`."""
    entry, change, outcome = step.entry, step.change, step.entry.outcome
    if outcome.kind is Kind.REJECTED:
        return _told(entry)
    if step.before is not None and step.before.deleted is not None:
        return why_deleted(step)
    mark = _mark(step, name)
    if change is None or mark is None or (outcome.code or "").startswith("group_"):
        return _told(entry)
    if joins and outcome.kind is not Kind.CONFLICT:
        return f"the rule {rule} chose what was held, seen or not"
    unseen = _unseen(mark, change)
    if outcome.kind is Kind.CONFLICT:
        return f"{unseen}, and the values differ: the accepted one stands until somebody has chosen (law 8)"
    if rule in (None, "lww") or outcome.code == "later_change_stands":
        return f"{unseen}, and its stamp is the earlier one: {_later(mark.stamp, change)} (law 2)"
    if rule == "server_wins":
        return f"{unseen}, and under server_wins what the server holds stands"
    if rule in ("max", "min"):
        return f"{rule}: a {'greater' if rule == 'max' else 'lesser'} value stood"
    return f"{unseen}; the rule {rule} chose the other value" if outcome.code is None else _told(entry)


def why_deleted(step: Step) -> str:
    """Why a change to what was deleted has no effect."""
    deleted = None if step.before is None else step.before.deleted
    if deleted is None or step.change is None:
        return _told(step.entry)
    seen = _seen(deleted, step.change)
    if seen is not None:
        return f"it was deleted at version {deleted.version}, and whoever made this had seen that: {seen}"
    return f"it was deleted at version {deleted.version} by {deleted.stamp.replica} meanwhile, and the delete wins"


def _joined(value: object, rule: str | None) -> str | None:
    """For values that are the work of several."""
    if rule == "counter":
        increment = value["increment"] if isinstance(value, dict) and "increment" in value else value
        return f"counter: it adds {increment}; increments add up, seen or not"
    if rule == "set":
        return "set: elements are added and taken away; an addition stands against a removal that has not seen it"
    if rule == "crdt":
        return "crdt: it edits the document; edits are merged, seen or not"
    return None


def _mark(step: Step, name: str) -> Mark | None:
    return None if step.before is None else step.before.marks.get(name)


def _seen(mark: Mark, change: Change) -> str | None:
    """How whoever made the change knew the value, None if he did not."""
    if mark.version <= change.base:
        return f"its base {change.base} is not below version {mark.version}, which set this"
    if mark.stamp.replica == change.replica:
        return f"{change.replica} had set this itself, and knows its own earlier changes (law 1)"
    return None


def _unseen(mark: Mark, change: Change) -> str:
    return f"not seen: its base {change.base} is below version {mark.version}, at which the field stood"


def _later(later: Stamp | Mark, earlier: Mark | Change) -> str:
    one = later.stamp if isinstance(later, Mark) else later
    other = earlier.stamp
    if one.wall_ms == other.wall_ms:
        return f"both at {_time(one)}, and {one.replica} comes after {other.replica}"
    return f"{_time(one)} is after {_time(other)}"


def _time(stamp: Stamp) -> str:
    return datetime.fromtimestamp(stamp.wall_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _told(entry: Entry) -> str:
    """What its author was told."""
    outcome = entry.outcome
    if outcome.message is None:
        return f"{outcome.kind.value}: {outcome.code or 'no reason was kept'}"
    return f"{outcome.kind.value}: {outcome.message} ({outcome.code or 'no code'})"
