"""Grassroots football: the sideline scorer. `syncd serve syncd.apps.grassroots:app`.

Written as any user would write an app, on `syncd.app` alone: `model.py` says what is kept; `score.py`,
`match_events.py`, `on_field.py` and `summary.py` are views of it; `clock.py` adds the moment, `timeline.py` knows how
minutes and periods are counted, and `goals.py` what a goal is. `same_goal.py` asks whether the goals that two phones
have logged are one, and `forgetting.py` says what is left of a player who is erased. `messages.py` makes the live
messages, and `record.py` reads published matches for the demo and the tests.
"""

from syncd.apps.grassroots.clock import Clock, clock, moment
from syncd.apps.grassroots.forgetting import NO_NAME
from syncd.apps.grassroots.match_events import match_events
from syncd.apps.grassroots.messages import event_logged_message, substitution_message
from syncd.apps.grassroots.model import Event, EventKind, Lineup, Match, Player, Side, Substitution, Team, app
from syncd.apps.grassroots.on_field import on_field
from syncd.apps.grassroots.same_goal import ONE, SAME_GOAL, TWO, counted_events
from syncd.apps.grassroots.score import score
from syncd.apps.grassroots.summary import match_summary, mobile_response

__all__ = [
    "NO_NAME",
    "ONE",
    "SAME_GOAL",
    "TWO",
    "Clock",
    "Event",
    "EventKind",
    "Lineup",
    "Match",
    "Player",
    "Side",
    "Substitution",
    "Team",
    "app",
    "clock",
    "counted_events",
    "event_logged_message",
    "match_events",
    "match_summary",
    "mobile_response",
    "moment",
    "on_field",
    "score",
    "substitution_message",
]
