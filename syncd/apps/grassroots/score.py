"""The score of a match: counted from its events whenever it is asked for, never typed, so that it cannot disagree.

A goal that is corrected or deleted corrects the score, and the phone without a signal counts as the server does. One
that two phones have logged counts once; see `same_goal.py`.
"""

from __future__ import annotations

from typing import Any

from syncd.app import Resources
from syncd.apps.grassroots.goals import credited_side, is_goal
from syncd.apps.grassroots.model import app
from syncd.apps.grassroots.same_goal import counted_events
from syncd.apps.grassroots.timeline import match_order

__all__ = ["score"]


@app.view(scope="match")
def score(resources: Resources) -> dict[str, Any]:
    """`{"home": n, "away": n, "goals": [{team, player, minute, added, own_goal, event_id}, …]}`.

    `team` is the side that gets the goal, also for an own goal. Goals come in match order; those of the same minute by
    their seconds, then by event id, so that every reader has the same order. Kicks of a shoot-out (period 5) decide
    who goes through, but are no goals (Laws of the Game, law 10).
    """
    goals = [
        {
            "team": credited_side(event),
            "player": event.player,
            "minute": event.minute,
            "added": event.added,
            "own_goal": event.kind == "own_goal",
            "event_id": event.id,
        }
        for event in sorted(filter(is_goal, counted_events(resources)), key=match_order)
    ]
    return {
        "home": sum(goal["team"] == "home" for goal in goals),
        "away": sum(goal["team"] == "away" for goal in goals),
        "goals": goals,
    }
