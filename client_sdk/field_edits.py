"""Edits of fields that hold the work of several: so much more, these elements in, those out.

Pure. What such a field is told is never its value, since two that did not see each other would overwrite one another;
`put`, which gets a whole resource, says by how much it differs from what is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from conflict_rules import FieldRule, InvalidValue, Rule, State
from conflict_rules.add_wins import AddWins, Element
from conflict_rules.counter import Adds
from conflict_rules.crdt import Collaborative
from conflict_rules.later_stamp import LaterStamp
from conflict_rules.values import JsonValue, canonical_json, same_value

__all__ = [
    "Add",
    "Increment",
    "Remove",
    "SetEdit",
    "as_edits",
    "differences",
    "was_shown",
    "whole_record",
    "without_documents",
]


@dataclass(frozen=True, slots=True)
class Increment:
    """`by`: how much more a counter is to be; less, if below 0."""

    by: int = 1

    def edit(self) -> dict[str, JsonValue]:
        """As it is sent."""
        return {"increment": self.by}


@dataclass(frozen=True)
class SetEdit:
    """What a set is to gain and to lose; `&` joins two. What is named in both is in the set afterwards."""

    added: tuple[Element, ...] = ()
    removed: tuple[Element, ...] = ()

    def __and__(self, other: SetEdit) -> SetEdit:
        if not isinstance(other, SetEdit):
            return NotImplemented
        return SetEdit((*self.added, *other.added), (*self.removed, *other.removed))

    def edit(self) -> dict[str, JsonValue]:
        """As it is sent."""
        edit: dict[str, JsonValue] = {}
        if self.added or not self.removed:
            edit["add"] = list(self.added)
        if self.removed:
            edit["remove"] = list(self.removed)
        return edit


def Add(*elements: Element) -> SetEdit:  # noqa: N802  # read as a value, beside Increment
    """These elements are to be in the set."""
    return SetEdit(added=elements)


def Remove(*elements: Element) -> SetEdit:  # noqa: N802
    """These elements are not to be in the set."""
    return SetEdit(removed=elements)


def as_edits(values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with every `Increment`, `Add` and `Remove` as it is sent."""
    return {name: value.edit() if isinstance(value, (Increment, SetEdit)) else value for name, value in values.items()}


def differences(rule: Rule, shown: State, fields: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """What leads from `shown` to a resource with these `fields`, each in the words of its field's rule."""
    changed: dict[str, JsonValue] = {}
    for name, value in fields.items():
        if name not in shown.fields:
            edit: _Edit | None = _first(rule.field_rule(name), value)
        elif same_value(shown.fields[name], value):
            continue
        else:
            edit = _difference(rule.field_rule(name), shown.fields[name], value)
        if edit is not None:
            changed[name] = edit.value
    return changed


@dataclass(frozen=True, slots=True)
class _Edit:
    value: JsonValue


def _first(rule: FieldRule, value: JsonValue) -> _Edit:
    """A field that was never set starts from nothing."""
    if isinstance(rule, Adds) and _whole(value):
        return _Edit({"increment": value})
    if isinstance(rule, AddWins) and isinstance(value, list):
        return _Edit({"add": value})
    return _Edit(value)


def _difference(rule: FieldRule, shown: JsonValue, value: JsonValue) -> _Edit | None:
    if isinstance(rule, Adds) and isinstance(shown, int) and isinstance(value, int) and _whole(shown) and _whole(value):
        return _Edit({"increment": value - shown})
    if isinstance(rule, AddWins) and isinstance(shown, list) and isinstance(value, list):
        before, after = _keys(shown), _keys(value)
        added = [after[key] for key in sorted(after.keys() - before.keys())]
        removed = [before[key] for key in sorted(before.keys() - after.keys())]
        return _Edit(SetEdit(tuple(added), tuple(removed)).edit()) if added or removed else None
    return _Edit(value)


def _whole(value: JsonValue) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _keys(elements: list[Any]) -> dict[bytes, Any]:
    return {canonical_json(element): element for element in elements}


def without_documents(rule: Rule, shown: State | None, fields: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """`fields` without the documents among them that say what is shown; raises `InvalidValue` for others.

    A document is edited, not put: two devices that made one of the same text would have made two.
    """
    left: dict[str, JsonValue] = {}
    for name, value in fields.items():
        known = rule.field_rule(name)
        if not isinstance(known, Collaborative) or (isinstance(value, dict) and value.keys() == {"update"}):
            left[name] = value
            continue
        empty = known.preview(None)
        here = empty if shown is None else shown.fields.get(name, empty)
        if not same_value(here, value):
            raise InvalidValue(
                "invalid_document_update",
                name,
                f"{name}: it is a document, which is not put but edited: "
                f'doc = await client.document(…, field="{name}"), then await doc.edit(…)',
            )
    return left


def whole_record(rule: Rule, shown: State, fields: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    """An update as its rule wants it: with everything that is known of the record, as far as the later word stands.

    A counter would count again what it is told, and a `manual` field would be asked about what nobody touched.
    """
    if not rule.whole_record:
        return fields
    known = {name: value for name, value in shown.fields.items() if isinstance(rule.field_rule(name), LaterStamp)}
    return {**known, **fields}


def was_shown(rule: Rule, shown: State, fields: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """What stood in those of the `fields` over which somebody may be asked, when the edit was made."""
    return {name: shown.fields[name] for name in fields if name in shown.fields and rule.field_rule(name).asks}
