"""The third: kilometres, names in two parts, and memos are called notes."""

from __future__ import annotations

from conflict_rules import JsonValue
from syncd.app import App, Intent, Resource, rules

__all__ = ["Member", "Note", "Walk", "club", "in_km"]

club = App("walking_club", version=3)


@club.resource(scope="main", rule=rules.merge)
class Walk(Resource):
    """Distances in kilometres."""

    name: str
    km: float
    open_to_guests: bool


@club.resource(scope="main", rule=rules.lww)
class Member(Resource):
    """Right only as a whole."""

    first_name: str
    last_name: str
    town: str = ""


@club.resource(scope="main", rule=rules.append)
class Note(Resource):
    """What somebody wrote on the way."""

    text: str


def in_km(miles: JsonValue) -> JsonValue:
    """To ten metres."""
    assert isinstance(miles, (int, float))
    return round(miles * 1.609344, 2)


@club.upgrade(from_version=1, type=Walk)
def names_without_moods(change: Intent) -> Intent:
    """Nobody filled in moods."""
    return change.renamed("title", "name").without("mood")


@club.upgrade(from_version=2, type=Walk)
def kilometres(change: Intent) -> Intent:
    """Guests come only to walks that say so."""
    return change.converted("miles", in_km).renamed("miles", "km").with_default("open_to_guests", False)


@club.upgrade(from_version=2, type=Member)
def names_in_two_parts(change: Intent) -> Intent:
    """All but the last word are first names."""

    def parts(full_name: JsonValue) -> dict[str, JsonValue]:
        first, _, last = str(full_name).rpartition(" ")
        return {"first_name": first, "last_name": last}

    return change.split("full_name", parts)


@club.upgrade(from_version=2, type="memo")
def memos_are_notes(change: Intent) -> Intent:
    """The same, under a better word."""
    return change.of_type("note")
