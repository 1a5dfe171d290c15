"""A club whose matches have viewers, scorers and owners, for tests of replicas whose rights change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from client_sdk import Client
from syncd.app import App, Resource, private, roles, rules
from syncd.engine.principal import OPERATOR, Caller, Principal
from tests.support.served import Served

if TYPE_CHECKING:
    from tests.client_sdk.conftest import OpenClient

__all__ = ["MATCH", "Event", "Memo", "club", "event", "grant", "ids", "member", "quarantined", "revoke"]

MATCH = "match:m1"

club = App("club")
club.scope("match", roles=("viewer", "scorer", "owner"))


@club.resource(scope="match:{match_id}", access=roles(read="viewer", write="scorer"))
class Event(Resource):
    """A goal, say, whose `rating` and `tactics` viewers do not see."""

    match_id: str
    kind: str = "goal"
    player: str | None = private()
    rating: int | None = private(read="scorer", write="owner")
    likes: Annotated[int, rules.counter] = 0
    score: Annotated[int | None, rules.manual] = None
    report: Annotated[str, rules.crdt] = ""
    tactics: Annotated[str, rules.crdt, private("", read="scorer")] = ""


@club.resource(scope="user:{owner}")
class Memo(Resource):
    """Somebody's own."""

    owner: str
    text: str = ""


def event(id: str, **fields: Any) -> Event:
    """An event of the match."""
    return Event(id=id, match_id="m1", **fields)


async def grant(server: Served, user: str, role: str, scope: str = MATCH) -> None:
    """Make somebody something in a scope."""
    await server.parts.memberships.grant(OPERATOR, scope, user, role)


async def revoke(server: Served, user: str, scope: str = MATCH) -> None:
    """Turn somebody out of a scope."""
    await server.parts.memberships.revoke(OPERATOR, scope, user)


async def quarantined(server: Served, user: str) -> list[str | None]:
    """The codes of what the server refused somebody and keeps, oldest first, as he is told."""
    who = Principal(Caller.USER, user)
    return [entry.outcome.code for entry in (await server.parts.quarantine.waiting(principal=who)).entries]


async def ids(client: Client) -> list[str]:
    """The events that a client shows."""
    return [event.id for event in await client.collection(Event).all(MATCH)]


async def member(open_client: OpenClient, server: Served, name: str, **options: Any) -> Client:
    """A replica of somebody's that follows the match and has caught up."""
    client = await open_client(name, server.url, app=club, token=name, **{"scopes": [MATCH], **options})
    await client.synced(10)
    return client
