"""The first version."""

from __future__ import annotations

from syncd.app import App, Resource, rules

__all__ = ["Member", "Memo", "Walk", "club"]

club = App("walking_club", version=1)


@club.resource(scope="main", rule=rules.merge)
class Walk(Resource):
    """Distances in miles."""

    title: str
    miles: float
    mood: str = ""


@club.resource(scope="main", rule=rules.lww)
class Member(Resource):
    """Right only as a whole."""

    full_name: str
    town: str = ""


@club.resource(scope="main", rule=rules.append)
class Memo(Resource):
    """What somebody wrote on the way."""

    text: str
