"""The state of a resource: its fields, and beside each the mark that tells who set it last, and when.

Marks are why conflicts are found without history: a change that was made on base 5 has seen every field whose
mark says version 5 or lower.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from conflict_rules.change import Change
from conflict_rules.quick_to_make import quick_to_make
from conflict_rules.stamp import Stamp
from conflict_rules.values import JsonValue

__all__ = ["Mark", "Origin", "State"]


class Mark(NamedTuple):
    """When a field got its value: at which version of the scope, and under which effective stamp."""

    version: int
    stamp: Stamp

    def seen_by(self, change: Change) -> bool:
        """Whether whoever made `change` was shown this value.

        Law 1: by base, or by origin, since a replica has always seen its own earlier changes.
        """
        return self.version <= change.base or self.stamp.replica == change.replica


class Origin(NamedTuple):
    """The change that led to a state: the replica's id and its number there."""

    replica: str
    n: int


@quick_to_make
@dataclass(frozen=True, slots=True)
class State:
    """A resource as one version of its scope has it.

    `marks` has an entry for each entry of `fields`. `rule_data`: what the rule of a field keeps beside its value (the
    dots of a set, the dispute over a field), for the fields that have some. A tombstone has `deleted` set, and neither
    fields nor marks, unless its type keeps them for whoever edited it meanwhile (`update_wins`). `floor`: the mark of
    the delete that a restore has overcome; changes from before it are of the life that was ended.
    """

    scope: str
    type: str
    id: str
    version: int
    fields: Mapping[str, JsonValue]
    marks: Mapping[str, Mark]
    origin: Origin
    deleted: Mark | None = None
    rule_data: Mapping[str, JsonValue] = field(default_factory=dict)
    floor: Mark | None = None

    def seen_by(self, change: Change) -> bool:
        """Whether whoever made `change` was shown every value of this state."""
        if self.deleted is not None:
            return self.deleted.seen_by(change)
        return self.version <= change.base or all(mark.seen_by(change) for mark in self.marks.values())
