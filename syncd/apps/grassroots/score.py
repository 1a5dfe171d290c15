"""The score of a match: counted from its events whenever it is asked for, never typed, so that it cannot disagree.

A goal that is corrected or deleted corrects the score, and the phone without a signal counts as the server does.
"""

from __future__ import annotations

from typing import Any

from syncd.app import Resources
from syncd.apps.grassroots.model import Event, app
from syncd.apps.grassroots.timeline import SHOOT_OUT, match_order

__all__ = ["score"]


@app.view(scope="match")
def score(resources: Resources) -> dict[str, Any]:
    """`{"home": n, "away": n, "goals": [{team, player, minute, added, own_goal, event_id}, …]}`.

    `team` is the side that gets the goal, also for an own goal. Goals come in match order; those of the same minute by
    their seconds, then by event id, so that every reader has the same order. Kicks of a shoot-out (period 5) decide
    who goes through, but are no goals (Laws of the Game, law 10).
    """
    events = [
        event for event in resources.all(Event) if event.kind in ("goal", "own_goal") and event.period != SHOOT_OUT
    ]
    goals = [
        {
            "team": _credited_side(event),
            "player": event.player,
            "minute": event.minute,
            "added": event.added,
            "own_goal": event.kind == "own_goal",
            "event_id": event.id,
        }
        for event in sorted(events, key=match_order)
    ]
    return {
        "home": sum(goal["team"] == "home" for goal in goals),
        "away": sum(goal["team"] == "away" for goal in goals),
        "goals": goals,
    }


def _credited_side(event: Event) -> str:
    """The side whose score a goal raises: the scorer's, or the other one's for an own goal."""
    if event.kind != "own_goal":
        return event.team
    return "away" if event.team == "home" else "home"
