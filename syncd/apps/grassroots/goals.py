"""What counts as a goal, and for whom. Pure."""

from __future__ import annotations

from syncd.apps.grassroots.model import Event, Side
from syncd.apps.grassroots.timeline import SHOOT_OUT

__all__ = ["credited_side", "is_goal"]


def is_goal(event: Event) -> bool:
    """Whether it raises the score. Kicks of a shoot-out (period 5) decide who goes through, but are no goals.

    So say the Laws of the Game, law 10.
    """
    return event.kind in ("goal", "own_goal") and event.period != SHOOT_OUT


def credited_side(goal: Event) -> Side:
    """The side whose score a goal raises: the scorer's, or the other one's for an own goal."""
    if goal.kind != "own_goal":
        return goal.team
    return "away" if goal.team == "home" else "home"
