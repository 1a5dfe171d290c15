"""The live messages of the app's own wire, made from resources. Pure: who sends them, and to whom, is not known here.

`timestamp` is what the clock of the period showed, as in the mobile response. Names are as the match's scope has them;
a message for readers who may not see names is made elsewhere.
"""

from __future__ import annotations

from typing import Any

from syncd.app import Resources
from syncd.apps.grassroots.model import Event, Substitution
from syncd.apps.grassroots.names import match_of, player_name, team_name
from syncd.apps.grassroots.score import score
from syncd.apps.grassroots.timeline import Lengths, timestamp

__all__ = ["event_logged_message", "substitution_message"]


def event_logged_message(event: Event, resources: Resources) -> dict[str, Any]:
    """`{"type": "event_logged", "data": {event_id, kind, player, team, timestamp, score: {home, away}}}`.

    `resources`: of the match, the event among them. `team`: the name of the player's team. `score`: as it stands now,
    not as it stood then: an event that comes late, from a phone that had no signal, must not set a screen back.
    """
    match = match_of(resources)
    counted = score(resources)
    return {
        "type": "event_logged",
        "data": {
            "event_id": event.id,
            "kind": event.kind,
            "player": player_name(event, resources),
            "team": team_name(match, event.team),
            "timestamp": timestamp(event, Lengths.of(match)),
            "score": {"home": counted["home"], "away": counted["away"]},
        },
    }


def substitution_message(substitution: Substitution, resources: Resources) -> dict[str, Any]:
    """`{"type": "substitution", "data": {player_on, player_off, team, timestamp}}`; both halves, or no message."""
    match = match_of(resources)
    return {
        "type": "substitution",
        "data": {
            "player_on": substitution.player_on,
            "player_off": substitution.player_off,
            "team": team_name(match, substitution.team),
            "timestamp": timestamp(substitution, Lengths.of(match)),
        },
    }
