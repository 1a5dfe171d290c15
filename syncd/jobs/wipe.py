"""Wipe: a line of the ledger without what is about a person. Pure.

The line stays, with its number, digest and outcome: a repeat is still known (law 3), and what is shown stays explained
as far as it can be.
"""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any, Final

from conflict_rules.values import canonical_json
from syncd.engine.entry import read_entry
from syncd.store.protocol import LedgerRow
from syncd.store.traces import Rewritten

__all__ = ["ALL_FIELDS", "AllBut", "schema_of", "wiped"]

_HOLD_VALUES: Final = ("fields", "was")
"""What a change sets, and what its author was shown there; nothing else in it is anybody's words."""
_OF_NO_FIELD: Final = ("", "fields")


@dataclass(frozen=True, slots=True)
class AllBut:
    """Instead of names: every field, but for these."""

    names: frozenset[str] = frozenset()

    def __contains__(self, name: object) -> bool:
        return name not in self.names


ALL_FIELDS: Final = AllBut()
"""Instead of names: whatever was sent in the fields."""


def wiped(row: LedgerRow, names: Container[str]) -> Rewritten | None:
    """The line without these fields; None if there is nothing of them in it.

    What cannot be read goes whole, since nobody can say what is in it. So does the sentence that says why a change came
    out as it did, where something goes: it may quote it.
    """
    settled = row.settled
    entry = read_entry(row)
    sent: dict[str, Any] = dict(entry.sent)
    unreadable = entry.change is None
    if unreadable:
        left: dict[str, Any] = {"n": settled.n} if settled.change else {}
    else:
        left = {key: _left_of(value, names) if key in _HOLD_VALUES else value for key, value in sent.items()}
    outcome = json.loads(settled.outcome)
    if unreadable or left != sent or _may_quote(outcome, names):
        told = {key: value for key, value in outcome.items() if key != "message"}
        if unreadable:
            # It may be a name that was made up.
            told.pop("field", None)
        elif "field" in told:
            told["field"] = _root(told)
    else:
        told = outcome
    if left == sent and told == outcome:
        return None
    change = settled.change if left == sent else canonical_json(left)
    return Rewritten(row.no, change, canonical_json(told))


def schema_of(row: LedgerRow) -> int:
    """The version of the app that a change was made under."""
    change = read_entry(row).change
    return 1 if change is None else change.schema


def _left_of(values: Mapping[str, Any], names: Container[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def _may_quote(outcome: Mapping[str, Any], names: Container[str]) -> bool:
    """Whether the sentence of an outcome may have something of these fields in it.

    What is said of a group is of another of its changes; and what a change was rejected for, without a field being
    named, may be in any.
    """
    if not names:
        return False
    if isinstance(names, AllBut) or str(outcome.get("code", "")).startswith("group_"):
        return True
    field = _root(outcome)
    return field in names or (outcome["outcome"] == "rejected" and field in _OF_NO_FIELD)


def _root(outcome: Mapping[str, Any]) -> str:
    """The field that a path such as `tags[2].name` begins with: what follows may be a key that somebody has typed."""
    return str(outcome.get("field") or "").partition(".")[0].partition("[")[0]
