"""The names to show for a side and for whoever did something, as far as the scope of the match knows them. Pure."""

from __future__ import annotations

from syncd.app import Resources
from syncd.apps.grassroots.model import Event, Lineup, Match, Side

__all__ = ["match_of", "player_name", "team_name"]


def match_of(resources: Resources) -> Match | None:
    """The match of the scope; None as long as only its events have come."""
    return next(iter(resources.all(Match)), None)


def team_name(match: Match | None, side: Side) -> str:
    """The name of a team, or its side where the match is not known."""
    if match is None:
        return side
    return match.home_team if side == "home" else match.away_team


def player_name(event: Event, resources: Resources) -> str | None:
    """The name that the event gives, or else the line-up by the player's id; None if neither does."""
    if event.player or event.player_id is None:
        return event.player
    return next((entry.player for entry in resources.all(Lineup) if entry.player_id == event.player_id), None)
