"""The second: a walk's title is called its name, and moods are gone."""

from __future__ import annotations

from syncd.app import App, Intent, Resource, rules

__all__ = ["Member", "Memo", "Walk", "club"]

club = App("walking_club", version=2)


@club.resource(scope="main", rule=rules.merge)
class Walk(Resource):
    """Distances in miles."""

    name: str
    miles: float


@club.resource(scope="main", rule=rules.lww)
class Member(Resource):
    """Right only as a whole."""

    full_name: str
    town: str = ""


@club.resource(scope="main", rule=rules.append)
class Memo(Resource):
    """What somebody wrote on the way."""

    text: str


@club.upgrade(from_version=1, type=Walk)
def names_without_moods(change: Intent) -> Intent:
    """Nobody filled in moods."""
    return change.renamed("title", "name").without("mood")
