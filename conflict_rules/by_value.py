"""A base by value: changes of clients that name no version, but say what they believed the resource to hold (law 11).

So do RxDB ("assumed master state") and every form that posts back the row it was filled with. What such a client wants
is taken field by field: where the belief is what is held, it has seen it; where not, it has not. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from conflict_rules.rule import Rule
from conflict_rules.state import State
from conflict_rules.values import JsonValue, canonical_json, same_value

__all__ = ["Part", "parts_by_value"]


@dataclass(frozen=True, slots=True)
class Part:
    """An update with a base: what `fields` holds goes into one change."""

    base: int
    fields: Mapping[str, JsonValue]


def parts_by_value(
    rule: Rule, state: State, assumed: Mapping[str, JsonValue], wanted: Mapping[str, JsonValue]
) -> list[Part]:
    """The updates that lead from what a client assumed to what it wants, over what `state` holds: none, one or two.

    Absolute values of a counter become the difference to what was assumed, those of a set what was added and removed.
    A field that is wanted as it was assumed was not edited, whatever is held by now.
    """
    seen: dict[str, JsonValue] = {}
    unseen: dict[str, JsonValue] = {}
    for name, value in wanted.items():
        believed = assumed.get(name)
        if name in assumed and same_value(believed, value):
            continue
        kind = rule.field_rule(name).name
        held = state.fields.get(name)
        if kind == "counter" and _is_count(value) and _is_count(believed or 0):
            unseen[name] = {"increment": value - (believed or 0)}  # type: ignore[operator]  # both whole numbers
        elif kind == "set" and isinstance(value, list) and isinstance(believed or [], list):
            # Whoever takes an element away has seen it; of later additions of the same a value cannot tell.
            seen[name] = _set_edit(believed or [], value)  # type: ignore[arg-type]  # a list
        elif name not in state.fields or same_value(held, believed):
            seen[name] = value
        else:
            unseen[name] = value
    return [Part(base, fields) for base, fields in ((state.version, seen), (0, unseen)) if fields]


def _set_edit(believed: list[JsonValue], wanted: list[JsonValue]) -> JsonValue:
    before, after = ({canonical_json(element) for element in elements} for elements in (believed, wanted))
    return {
        "add": [element for element in wanted if canonical_json(element) not in before],
        "remove": [element for element in believed if canonical_json(element) not in after],
    }


def _is_count(value: JsonValue) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
