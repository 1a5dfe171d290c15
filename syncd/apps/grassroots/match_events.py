"""What happened in a match, as it counts: every event once, in match order."""

from __future__ import annotations

from typing import Any

from syncd.app import Resources
from syncd.apps.grassroots.model import app
from syncd.apps.grassroots.same_goal import counted_events
from syncd.apps.grassroots.timeline import match_order

__all__ = ["match_events"]


@app.view(scope="match")
def match_events(resources: Resources) -> list[dict[str, Any]]:
    """`[{id, kind, team, player, minute, added, second, period, notes}, …]`, each as in `Event`.

    A goal that two phones have logged is there once; see `same_goal.py`.
    """
    return [
        {
            "id": event.id,
            "kind": event.kind,
            "team": event.team,
            "player": event.player,
            "minute": event.minute,
            "added": event.added,
            "second": event.second,
            "period": event.period,
            "notes": event.notes,
        }
        for event in sorted(counted_events(resources), key=match_order)
    ]
