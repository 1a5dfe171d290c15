"""A change: one intent of one replica, as it was made and numbered on the device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from conflict_rules.quick_to_make import quick_to_make
from conflict_rules.stamp import Stamp
from conflict_rules.values import JsonValue

__all__ = ["Change", "Op"]


class Op(StrEnum):
    """What a change does to its resource."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    RESTORE = "restore"
    """Bring back what was deleted; `fields` is what it is to be, as far as the tombstone does not hold it."""
    SETTLE = "settle"
    """Choose the value of a field that is in dispute (law 8)."""


@quick_to_make
@dataclass(frozen=True, slots=True)
class Change:
    """One intent by one replica.

    `n`: its number in the replica's own sequence 1, 2, 3, … (law 3). `fields`: what it sets, cleaned; a patch,
    except under a rule that declares `whole_record`. `base`: the version of the resource state that the person
    was shown, 0 for none (law 1). `stamp`: from the replica's clock, or the effective one once the server has
    fixed it (law 2). `group`: changes of one push that share it are applied all or none. `schema`: the app
    version it was made under. `was`: what the person was shown in those fields whose rule may
    ask. `conflict`: the id of the conflict that a settlement is of.
    """

    replica: str
    n: int
    scope: str
    type: str
    id: str
    op: Op
    stamp: Stamp
    base: int = 0
    fields: Mapping[str, JsonValue] = field(default_factory=dict)
    group: str | None = None
    schema: int = 1
    was: Mapping[str, JsonValue] = field(default_factory=dict)
    conflict: str | None = None
