"""The Rule protocol, and the registry of rules by name."""

from __future__ import annotations

from typing import Protocol, TypeVar, runtime_checkable

from conflict_rules.algebra import Algebra
from conflict_rules.change import Change
from conflict_rules.deletes import Deletes
from conflict_rules.field_rule import FieldRule
from conflict_rules.outcome import Merged
from conflict_rules.state import State

__all__ = ["Rule", "UnknownRule", "register_rule", "rule_by_name", "rule_names"]


@runtime_checkable
class Rule(Protocol):
    """How concurrent changes to a resource are merged. Pure: no I/O, no clock, no state of its own."""

    @property
    def name(self) -> str:
        """The name under which apps and documents know it."""
        ...

    @property
    def algebra(self) -> Algebra:
        """What it promises of concurrent changes."""
        ...

    @property
    def whole_record(self) -> bool:
        """Whether an update carries every field its replica knows, rather than only what the person touched."""
        ...

    @property
    def deletes(self) -> Deletes:
        """Which stands of a delete and an edit that have not seen each other."""
        ...

    def field_rule(self, name: str) -> FieldRule:
        """The rule of one field."""
        ...

    def merge(self, state: State | None, change: Change, version: int) -> Merged:
        """Merge a create, update, restore or settlement into `state` (None: the resource is new; never a tombstone).

        `change.stamp` is effective. `version` is what the result takes if the change has an effect. Raises
        `InvalidValue` for a value that its rule cannot take.
        Deletes and changes to what is gone or never was do not come here: see `conflict_rules.deletion`.
        """
        ...


class UnknownRule(LookupError):
    """No rule of that name is registered."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no rule {name!r}; there are: {', '.join(rule_names())}")


_rules: dict[str, Rule] = {}
R = TypeVar("R", bound=Rule)


def register_rule(rule: R) -> R:
    """Make `rule` known by its name; raises ValueError if another rule has it already."""
    if _rules.setdefault(rule.name, rule) is not rule:
        raise ValueError(f"a rule named {rule.name!r} is registered already; choose another name")
    return rule


def rule_by_name(name: str) -> Rule:
    """The rule of that name; raises `UnknownRule`."""
    try:
        return _rules[name]
    except KeyError:
        raise UnknownRule(name) from None


def rule_names() -> list[str]:
    """Every registered name, sorted."""
    return sorted(_rules)
