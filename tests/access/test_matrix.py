"""Every endpoint and every frame × everybody × his own match and another's.

What is expected is in matrix.txt, written by hand from what the club's roles mean, and not from the declarations that
it checks. An endpoint or a frame without a row fails.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import ClientResponse

from syncd.api.frames import FRAMES
from syncd.engine.principal import OPERATOR
from tests.access.talk import Talk
from tests.access.test_accounts_matrix import ENDPOINTS
from tests.access.world import MATCHES, PEOPLE, World, question_of, world

pytestmark = pytest.mark.timeout(120)

EXPECTED: Final = Path(__file__).with_name("matrix.txt").read_text(encoding="utf-8")

ROWS: Final = [line.split() for line in EXPECTED.splitlines() if line and line[0] != "#"]
WHAT: Final = list(dict.fromkeys(f"{row[0]} {row[1]}" for row in ROWS))

Probe = Callable[[World, str, str], Awaitable[str]]
PROBES: Final[dict[str, Probe]] = {}


def probe(what: str) -> Callable[[Probe], Probe]:
    """Registers how it is found out what somebody (`who`) is told about a match by an endpoint or a frame."""

    def register(function: Probe) -> Probe:
        PROBES[what] = function
        return function

    return register


@pytest.fixture
async def club(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as built:
        yield built


@pytest.mark.parametrize("what", WHAT)
async def test_everybody_is_told_what_he_may_be_told_and_no_more(club: World, what: str) -> None:
    for row in ROWS:
        if f"{row[0]} {row[1]}" != what:
            continue
        expected = dict(zip(PEOPLE, row[3:], strict=True))
        told = {}
        # Whoever may least is asked first, so that nobody changes what others are then told.
        for who in reversed(PEOPLE):
            told[who] = await PROBES[what](club, who, f"match:{row[2]}")
        assert told == expected, (what, row[2])


async def test_every_endpoint_and_every_frame_has_its_rows(club: World) -> None:
    endpoints = {
        f"{route.method} {route.resource.canonical}"
        for route in club.server.parts.web.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    frames = {f"frame {name}" for name in FRAMES}
    assert set(WHAT) | set(ENDPOINTS) == endpoints | frames
    assert not set(WHAT) & set(ENDPOINTS)
    about_matches = {f"{row[0]} {row[1]}" for row in ROWS if row[2] == "m2"}
    of_the_server = {"GET /", "GET /health/live", "GET /health/ready", "GET /sync/v1/live", "frame hello"}
    assert about_matches == set(WHAT) - of_the_server - {"frame unsubscribe", "frame ping", "frame pong"}


def named(ids: list[str]) -> str:
    """What of a match is shown: e(vent), c(onflict), l(ineup)."""
    kinds = {"goal": "e", "c-": "c", "lineup": "l"}
    found = {letter for start, letter in kinds.items() for each in ids if each.startswith(start)}
    return "+".join(letter for letter in "ecl" if letter in found)


def refused(response: ClientResponse) -> str | None:
    """The status of a refusal, None for an answer."""
    return None if response.status == 200 else str(response.status)


for _path in ("/", "/health/live", "/health/ready"):

    @probe(f"GET {_path}")
    async def _(club: World, who: str, match: str, path: str = _path) -> str:
        return str((await club.ask(who, "GET", path)).status)


@probe("POST /sync/v1/push")
async def _(club: World, who: str, match: str) -> str:
    number = match.partition(":")[2]
    replica = f"{who}-{number}-phone"
    change = club.change(replica, match, "create", "event", f"new-{who}-{number}", match_id=number)
    body = {"replica": replica, "schema": 1, "changes": [change]}
    response = await club.ask(who, "POST", "/sync/v1/push", json=body)
    answer = await response.json(content_type=None)
    if response.status != 200:
        return "401" if response.status == 401 else str(answer["code"])
    [outcome] = answer["outcomes"]
    assert "resource" not in outcome or outcome["outcome"] == "applied"
    return str(outcome.get("code", outcome["outcome"])).removeprefix("account_")


@probe("POST /sync/v1/pull")
async def _(club: World, who: str, match: str) -> str:
    response = await club.ask(who, "POST", "/sync/v1/pull", json={"scopes": {match: None}})
    if refused(response):
        return str(response.status)
    page = (await response.json())["scopes"][match]
    return "gone" if page.get("gone") else named([state["id"] for state in page["resources"]])


@probe("POST /sync/v1/documents")
async def _(club: World, who: str, match: str) -> str:
    asked = [{"type": "event", "id": f"goal{MATCHES[match]}", "field": field} for field in ("notes", "diary")]
    response = await club.ask(who, "POST", "/sync/v1/documents", json={"documents": asked})
    if refused(response):
        return str(response.status)
    return _which([each["field"] for each in (await response.json())["documents"] if "updates" in each])


@probe("GET /sync/v1/document")
async def _(club: World, who: str, match: str) -> str:
    told = []
    for field in ("notes", "diary"):
        query = {"type": "event", "id": f"goal{MATCHES[match]}", "field": field}
        response = await club.ask(who, "GET", "/sync/v1/document", params=query)
        if response.status == 401:
            return "401"
        told += [field] if response.status == 200 else []
    return _which(told)


def _which(fields: list[str]) -> str:
    return {2: "both", 0: "none"}.get(len(fields)) or fields[0]


@probe("GET /sync/v1/history")
async def _(club: World, who: str, match: str) -> str:
    response = await club.ask(who, "GET", "/sync/v1/history", params={"type": "event", "id": f"goal{MATCHES[match]}"})
    if refused(response):
        return str(response.status)
    lines = (await response.json())["changes"]
    return _how_much({name for line in lines for name in line.get("fields", {})}, response)


@probe("GET /sync/v1/explain")
async def _(club: World, who: str, match: str) -> str:
    response = await club.ask(who, "GET", "/sync/v1/explain", params={"type": "event", "id": f"goal{MATCHES[match]}"})
    if refused(response):
        return str(response.status)
    told = await response.json()
    assert bool(told["fields"]) == bool(told["changes"])
    return _how_much({field["field"] for field in told["fields"]}, response)


def _how_much(fields: set[str], response: ClientResponse) -> str:
    if not fields:
        return "nothing"
    assert fields >= {"match_id", "player", "score"}
    hidden = {"rating", "diary"}
    return "whole" if hidden <= fields else "partly" if not hidden & fields else f"{fields}"


@probe("GET /sync/v1/undo")
async def _(club: World, who: str, match: str) -> str:
    query = {"type": "event", "id": f"goal{MATCHES[match]}", "change": f"{_owner(match)}-phone.4"}
    response = await club.ask(who, "GET", "/sync/v1/undo", params=query)
    if response.status == 401:
        return "401"
    return "told" if response.status == 200 else "nothing"


def _owner(match: str) -> str:
    return {"match:m1": "olga", "match:m2": "zoe"}[match]


@probe("GET /sync/v1/quarantine")
async def _(club: World, who: str, match: str) -> str:
    response = await club.ask(who, "GET", "/sync/v1/quarantine", params={"scope": match})
    if refused(response):
        return str(response.status)
    answer = await response.json()
    replicas = {line["replica"] for line in answer["changes"]}
    assert replicas <= {total["replica"] for total in answer["totals"]}
    assert who == "operator" or all(total["replica"].startswith(who) for total in answer["totals"])
    assert replicas <= {f"{_owner(match)}-tablet"}
    return "listed" if replicas else "none"


@probe("POST /sync/v1/quarantine/replay")
async def _(club: World, who: str, match: str) -> str:
    return await _dealt(club, who, match, "replay", 2)


@probe("POST /sync/v1/quarantine/dismiss")
async def _(club: World, who: str, match: str) -> str:
    return await _dealt(club, who, match, "dismiss", 3 if who == "operator" else 2)


async def _dealt(club: World, who: str, match: str, how: str, n: int) -> str:
    items = {"items": [{"replica": f"{_owner(match)}-tablet", "n": n}]}
    response = await club.ask(who, "POST", f"/sync/v1/quarantine/{how}", json=items)
    if refused(response):
        return str(response.status)
    [result] = (await response.json())["results"]
    return str(result["result"])


@probe("GET /sync/v1/conflicts")
async def _(club: World, who: str, match: str) -> str:
    listed = await club.ask(who, "GET", "/sync/v1/conflicts", params={"scope": match})
    everywhere = await club.ask(who, "GET", "/sync/v1/conflicts")
    if refused(listed):
        return str(listed.status)
    found = [{each["id"] for each in (await answer.json())["conflicts"]} for answer in (listed, everywhere)]
    assert (question_of(match) in found[0]) == (question_of(match) in found[1])
    return "listed" if question_of(match) in found[0] else "none"


@probe("POST /sync/v1/conflicts/settle")
async def _(club: World, who: str, match: str) -> str:
    body = {"settlements": [{"conflict": question_of(match), "value": len(who)}]}
    response = await club.ask(who, "POST", "/sync/v1/conflicts/settle", json=body)
    if refused(response):
        return str(response.status)
    [result] = (await response.json())["results"]
    return "unknown" if result.get("code") == "no_such_conflict" else str(result["outcome"])


@probe("GET /sync/v1/conflicts/{id}")
async def _(club: World, who: str, match: str) -> str:
    return str((await club.ask(who, "GET", f"/sync/v1/conflicts/{question_of(match)}")).status)


@probe("POST /sync/v1/conflicts/{id}/reopen")
async def _(club: World, who: str, match: str) -> str:
    body = {"settlements": [{"conflict": question_of(match), "value": 1}]}
    await club.ask("operator", "POST", "/sync/v1/conflicts/settle", json=body)
    response = await club.ask(who, "POST", f"/sync/v1/conflicts/{question_of(match)}/reopen")
    if refused(response):
        return str(response.status)
    return str((await response.json())["outcome"])


@probe("GET /sync/v1/members")
async def _(club: World, who: str, match: str) -> str:
    response = await club.ask(who, "GET", "/sync/v1/members", params={"scope": match})
    if refused(response):
        return str(response.status)
    members = {member["user"]: member["role"] for member in (await response.json())["members"]}
    assert members.get(_owner(match)) == "owner"
    return "listed"


@probe("PUT /sync/v1/members")
async def _(club: World, who: str, match: str) -> str:
    body = {"scope": match, "user": f"guest-of-{who}", "role": "viewer"}
    response = await club.ask(who, "PUT", "/sync/v1/members", json=body)
    rights = await club.server.parts.memberships.of_user(f"guest-of-{who}")
    assert (match in rights) == (response.status == 200)
    return str(response.status)


@probe("DELETE /sync/v1/members")
async def _(club: World, who: str, match: str) -> str:
    guest = f"guest-of-{who}"
    await club.server.parts.memberships.grant(OPERATOR, match, guest, "viewer")
    response = await club.ask(who, "DELETE", "/sync/v1/members", params={"scope": match, "user": guest})
    rights = await club.server.parts.memberships.of_user(guest)
    assert (match in rights) == (response.status != 200)
    return str(response.status)


@probe("GET /sync/v1/links")
async def _(club: World, who: str, match: str) -> str:
    made = await club.server.parts.links.make(OPERATOR, match)
    response = await club.ask(who, "GET", "/sync/v1/links", params={"scope": match})
    if refused(response):
        return str(response.status)
    links = (await response.json())["links"]
    assert made.link.id in {link["id"] for link in links}
    assert made.text.rpartition(".")[2] not in await response.text()
    return "listed"


@probe("POST /sync/v1/links")
async def _(club: World, who: str, match: str) -> str:
    response = await club.ask(who, "POST", "/sync/v1/links", json={"scope": match, "label": "For the family"})
    if refused(response):
        return str(response.status)
    opened = await club.server.parts.links.open((await response.json())["link"])
    page = (await club.server.parts.puller.pull(None, {match: None}, principal=opened))[match]
    return "gone" if page.gone else "opens" if opened.scope == match else opened.scope


@probe("DELETE /sync/v1/links")
async def _(club: World, who: str, match: str) -> str:
    made = await club.server.parts.links.make(OPERATOR, match)
    response = await club.ask(who, "DELETE", "/sync/v1/links", params={"id": made.link.id})
    [link] = [each for each in await club.server.parts.links.links(OPERATOR, match) if each.id == made.link.id]
    assert (link.revoked_at_ms is None) == (response.status != 200)
    return str(response.status)


@probe("GET /sync/v1/stream")
async def _(club: World, who: str, match: str) -> str:
    token = club.tokens[who]
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with club.http.get("/sync/v1/stream", params={"scope": match}, headers=headers) as stream:
        if stream.status != 200:
            return str(stream.status)
        welcome = await _event(stream, "welcome")
        if welcome["scopes"][match].get("gone"):
            return "gone"
        return await _told_by(club, match, lambda: _event(stream, "delta"))


async def _event(stream: ClientResponse, name: str) -> dict[str, Any]:
    """The next event of that name."""
    async with asyncio.timeout(10):
        while True:
            block = (await stream.content.readuntil(b"\n\n")).decode()
            lines = dict(line.partition(": ")[::2] for line in block.strip().splitlines())
            if lines.get("event") == name:
                event: dict[str, Any] = json.loads(lines["data"])
                return event


async def _told_by(club: World, match: str, next_delta: Callable[[], Awaitable[dict[str, Any]]]) -> str:
    """What of a match its deltas show, when everything in it is touched."""
    end, number, replica = MATCHES[match], match.partition(":")[2], f"toucher-{len(club.numbers)}"
    # Later than whatever it takes the place of.
    club.clock.advance(1)
    await club.push(
        "operator", replica,
        club.change(replica, match, "update", "event", f"goal{end}", kind="foul"),
        club.change(replica, match, "update", "lineup", f"lineup{end}", names=[replica]),
        club.change(replica, match, "create", "event", f"goal-{replica}", match_id=number, score=1),
    )  # fmt: skip
    rival = f"{replica}-rival"
    await club.push("operator", rival, club.change(rival, match, "update", "event", f"goal{end}", score=len(replica)))
    found: list[str] = []
    version = 0
    async with asyncio.timeout(10):
        head = await (await club.ask("operator", "POST", "/sync/v1/pull", json={"scopes": {match: None}})).json()
        last = int(head["scopes"][match]["cursor"].rpartition(".")[2])
        while version < last:
            delta = await next_delta()
            found += [entry["id"] for entry in delta["entries"]]
            version = int(delta["upto"].rpartition(".")[2])
    return named(found)


@probe("GET /sync/v1/live")
async def _(club: World, who: str, match: str) -> str:
    async with club.http.ws_connect("/sync/v1/live") as socket:
        assert not socket.closed
    return "101"


@probe("frame hello")
async def _(club: World, who: str, match: str) -> str:
    async with Talk(club, who) as talk:
        return talk.said


@probe("frame subscribe")
async def _(club: World, who: str, match: str) -> str:
    async with Talk(club, who) as talk:
        if talk.said != "welcome":
            return talk.said
        if (await talk.subscribe(match)).get("gone"):
            return "gone"
        return await _told_by(club, match, lambda: talk.receive("delta"))


@probe("frame unsubscribe")
async def _(club: World, who: str, match: str) -> str:
    async with Talk(club, who) as talk:
        if talk.said != "welcome":
            return talk.said
        await talk.subscribe(match)
        await talk.say(type="unsubscribe", scopes=[match])
        await talk.receive("unsubscribed")
        replica = f"after-{who}"
        await club.push("operator", replica, club.change(replica, match, "update", "event", "goal1", kind="foul"))
        return await _quiet(talk)


async def _quiet(talk: Talk) -> str:
    """Nothing comes but the answer to a ping."""
    await talk.say(type="ping")
    frame = await talk.receive()
    return "quiet" if frame == {"type": "pong"} else str(frame)


@probe("frame presence")
async def _(club: World, who: str, match: str) -> str:
    """Whether others in the match see that he is there, and he them."""
    async with Talk(club, "operator", replica="onlooker") as onlooker, Talk(club, who) as talk:
        if talk.said != "welcome":
            return talk.said
        await onlooker.subscribe(match)
        await onlooker.say(type="presence", scope=match, state={"name": "Onlooker"})
        await talk.subscribe(match)
        await talk.say(type="presence", scope=match, state={"name": who})
        await talk.say(type="ping")
        heard = []
        while (frame := await talk.receive())["type"] != "pong":
            heard.append(frame["type"])
        await asyncio.sleep(0.05)
        await onlooker.say(type="ping")
        seen = []
        while (frame := await onlooker.receive())["type"] != "pong":
            seen.append(frame["type"])
        there = "presence" in seen
        assert there == ("present" in heard or "presence" in heard), (seen, heard)
        return "seen" if there else "unseen"


@probe("frame ping")
async def _(club: World, who: str, match: str) -> str:
    async with Talk(club, who) as talk:
        if talk.said != "welcome":
            return talk.said
        await talk.say(type="ping")
        return str((await talk.receive())["type"])


@probe("frame pong")
async def _(club: World, who: str, match: str) -> str:
    async with Talk(club, who) as talk:
        if talk.said != "welcome":
            return talk.said
        await talk.say(type="pong")
        return await _quiet(talk)
