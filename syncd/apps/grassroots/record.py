"""Reading a published match record: one line of `fixtures/football-worldcup/wcYEAR.jsonl`, as this app would hold it.

What the app has no kind for (cards, kicks of a shoot-out) is left out, and counted. The record has no bench: those who
came on were on it, and nobody else is known. It has no shirt numbers either, and no taps.
Pure: text in, values out, the ids too are made of what is in the record, so that each reading gives the same.
"""

from __future__ import annotations

import datetime
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from syncd.apps.grassroots.model import Event, Lineup, Match, Side, Substitution

__all__ = ["OfficialGoal", "Record", "read_record"]

_SIDES: Final[tuple[Side, ...]] = ("home", "away")


@dataclass(frozen=True, slots=True)
class OfficialGoal:
    """A goal as the record has it. `team`: the side that gets it, as in the score view."""

    team: Side
    player: str
    minute: int
    added: int
    own_goal: bool


@dataclass(frozen=True, slots=True)
class Record:
    """A match as the app holds it, and the official result to compare with.

    `events`, `substitutions`: in match order. `lineup`: of both sides, starters and who came on. `home`, `away`,
    `goals`: the official score and its goals, in match order; the order of goals in the same minute is not in the
    source. `left_out`: how many of what was not taken over.
    """

    match: Match
    lineup: tuple[Lineup, ...]
    events: tuple[Event, ...]
    substitutions: tuple[Substitution, ...]
    home: int
    away: int
    goals: tuple[OfficialGoal, ...]
    left_out: Mapping[str, int]


def read_record(line: str) -> Record:
    """Read one line; raises ValueError, KeyError or TypeError if it is not a match record."""
    source: dict[str, Any] = json.loads(line)
    match = Match(
        id=source["match_id"],
        home_team=source["home"],
        away_team=source["away"],
        date=datetime.date.fromisoformat(source["date"]),
        kick_off=datetime.time.fromisoformat(source["kickoff"]),
        venue=source["venue"],
    )
    scored = [entry for entry in source["events"] if entry["type"] == "goal"]
    goals = tuple(
        OfficialGoal(entry["team"], entry["player"], entry["minute"], entry["added"], entry["kind"] == "own_goal")
        for entry in scored
    )
    events = tuple(
        Event(
            id=f"{match.id}-goal-{number:02}",
            match_id=match.id,
            kind="own_goal" if goal.own_goal else "goal",
            # The record says who gets an own goal, the app who put it in.
            team=_other(goal.team) if goal.own_goal else goal.team,
            player=goal.player,
            minute=goal.minute,
            added=goal.added,
            period=_period(goal.minute),
            notes="from a penalty" if entry["kind"] == "penalty" else "",
        )
        for number, (goal, entry) in enumerate(zip(goals, scored, strict=True), start=1)
    )
    others = Counter(entry["type"] for entry in source["events"] if entry["type"] not in ("goal", "substitution"))
    left_out = {
        "cards": others.pop("card", 0),
        "shoot_out_kicks": len(source["penalty_kicks"]),
    }
    if others:
        raise ValueError(f"{match.id}: unknown events in the record: {', '.join(sorted(others))}")
    return Record(
        match,
        _lineup(match.id, source),
        events,
        _substitutions(match.id, source),
        source["home_goals"],
        source["away_goals"],
        goals,
        left_out,
    )


def _lineup(match_id: str, source: Mapping[str, Any]) -> tuple[Lineup, ...]:
    entries: list[Lineup] = []
    for side in _SIDES:
        starters: list[str] = source[f"lineup_{side}"]
        came_on = [entry["player_in"] for entry in _changes(source) if entry["team"] == side]
        entries += [
            Lineup(
                id=f"{match_id}-{side}-{number:02}",
                match_id=match_id,
                team=side,
                player=player,
                starter=number <= len(starters),
            )
            for number, player in enumerate([*starters, *came_on], start=1)
        ]
    return tuple(entries)


def _substitutions(match_id: str, source: Mapping[str, Any]) -> tuple[Substitution, ...]:
    return tuple(
        Substitution(
            id=f"{match_id}-substitution-{number:02}",
            match_id=match_id,
            team=entry["team"],
            player_off=entry["player"],
            player_on=entry["player_in"],
            minute=entry["minute"],
            added=entry["added"],
            period=_period(entry["minute"]),
        )
        for number, entry in enumerate(_changes(source), start=1)
    )


def _changes(source: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [entry for entry in source["events"] if entry["type"] == "substitution"]


def _other(side: Side) -> Side:
    return "away" if side == "home" else "home"


def _period(minute: int) -> int:
    """Which period a minute of a full-length match is in, by the record's way of counting (90+4 is minute 90)."""
    return next((period for period, last in ((1, 45), (2, 90), (3, 105)) if minute <= last), 4)
