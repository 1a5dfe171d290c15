"""Resources of a made-up match, and its views as every reader sees them."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any

from conflict_rules import Mark, Origin, Stamp, State
from syncd.app import Resource, Resources
from syncd.apps.grassroots import Event, Lineup, Match, Substitution, app

MATCH = "9f"
SCOPE = f"match:{MATCH}"
KICK_OFF = datetime.datetime(2026, 11, 21, 10, 30, tzinfo=datetime.UTC)


def after(minutes: float, seconds: float = 0) -> datetime.datetime:
    """So long after the kick-off."""
    return KICK_OFF + datetime.timedelta(minutes=minutes, seconds=seconds)


def a_match(**fields: Any) -> Match:
    return Match.model_validate(
        {"id": MATCH, "home_team": "Reds", "away_team": "Blues", "date": KICK_OFF.date(), **fields}
    )


def event(event_id: str, kind: str = "goal", team: str = "home", minute: int = 10, **fields: Any) -> Event:
    return Event.model_validate(
        {"id": event_id, "match_id": MATCH, "kind": kind, "team": team, "minute": minute, **fields}
    )


def listed(player: str, *, starter: bool = True, team: str = "home", **fields: Any) -> Lineup:
    """`player` in the line-up; the entry's id is made of the name, so that the order of entries is known."""
    return Lineup.model_validate(
        {"id": f"l-{team}-{player}", "match_id": MATCH, "team": team, "player": player, "starter": starter, **fields}
    )


def change(
    substitution_id: str, off: str, on: str, minute: int = 60, team: str = "home", **fields: Any
) -> Substitution:
    return Substitution.model_validate(
        {
            "id": substitution_id,
            "match_id": MATCH,
            "team": team,
            "player_off": off,
            "player_on": on,
            "minute": minute,
            **fields,
        }
    )


def state_of(resource: Resource, version: int = 1) -> State:
    declared = app.type_of(type(resource))
    fields = resource.to_fields()
    scope = declared.scope_of(resource.id, fields)
    assert scope is not None
    mark = Mark(version, Stamp(version, 0, "phone"))
    return State(
        scope, declared.name, resource.id, version, fields, dict.fromkeys(fields, mark), Origin("phone", version)
    )


def states_of(*resources: Resource) -> list[State]:
    return [state_of(resource, version) for version, resource in enumerate(resources, start=1)]


def resources_of(*resources: Resource) -> Resources:
    return Resources.from_states(app, states_of(*resources))


def view_of_states(name: str, states: Iterable[State]) -> dict[str, Any]:
    view = app.view_for(name, SCOPE)
    assert view is not None
    seen = view.function(Resources.from_states(app, states))
    assert isinstance(seen, dict)
    return seen


def view_of(name: str, *resources: Resource) -> dict[str, Any]:
    return view_of_states(name, states_of(*resources))


def score_of_states(states: Iterable[State]) -> dict[str, Any]:
    return view_of_states("score", states)


def score_of(*events: Event) -> dict[str, Any]:
    return view_of("score", *events)
