"""An app that asks nobody anything: goals, and how many there are. For tests that count them by the thousand."""

from __future__ import annotations

from typing import Any

from syncd.app import App, Resource, Resources, rules

__all__ = ["app"]

app = App("tally")


@app.resource(scope="match:{match_id}", rule=rules.append)
class Event(Resource):
    match_id: str
    kind: str
    team: str
    minute: int


@app.view(scope="match")
def score(resources: Resources) -> dict[str, Any]:
    return {"home": sum(event.team == "home" for event in resources.all(Event))}
