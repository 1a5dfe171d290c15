"""Scrubbed: what a server leaves of a resource when it takes out what is about a person, and by whose name it does.

No rule is asked, since there is nothing to decide. Every copy knows it by the replica of its origin: whoever keeps what
a resource held before, to bring it back, lets go of that when he meets such a state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from conflict_rules.state import Mark, Origin, State
from conflict_rules.values import JsonValue

__all__ = ["SERVER_REPLICA", "by_scrubber", "is_bare", "scrubbed", "scrubber_replica"]

SERVER_REPLICA: Final = "server-"
"""How the replicas begin under which the server writes: for hooks, and for answers given to it. No device has one."""
_SCRUB: Final = "-scrub"


def scrubber_replica(incarnation: str) -> str:
    """The replica under which a server takes out what is about a person, from one start of it to the next."""
    return f"{SERVER_REPLICA}{incarnation}{_SCRUB}"


def by_scrubber(replica: str) -> bool:
    """Whether this is such a replica, of this start of the server or of an earlier one."""
    return replica.startswith(SERVER_REPLICA) and replica.endswith(_SCRUB)


def is_bare(state: State) -> bool:
    """Whether it is a tombstone that keeps nothing of what was deleted."""
    return state.deleted is not None and not state.fields


def scrubbed(state: State, fields: Mapping[str, JsonValue] | None, mark: Mark, origin: Origin) -> State:
    """The state with these fields set, and out of dispute; None: a tombstone that keeps nothing, as old as it was."""
    after = replace(state, version=mark.version, origin=origin)
    if fields is None:
        return replace(after, fields={}, marks={}, rule_data={}, deleted=state.deleted or mark)
    return replace(
        after,
        fields={**state.fields, **fields},
        marks={**state.marks, **dict.fromkeys(fields, mark)},
        rule_data={name: data for name, data in state.rule_data.items() if name not in fields},
    )
