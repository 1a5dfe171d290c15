"""A conflict as the inbox lists it, and an answer to one: what is made of rows without a store. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from conflict_rules import State
from conflict_rules.values import JsonValue
from conflict_rules.wire import decode_state
from syncd.store.protocol import StateRow

__all__ = ["Settlement", "as_shown", "fits", "state_of"]


@dataclass(frozen=True, slots=True)
class Settlement:
    """One answer: the `choice` of a candidate by its key, or, over a field, a `value`.

    `version`: of the conflict as it was shown (law 1); None: as it is.
    """

    conflict: str
    value: JsonValue = None
    choice: str | None = None
    version: int | None = None


def as_shown(row: StateRow) -> dict[str, JsonValue]:
    """A conflict as the list has it."""
    return {"id": row.id, "scope": row.scope, "version": row.version, **state_of(row).fields}


def fits(conflict: Mapping[str, JsonValue], status: str | None, type_name: str | None, resource: str | None) -> bool:
    """Whether it is open or settled as asked for, and about a type, or a resource of it; None for any."""
    others = conflict["others"]
    about = [conflict["about"], *(others if isinstance(others, list) else [])]
    return status in (None, conflict["status"]) and any(
        isinstance(each, dict) and type_name in (None, each["type"]) and resource in (None, each["id"])
        for each in about
    )


def state_of(row: StateRow) -> State:
    """The state that a row holds."""
    return decode_state(json.loads(row.body), row.scope)
