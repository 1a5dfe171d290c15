"""A small app with documents: a text, a map and a list in one resource, beside an ordinary field."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from syncd.app import App, Resource, Resources, rules

__all__ = ["Note", "club_notes"]

club_notes = App("club_notes")


@club_notes.resource(scope="club:{club}")
class Note(Resource):
    """What a club writes together."""

    club: str
    title: str = ""
    body: Annotated[str, rules.crdt] = ""
    board: Annotated[dict[str, Any], rules.crdt] = Field(default_factory=dict)
    plan: Annotated[list[Any], rules.crdt] = Field(default_factory=list)


@club_notes.view(scope="club")
def digest(resources: Resources) -> dict[str, str]:
    """The beginning of each note."""
    return {note.id: note.body[:20] for note in resources.all(Note)}
