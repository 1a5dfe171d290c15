"""Events of a made-up match, and its score as every reader counts it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from conflict_rules import Mark, Origin, Stamp, State
from syncd.app import Resources
from syncd.apps.grassroots import Event, app

MATCH = "9f"


def event(event_id: str, kind: str = "goal", team: str = "home", minute: int = 10, **fields: Any) -> Event:
    return Event.model_validate(
        {"id": event_id, "match_id": MATCH, "kind": kind, "team": team, "minute": minute, **fields}
    )


def state_of(event: Event, version: int = 1) -> State:
    fields = event.to_fields()
    mark = Mark(version, Stamp(version, 0, "phone"))
    return State(
        f"match:{event.match_id}",
        "event",
        event.id,
        version,
        fields,
        dict.fromkeys(fields, mark),
        Origin("phone", version),
    )


def score_of_states(states: Iterable[State]) -> dict[str, Any]:
    view = app.view_for("score", f"match:{MATCH}")
    assert view is not None
    score = view.function(Resources.from_states(app, states))
    assert isinstance(score, dict)
    return score


def score_of(*events: Event) -> dict[str, Any]:
    return score_of_states(state_of(event, version) for version, event in enumerate(events, start=1))
