"""Puts updates behind what they depend on, for those who are to apply them one after the other.

A log is in the order of arrival, in which yjs too can end with all of it waiting: for it, as for pycrdt, whoever sends
must not count on a waiting room. Pure; knows extents alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from conflict_rules.documents.waiting_room import Waiting, WaitingRoom
from conflict_rules.documents.yjs_update import MalformedUpdate, read_update

__all__ = ["in_causal_order"]


def in_causal_order(updates: Sequence[bytes]) -> list[bytes]:
    """The same updates, each behind those of them that it needs; as far as that leaves a choice, in the order given.

    What none of them brings counts as held already. Those that need what is missing come last.
    """
    if len(updates) < 2:
        return list(updates)
    try:
        extents = [read_update(update, max_structs=None) for update in updates]
    except MalformedUpdate:
        return list(updates)
    begins: dict[int, int] = {}
    for extent in extents:
        for client, ranges in extent.ranges.items():
            begins[client] = min(begins.get(client, ranges[0][0]), ranges[0][0])
    room = WaitingRoom(begins)
    found: list[bytes] = []
    for update, extent in zip(updates, extents, strict=True):
        among = {client: clock for client, clock in extent.needs.items() if client in begins}
        due = [Waiting(update, replace(extent, needs=among))]
        while due:
            one = due.pop(0)
            if room.arrive(one, bounded=False):
                found.append(one.update)
                due += room.applied(one.extent)
    return [*found, *room.updates]
