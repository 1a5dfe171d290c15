"""Undo: the ordinary change that brings back what a resource said earlier. Pure; whoever asked pushes it as his own.

A document is brought back by an edit like any other, which somebody who can read it has to find (`turned_documents`).

It has seen what stands now, so that it may overwrite it, and is kept in the history like any other.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from conflict_rules import Op, Rule, State
from conflict_rules.crdt import Collaborative
from conflict_rules.later_stamp import LaterStamp
from conflict_rules.values import JsonValue, canonical_json, same_value
from syncd.errors import InvalidMessage

__all__ = ["Undo", "compose_undo", "turned_documents"]


@dataclass(frozen=True, slots=True)
class Undo:
    """A change without number and stamp. `left`: fields that stay as they are, since no change can take them back:
    those that were not set then, and those of a rule under which values only ever rise or fall.
    """

    scope: str
    type: str
    id: str
    op: Op
    base: int
    fields: Mapping[str, JsonValue]
    was: Mapping[str, JsonValue]
    left: tuple[str, ...]

    def as_dict(self) -> dict[str, JsonValue]:
        """The change, as it is pushed with `n` and `stamp` of whoever pushes it, and what stays."""
        change: dict[str, JsonValue] = {
            "scope": self.scope,
            "type": self.type,
            "id": self.id,
            "op": self.op.value,
            "base": self.base,
        }
        if self.fields:
            change["fields"] = dict(self.fields)
        if self.was:
            change["was"] = dict(self.was)
        return {"change": change, "left": list(self.left)}


def turned_documents(
    rule: Rule, now: State | None, then: State | None, only: Collection[str] | None = None
) -> list[str]:
    """The fields whose documents have to be turned back for that change."""
    if then is None or then.deleted is not None:
        return []
    held = {} if now is None else now.fields
    return [
        name
        for name in sorted({*held, *then.fields})
        if isinstance(rule.field_rule(name), Collaborative)
        and (only is None or name in only)
        and held.get(name) != then.fields.get(name)
    ]


def compose_undo(
    rule: Rule,
    now: State | None,
    then: State | None,
    only: Collection[str] | None = None,
    edits: Mapping[str, bytes] | None = None,
    shows: Callable[[str], bool] = lambda name: True,
) -> Undo:
    """The change that leads from `now` to `then`, each None where there was no such resource; `only`: these fields.

    `edits`: of the documents that say something else by now, the update that leads back. `shows`: whether whoever asks
    may see a field; one that he may not is in no part of the change. Raises `InvalidMessage` ("nothing_to_undo") where
    they say the same, or nothing can be taken back.
    """
    lives = now is not None and now.deleted is None
    lived = then is not None and then.deleted is None
    one = now or then
    if one is None or not (lives or lived):
        raise _nothing()
    base = 0 if now is None else now.version
    if not lived:
        return Undo(one.scope, one.type, one.id, Op.DELETE, base, {}, {}, ())
    assert then is not None
    held = now.fields if now is not None else {}
    fields, left = _difference(rule, held, then.fields, only, edits or {}, lives=lives)
    was = {name: held[name] for name in fields if name in held and rule.field_rule(name).asks}
    if not lives:
        return Undo(one.scope, one.type, one.id, Op.RESTORE if now is not None else Op.CREATE, base, fields, {}, left)
    if not fields:
        raise _nothing()
    if rule.whole_record:
        # As a device sends it: what is not carried is left as it is, and a counter would count again what it is told.
        values = {
            name: value for name, value in held.items() if shows(name) and isinstance(rule.field_rule(name), LaterStamp)
        }
        fields = {**values, **fields}
    return Undo(one.scope, one.type, one.id, Op.UPDATE, base, fields, was, left)


def _difference(
    rule: Rule,
    held: Mapping[str, JsonValue],
    wanted: Mapping[str, JsonValue],
    only: Collection[str] | None,
    edits: Mapping[str, bytes],
    *,
    lives: bool,
) -> tuple[dict[str, JsonValue], tuple[str, ...]]:
    fields: dict[str, JsonValue] = {}
    left: list[str] = []
    for name in sorted({*held, *wanted}):
        if only is not None and name not in only:
            continue
        if name in held and name in wanted and same_value(held[name], wanted[name]):
            continue
        kind = rule.field_rule(name).name
        if isinstance(rule.field_rule(name), Collaborative):
            if name in edits:
                fields[name] = {"update": base64.b64encode(edits[name]).decode()}
            continue
        # What lives is told by how much it changes; what is made or comes back is told plainly.
        if kind == "counter" and (lives or name in held):
            fields[name] = {"increment": _number(wanted.get(name)) - _number(held.get(name))}
        elif kind == "set" and (lives or name in held):
            fields[name] = _edit(held.get(name), wanted.get(name))
        elif name not in wanted or (kind in ("max", "min") and name in held):
            left.append(name)
        else:
            fields[name] = wanted[name]
    return fields, tuple(left)


def _number(value: JsonValue) -> int:
    return value if isinstance(value, int) else 0


def _edit(held: JsonValue, wanted: JsonValue) -> JsonValue:
    before = {canonical_json(each): each for each in held} if isinstance(held, list) else {}
    after = {canonical_json(each): each for each in wanted} if isinstance(wanted, list) else {}
    return {
        "add": [each for key, each in after.items() if key not in before],
        "remove": [each for key, each in before.items() if key not in after],
    }


def _nothing() -> InvalidMessage:
    return InvalidMessage(
        "there is nothing to undo: it says the same by now, or what it said then cannot be brought back",
        code="nothing_to_undo",
        hint="GET /sync/v1/history shows what there was.",
    )
