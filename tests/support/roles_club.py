"""A club whose matches have viewers, scorers and owners, with a private field, a document and a question to settle."""

from __future__ import annotations

from typing import Annotated

from syncd.app import App, Resource, private, roles, rules

__all__ = ["roles_club"]


def roles_club() -> App:
    """`match:…`: viewers see goals and notes, scorers write them and see ratings and lineups, owners write those too
    and have secrets of their own.
    `court:…`: begun by account-wide admins, seen by everybody who is signed in.
    """
    app = App("club")
    app.scope("match", roles=("viewer", "scorer", "owner"), everywhere={"admin": "owner"})
    app.scope("court", public="viewer", founders=["admin"])

    @app.resource(scope="match:{match_id}", access=roles(read="viewer", write="scorer"))
    class Event(Resource):
        match_id: str
        kind: str = "goal"
        player: str | None = private()
        rating: int | None = private(read="scorer", write="owner")
        secret: str | None = private(read="owner")
        score: Annotated[int | None, rules.manual] = None
        notes: Annotated[str, rules.crdt] = ""
        diary: Annotated[str, rules.crdt] = private("", read="scorer")

    @app.resource(scope="match:{match_id}", access=roles(read="scorer", write="owner"))
    class Lineup(Resource):
        match_id: str
        names: tuple[str, ...] = ()

    @app.resource(scope="court:{id}")
    class Court(Resource):
        surface: str = "grass"

    return app
