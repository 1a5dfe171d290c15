"""The rows of the local file, as values."""

from __future__ import annotations

import json
from dataclasses import dataclass

from conflict_rules.scrubbed import SERVER_REPLICA, by_scrubber

__all__ = ["ChangeRow", "ReplicaRow", "ResourceRow", "ScopeRow"]


@dataclass(frozen=True, slots=True)
class ReplicaRow:
    """Who this replica is. `next_n`: the number of its next change. Stamps as text, None before the first. `user`: the
    account whose work is in the file, "" if that was never said.
    """

    id: str
    next_n: int = 1
    clock_last: str | None = None
    clock_shown: str | None = None
    clock_offset_ms: int = 0
    user: str = ""


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """A change made here. `body`: its wire form, exactly as it is sent. `outcome`: its wire form, None while it waits.
    `shown`: whether the view still replays it.
    """

    seq: int
    replica: str
    n: int
    body: str
    made_ms: int
    outcome: str | None
    shown: bool


@dataclass(frozen=True, slots=True)
class ScopeRow:
    """How far this replica has a scope. `cursor`: opaque, None before the first page. `version`: up to it all is here;
    a pull raises it with its last page only. `generation`: counts fresh snapshots; `resetting`: one of them is not
    complete yet. `priority`: lower is brought first. `types`: of the resources that are brought, None for all. `gone`:
    the server says that it may not be seen, or not any more, so that nothing is held of it. `granted`: it is followed
    for as long as a membership names it, and nobody asked for it by hand.
    """

    name: str
    followed: bool = True
    cursor: str | None = None
    version: int = 0
    generation: int = 0
    resetting: bool = False
    priority: int = 0
    types: frozenset[str] | None = None
    gone: bool = False
    granted: bool = False

    def version_of(self, type_name: str) -> int:
        """Up to which version all of this type is here: 0 for one that is not brought (law 1)."""
        return self.version if self.types is None or type_name in self.types else 0


@dataclass(frozen=True, slots=True)
class ResourceRow:
    """A confirmed state, as its wire form. `generation`: of the snapshot in which it was met last."""

    type: str
    id: str
    scope: str
    version: int
    generation: int
    body: str

    @property
    def deleted(self) -> bool:
        """Whether it is a tombstone."""
        return '"deleted":true' in self.body and json.loads(self.body).get("deleted") is True

    @property
    def scrubbed(self) -> bool:
        """Whether the server has taken out of it what was about a person."""
        if SERVER_REPLICA not in self.body:
            return False
        origin = json.loads(self.body).get("origin")
        return isinstance(origin, list) and by_scrubber(str(origin[0]))
