"""Short spellings of changes and stamps, so that a test shows only what it is about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from conflict_rules import Change, JsonValue, Merged, Op, Rule, Stamp, State, apply_change, rule_by_name, rule_names
from conflict_rules.crdt import Collaborative
from conflict_rules.own import Own

__all__ = ["BY_STAMPS", "REPLACED", "RULES", "change", "each", "example", "offers", "only", "play", "stamp"]

RULES = [rule for rule in map(rule_by_name, rule_names()) if not isinstance(rule.field_rule("x"), Own | Collaborative)]
"""Every rule that comes with the house and holds values. Authors' own that another test has registered are not among
them, nor documents, whose field says only how far they are: they have tests of their own."""

REPLACED = [rule for rule in RULES if rule.field_rule("x").replaced_in_sight]
"""Those under which an edit takes the place of a value that it has seen (law 2)."""
BY_STAMPS = [rule for rule in REPLACED if not rule.algebra.arbitrated]
"""Those of them under which the later stamp stands where neither has seen the other."""


def example(rule: Rule) -> JsonValue:
    """An offer that any change may bring to a field of this rule."""
    return rule.field_rule("x").guide.example


def offers(rule: Rule, *names: str) -> dict[str, Any]:
    """Such an offer for each of these fields."""
    return dict.fromkeys(names, example(rule))


def each(rules: Sequence[Rule]) -> pytest.MarkDecorator:
    """Run a test with each of these."""
    return pytest.mark.parametrize("rule", rules, ids=lambda rule: rule.name)


def stamp(replica: str, at: int, count: int = 0) -> Stamp:
    """A stamp of `replica` at `at` milliseconds."""
    return Stamp(at, count, replica)


def change(replica: str, op: str, at: int, *, n: int = 1, base: int = 0, id: str = "x", **fields: JsonValue) -> Change:
    """A change of `replica`, stamped at `at`, to the one resource `x` of scope `s`."""
    return Change(replica, n, "s", "thing", id, Op(op), stamp(replica, at), base, fields)


def play(rule: Rule, *changes: Change, start: State | None = None, version: int = 1) -> list[Merged]:
    """Apply the changes in this order, each with an effect taking the next version; what each came to."""
    merged: list[Merged] = []
    state = start
    for each in changes:
        merged.append(apply_change(rule, state, each, version))
        if merged[-1].state is not state:
            version += 1
        state = merged[-1].state
    return merged


def only(state: State | None) -> dict[str, Any]:
    """The fields of a state that must be there."""
    assert state is not None
    return dict(state.fields)
