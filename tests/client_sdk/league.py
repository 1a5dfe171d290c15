"""A small app for the tests: one type for each rule, a view, and a hook that refuses."""

from __future__ import annotations

from conflict_rules import Change, JsonValue
from syncd.app import App, HookTransaction, Resource, Resources, Veto, rules

__all__ = ["Goal", "Note", "Profile", "league"]

league = App("league", version=3)


@league.resource(scope="match:{match_id}", rule=rules.append)
class Goal(Resource):
    """A fact."""

    match_id: str
    side: str
    minute: int


@league.resource(scope="main", rule=rules.merge)
class Note(Resource):
    """Fields that combine."""

    text: str = ""
    color: str = "white"


@league.resource(scope="main", rule=rules.lww)
class Profile(Resource):
    """Right only as a whole."""

    name: str
    bio: str = ""


@league.view(scope="match")
def score(resources: Resources) -> JsonValue:
    """Goals by side."""
    sides = [goal.side for goal in resources.all(Goal)]
    return {"home": sides.count("home"), "away": sides.count("away")}


@league.on_change(Note)
async def no_swearing(tx: HookTransaction, change: Change) -> None:
    """Refuses one word."""
    if change.fields.get("text") == "damn":
        raise Veto("mind your words", code="swearing", field="text")
