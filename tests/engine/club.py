"""An app with a field for each kind of question that a history is asked."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from conflict_rules import Change
from syncd.app import App, HookTransaction, Resource, Veto, rules


def club() -> App:
    """Notes: the title 'forbidden' is vetoed, and 'echo' makes a hook write another. Profiles: the whole record."""
    app = App("club")

    @app.resource(scope="main", rule=rules.merge)
    class Note(Resource):
        title: str = ""
        body: str = ""
        likes: Annotated[int, rules.counter] = 0
        best: Annotated[int, rules.max] = 0
        tags: Annotated[list[str], rules.set] = Field(default_factory=list)
        score: Annotated[int, rules.server_wins] = 0

    @app.resource(scope="main", rule=rules.lww)
    class Profile(Resource):
        name: str = ""
        town: str = ""

    @app.on_change(Note)
    async def check(tx: HookTransaction, change: Change) -> None:
        if change.fields.get("title") == "forbidden":
            raise Veto("that title is not for us", field="title")
        if change.fields.get("title") == "echo":
            await tx.create(Note(id=f"{change.id}-echo", title="made by a hook"))

    return app
