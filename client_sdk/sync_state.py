"""The four states of a replica towards its server, as a pure table. Does no I/O and reads no clock.

    offline ──reached──▶ syncing ──caught_up──▶ live
       ▲                    ▲  ◀──fell_behind────┘
       └───────lost─────────┴──── from both

`paused` is where the user put it: nothing but `resume` leads out, and that leads to `offline`, from where the loop
tries at once. No state is a dead end: from each of the others, an attempt follows by itself (that is the loop's part).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

__all__ = ["TRANSITIONS", "SyncEvent", "SyncState", "next_state"]


class SyncState(StrEnum):
    """How the replica stands."""

    OFFLINE = "offline"
    """The server was not reached at the last attempt, or never yet."""
    SYNCING = "syncing"
    """The server answers; something is still missing here, or its deltas do not flow."""
    LIVE = "live"
    """Every followed scope is caught up, and deltas flow."""
    PAUSED = "paused"
    """The user stopped all traffic."""

    @property
    def connected(self) -> bool:
        """Whether the server answered last."""
        return self in (SyncState.SYNCING, SyncState.LIVE)


class SyncEvent(StrEnum):
    """What happens to it."""

    REACHED = "reached"
    """The server answered."""
    CAUGHT_UP = "caught_up"
    """Every followed scope is caught up, and the live connection watches them all."""
    FELL_BEHIND = "fell_behind"
    """A gap, a hint to pull, a new scope, or the live connection is gone."""
    LOST = "lost"
    """The server did not answer."""
    PAUSE = "pause"
    RESUME = "resume"


_OFFLINE, _SYNCING, _LIVE, _PAUSED = SyncState

TRANSITIONS: Final[dict[SyncState, dict[SyncEvent, SyncState]]] = {
    _OFFLINE: {
        SyncEvent.REACHED: _SYNCING,
        # News of an exchange that ended before the connection was lost.
        SyncEvent.CAUGHT_UP: _OFFLINE,
        SyncEvent.FELL_BEHIND: _OFFLINE,
        SyncEvent.LOST: _OFFLINE,
        SyncEvent.PAUSE: _PAUSED,
        SyncEvent.RESUME: _OFFLINE,
    },
    _SYNCING: {
        SyncEvent.REACHED: _SYNCING,
        SyncEvent.CAUGHT_UP: _LIVE,
        SyncEvent.FELL_BEHIND: _SYNCING,
        SyncEvent.LOST: _OFFLINE,
        SyncEvent.PAUSE: _PAUSED,
        SyncEvent.RESUME: _SYNCING,
    },
    _LIVE: {
        SyncEvent.REACHED: _LIVE,
        SyncEvent.CAUGHT_UP: _LIVE,
        SyncEvent.FELL_BEHIND: _SYNCING,
        SyncEvent.LOST: _OFFLINE,
        SyncEvent.PAUSE: _PAUSED,
        SyncEvent.RESUME: _LIVE,
    },
    _PAUSED: {
        # Answers to what was under way when the user paused change nothing.
        SyncEvent.REACHED: _PAUSED,
        SyncEvent.CAUGHT_UP: _PAUSED,
        SyncEvent.FELL_BEHIND: _PAUSED,
        SyncEvent.LOST: _PAUSED,
        SyncEvent.PAUSE: _PAUSED,
        SyncEvent.RESUME: _OFFLINE,
    },
}


def next_state(state: SyncState, event: SyncEvent) -> SyncState:
    """Where `event` leads from `state`; defined for every pair."""
    return TRANSITIONS[state][event]
