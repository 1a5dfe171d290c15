"""How a copy of the match stands, and in what it differs from the record. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conflict_rules import JsonValue, State
from syncd.app import App, Resources
from syncd.demo.beats import Moment
from syncd.demo.script import Script

__all__ = ["Copy", "Goal", "Line", "copy_of", "differences", "official_goals", "shown_goals", "timeline"]

Goal = tuple[int, int, str, str, bool]
"""(minute, added, the side that gets it, the scorer, whether it was an own goal)."""

Line = tuple[int, int, str, str, str]
"""(minute, added, kind, the side of the player, the player): one event of a timeline."""


@dataclass(frozen=True, slots=True)
class Copy:
    """The match as one place has it. `resources`: by (type, id). `score`, `events`: what the app's views make of it."""

    place: str
    resources: Mapping[tuple[str, str], Mapping[str, JsonValue]]
    score: Mapping[str, Any]
    events: Sequence[Mapping[str, Any]]


def copy_of(place: str, app: App, states: Iterable[State]) -> Copy:
    """A copy from states, tombstones among them; what counts is counted here."""
    living = [state for state in states if state.deleted is None]
    resources = Resources.from_states(app, living)
    score: Any = app.views["score"].function(resources)
    events: Any = app.views["match_events"].function(resources)
    return Copy(place, {(state.type, state.id): _fields(app, state) for state in living}, score, events)


def timeline(events: Iterable[Mapping[str, Any]]) -> list[Line]:
    """Events by their fields, in match order."""
    return sorted(
        (event["minute"], event["added"], event["kind"], event["team"], event["player"] or "") for event in events
    )


def official_goals(script: Script) -> list[Goal]:
    """The goals as published, in match order."""
    return sorted((goal.minute, goal.added, goal.team, goal.player, goal.own_goal) for goal in script.record.goals)


def shown_goals(copy: Copy) -> list[Goal]:
    """The goals as the copy's score has them."""
    return [
        (goal["minute"], goal["added"], goal["team"], goal["player"], goal["own_goal"]) for goal in copy.score["goals"]
    ]


def differences(copy: Copy, script: Script) -> Sequence[str]:
    """In what the copy differs from the record, each in a few words; empty if it is right."""
    wrong: list[str] = []
    score = (copy.score["home"], copy.score["away"])
    official = (script.record.home, script.record.away)
    if score != official:
        wrong.append(f"the score is {score[0]}-{score[1]}, not {official[0]}-{official[1]}")
    goals = Counter(shown_goals(copy))
    recorded = Counter(official_goals(script))
    wrong += [f"no goal at {_goal(goal)}" for goal in (recorded - goals).elements()]
    wrong += [f"a goal at {_goal(goal)} that the record does not have" for goal in (goals - recorded).elements()]
    if not wrong:
        happened = [event.to_fields() for event in script.events]
        tapped = [*happened, *(event.to_fields() for event in script.doubles)]
        kept = [fields for (kind, _), fields in copy.resources.items() if kind == "event"]
        for there, right in ((copy.events, happened), (kept, tapped)):
            events, logged = Counter(timeline(there)), Counter(timeline(right))
            wrong += [f"{_line(line)} is missing" for line in (logged - events).elements()]
            wrong += [f"{_line(line)} did not happen" for line in (events - logged).elements()]
    return list(dict.fromkeys(wrong))


def _fields(app: App, state: State) -> Mapping[str, JsonValue]:
    declared = app.type(state.type)
    model = None if declared is None else declared.model
    return state.fields if model is None else model.from_fields(state.id, state.fields).to_fields()


def _goal(goal: Goal) -> str:
    return f"{Moment(goal[0], goal[1])} by {goal[3]}"


def _line(line: Line) -> str:
    return f"{Moment(line[0], line[1])} {line[2]} by {line[4]}"
