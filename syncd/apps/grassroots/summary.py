"""A match at a glance, in the app's mobile response: the score, the clock, and what happened last.

The view knows no clock, so it tells what was tapped; whoever shows it adds the moment, as often as the screen ticks and
without asking again.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Final

from syncd.app import Resources
from syncd.apps.grassroots.clock import Period, clock_of, periods_of
from syncd.apps.grassroots.model import Match, app
from syncd.apps.grassroots.names import match_of, player_name
from syncd.apps.grassroots.same_goal import counted_events
from syncd.apps.grassroots.score import score
from syncd.apps.grassroots.timeline import Lengths, match_order, period_of, timestamp

__all__ = ["RECENT_EVENTS", "match_summary", "mobile_response"]

RECENT_EVENTS: Final = 20
"""How many events count as recent: with the longest names there may be, they stay well below 50 KB."""


@app.view(scope="match")
def match_summary(resources: Resources) -> dict[str, Any]:
    """`{"match": {id, home_team, away_team, score: {home, away}} | None, "periods": […], "recent_events": […]}`.

    `periods`: of which something was tapped, `{period, minutes, started_at, ended_at}`, times in ISO 8601 or None.
    `recent_events`: `{id, kind, player, team, timestamp, period}`, newest first, at most `RECENT_EVENTS`; `team` is the
    side of the player, `timestamp` what the clock of the period showed. Substitutions are no events; see `on_field`.
    `match` is None as long as only its events have come.
    """
    match = match_of(resources)
    lengths = Lengths.of(match)
    newest_first = sorted(counted_events(resources), key=match_order, reverse=True)
    return {
        "match": None if match is None else _headline(match, resources),
        "periods": [] if match is None else [_told(period) for period in periods_of(match)],
        "recent_events": [
            {
                "id": event.id,
                "kind": event.kind,
                "player": player_name(event, resources),
                "team": event.team,
                "timestamp": timestamp(event, lengths),
                "period": period_of(event, lengths),
            }
            for event in newest_first[:RECENT_EVENTS]
        ],
    }


def mobile_response(summary: Any, now: datetime.datetime) -> dict[str, Any]:
    """The mobile response at `now`: `match` with status, current_period and clock_time, and the recent events.

    `summary`: what the `match_summary` view gave, from the server or the device. Raises ValueError if `now` has no
    offset.
    """
    clock = clock_of([_period(told) for told in summary["periods"]], now)
    match = summary["match"]
    return {
        "match": None if match is None else {**match, **clock},
        "recent_events": summary["recent_events"],
    }


def _headline(match: Match, resources: Resources) -> dict[str, Any]:
    counted = score(resources)
    return {
        "id": match.id,
        "home_team": match.home_team,
        "away_team": match.away_team,
        "score": {"home": counted["home"], "away": counted["away"]},
    }


def _told(period: Period) -> dict[str, Any]:
    return {
        "period": period.number,
        "minutes": period.minutes,
        "started_at": None if period.started_at is None else period.started_at.isoformat(),
        "ended_at": None if period.ended_at is None else period.ended_at.isoformat(),
    }


def _period(told: Mapping[str, Any]) -> Period:
    return Period(told["period"], told["minutes"], _time(told["started_at"]), _time(told["ended_at"]))


def _time(text: str | None) -> datetime.datetime | None:
    return None if text is None else datetime.datetime.fromisoformat(text)
