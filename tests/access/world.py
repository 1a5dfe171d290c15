"""Two matches with people in them, on a real server behind a real port, and somebody who asks as each of them.

Olga owns match:m1, Sam scores it and Vera watches it; Zoe owns match:m2. Stan is in neither, Ada is an admin of the
club and therefore an owner everywhere, Susan is a scorer of m1 whose account is suspended, `link` holds a share link of
m1, `nobody` has no token. In each match there are a goal with a document and a diary that viewers do not see, a lineup
that they do not see either, and an open question about the goal's score.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import ClientResponse, ClientSession
from pycrdt import Doc, Text

from conflict_rules import conflict_id
from syncd.engine.principal import Caller, Principal
from tests.support.engine import SettableClock
from tests.support.people import People
from tests.support.roles_club import roles_club
from tests.support.served import Served, served

__all__ = ["MATCHES", "PEOPLE", "SHARED_TOKEN", "World", "question_of", "world"]

SHARED_TOKEN = "a-token-for-the-operator"
MATCHES = {"match:m1": "1", "match:m2": "2"}
"""Each match, and what the ids in it end with."""

PEOPLE: Mapping[str, str | None] = {
    "operator": SHARED_TOKEN,
    "olga": "olga",
    "sam": "sam",
    "vera": "vera",
    "stan": "stan",
    "ada": "ada+admin",
    "susan": "susan",
    "link": "",
    "nobody": None,
}
"""Who asks, and with which token."""


TOKENS = {**PEOPLE, "zoe": "zoe"}


OLGA = Principal(Caller.USER, "olga")


def question_of(match: str) -> str:
    """The id of the open question in a match."""
    return conflict_id("event", f"goal{MATCHES[match]}", "score")


@dataclass
class World:
    """`server` and `http`, to ask it; `people` and `clock`, to be changed. `tokens`: by name. `numbers`: the last of
    each replica.
    """

    server: Served
    http: ClientSession
    people: People
    clock: SettableClock
    tokens: dict[str, str | None] = field(default_factory=lambda: {**PEOPLE, "zoe": "zoe"})
    numbers: dict[str, int] = field(default_factory=dict)

    async def ask(self, who: str, method: str, path: str, **more: Any) -> ClientResponse:
        """A request of somebody's; its body is read."""
        token = self.tokens[who]
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        response = await self.http.request(method, path, headers=headers, **more)
        await response.read()
        return response

    def change(self, replica: str, match: str, op: str, type: str, id: str, **fields: Any) -> dict[str, Any]:
        """The next change of a replica."""
        n = self.numbers[replica] = self.numbers.get(replica, 0) + 1
        change = {"n": n, "scope": match, "type": type, "id": id, "op": op, "base": fields.pop("_base", 0)}
        return {**change, "fields": fields} if fields else change

    async def push(self, who: str, replica: str, *changes: dict[str, Any]) -> list[dict[str, Any]]:
        """Push as somebody; the outcomes."""
        body = {"replica": replica, "schema": 1, "changes": changes}
        response = await self.ask(who, "POST", "/sync/v1/push", json=body)
        assert response.status == 200, await response.text()
        outcomes: list[dict[str, Any]] = (await response.json())["outcomes"]
        return outcomes


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    """Everything as it is described above."""
    people, clock = People(suspended={"susan"}), SettableClock()
    async with (
        served(folder / "club.db", roles_club(), now_ms=clock, accounts=people, token=SHARED_TOKEN) as server,
        ClientSession(server.url) as http,
    ):
        built = World(server, http, people, clock)
        memberships = server.parts.memberships
        for (match, end), owner in zip(MATCHES.items(), ("olga", "zoe"), strict=True):
            founder, number = f"{owner}-phone", match.partition(":")[2]
            goal: dict[str, Any] = {"match_id": number, "kind": "goal", "player": "Ann", "rating": 7}
            goal |= {name: typed(name, text) for name, text in (("notes", "well played"), ("diary", "hm"))}
            await _made(
                built, owner, founder,
                built.change(founder, match, "create", "event", f"goal{end}", **goal),
                built.change(founder, match, "create", "lineup", f"lineup{end}", match_id=number, names=["Ann"]),
                built.change(founder, match, "update", "event", f"goal{end}", score=1),
                built.change(founder, match, "update", "event", f"goal{end}", kind="shot"),
            )  # fmt: skip
            if match == "match:m1":
                for name, role in (("sam", "scorer"), ("vera", "viewer"), ("susan", "scorer")):
                    await memberships.grant(Principal(Caller.USER, owner), match, name, role)
            # Somebody who had not seen the first score asks which is right.
            other = f"{owner}-tablet"
            [asked] = await built.push(
                owner, other, built.change(other, match, "update", "event", f"goal{end}", score=2)
            )
            assert asked["outcome"] == "conflict", asked
            # And two changes wait in the quarantine.
            bad = [built.change(other, match, "create", "event", f"bad{end}-{i}", kind=3) for i in range(2)]
            assert {outcome["outcome"] for outcome in await built.push(owner, other, *bad)} == {"rejected"}
        built.tokens["link"] = (await server.parts.links.make(OLGA, "match:m1")).text
        yield built


def typed(field: str, text: str) -> dict[str, str]:
    """The update that types a text into an empty document."""
    document: Any = Doc()
    document[field] = Text(text)
    return {"update": base64.b64encode(document.get_update()).decode()}


async def _made(built: World, who: str, replica: str, *changes: dict[str, Any]) -> None:
    outcomes = await built.push(who, replica, *changes)
    assert [outcome["outcome"] for outcome in outcomes] == ["applied"] * len(changes), outcomes
