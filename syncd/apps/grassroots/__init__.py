"""Grassroots football: the sideline scorer. `syncd serve syncd.apps.grassroots:app`.

Written as any user would write an app, on `syncd.app` alone: `model.py` says what is kept, `score.py` counts it,
`record.py` reads published matches for the demo and the tests.
"""

from syncd.apps.grassroots.model import Event, EventKind, Match, Player, Side, Team, app
from syncd.apps.grassroots.score import score

__all__ = ["Event", "EventKind", "Match", "Player", "Side", "Team", "app", "score"]
