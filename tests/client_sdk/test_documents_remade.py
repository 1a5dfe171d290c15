"""What was written behind an edit that does not count is written anew, however its device learns that it does not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from client_sdk import Client, Document
from client_sdk.document_rows import DocumentKey
from tests.client_sdk.club_notes import Note, club_notes
from tests.client_sdk.conftest import OpenClient
from tests.client_sdk.scripted_documents import SCOPE, ScriptedClub
from tests.support.scripted_server import ScriptedServer, problem, scripted_server
from tests.support.until import until

CLUB: dict[str, Any] = {"app": club_notes, "scopes": [SCOPE]}
BODY = DocumentKey("note", "n1", "body")
UNAVAILABLE = problem(503, "store_unavailable")


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedServer]:
    """A server without live connections: replicas pull all the time."""
    async with scripted_server() as server:
        server.live = problem(404, "not_found")
        yield server


@pytest.fixture
def door(scripted: ScriptedServer) -> Door:
    """A club whose pushes can be held up."""
    return Door(scripted)


class Door:
    """`closed_to`: the replicas whose pushes are not taken. `swallows`: the next push is, and its answer is lost, and
    then it is closed to whose it was."""

    def __init__(self, scripted: ScriptedServer) -> None:
        self.club = ScriptedClub(scripted, club_notes)
        self.closed_to: set[str] = set()
        self.swallows = False
        scripted.answer["push"] = self.push

    def push(self, request: Any) -> web.Response:
        if request["replica"] in self.closed_to:
            return UNAVAILABLE(request)
        answer = self.club.push(request)
        if self.swallows:
            self.swallows = False
            self.closed_to.add(request["replica"])
            return UNAVAILABLE(request)
        return answer


async def a_note(client: Client, text: str) -> Document:
    await client.collection(Note).put(Note(id="n1", club="a"))
    doc = await client.document(Note, "n1", field="body")
    await doc.edit(lambda body: body.append(text))
    await client.synced(10)
    return doc


def documents(client: Client) -> Any:
    assert client._replica is not None
    return client._replica.documents


async def says(client: Client) -> str:
    note = await client.collection(Note).get("n1")
    assert note is not None
    return note.body


async def test_what_follows_a_refused_edit_is_kept_also_if_a_pull_was_the_first_to_settle_both(
    scripted: ScriptedServer, door: Door, open_client: OpenClient
) -> None:
    phone = await open_client("phone", scripted.url, **CLUB)
    doc = await a_note(phone, "hello")
    await phone.pause()
    bad = await doc.edit(lambda text: text.append(" bad"))
    assert bad is not None
    await phone.collection(Note).update("n1", title="between")
    await doc.edit(lambda text: text.append(" good"))
    door.club.refuse = lambda change: "not_allowed" if change.n == bad.n else None
    door.swallows = True
    await phone.resume()
    await until(lambda: bool(door.closed_to) and not documents(phone).own(BODY))
    await says(phone)
    door.closed_to.clear()
    await phone.synced(10)
    assert (str(doc), await says(phone), door.club.say()) == ("hello good",) * 3
    laptop = await open_client("laptop", scripted.url, **CLUB)
    await laptop.synced(10)
    assert await says(laptop) == "hello good"


async def test_what_follows_an_edit_of_a_former_life_is_kept(
    scripted: ScriptedServer, door: Door, open_client: OpenClient
) -> None:
    phone = await open_client("phone", scripted.url, **CLUB)
    laptop = await open_client("laptop", scripted.url, **CLUB)
    doc = await a_note(phone, "hello")
    await laptop.synced(10)
    door.closed_to.add(phone.replica_id)
    await doc.edit(lambda text: text.append(" old"))
    began = documents(phone).head(BODY).since
    await laptop.collection(Note).delete("n1")
    await laptop.synced(10)
    await laptop.collection(Note).restore("n1")
    await laptop.synced(10)
    await until(lambda: documents(phone).head(BODY).since > began)
    await doc.edit(lambda text: text.append(" new"))
    door.closed_to.clear()
    await phone.synced(10)
    await phone.synced(10)
    assert (str(doc), await says(phone), door.club.say()) == ("hello new",) * 3


async def test_what_is_written_after_a_restore_is_written_into_the_life_that_it_begins(
    scripted: ScriptedServer, door: Door, open_client: OpenClient
) -> None:
    phone = await open_client("phone", scripted.url, **CLUB)
    laptop = await open_client("laptop", scripted.url, **CLUB)
    await phone.collection(Note).put(Note(id="n1", club="a"))
    await phone.synced(10)
    await laptop.synced(10)
    door.closed_to.add(phone.replica_id)
    await phone.collection(Note).delete("n1")
    await phone.collection(Note).restore("n1")
    theirs = await laptop.document(Note, "n1", field="body")
    await theirs.edit(lambda text: text.append("laptop"))
    await laptop.synced(10)
    await until(lambda: documents(phone).head(BODY) is not None)
    doc = await phone.document(Note, "n1", field="body")
    assert (str(doc), await says(phone)) == ("", "")
    await doc.edit(lambda text: text.append("phone"))
    door.closed_to.clear()
    await phone.synced(10)
    await phone.synced(10)
    assert (str(doc), await says(phone), door.club.say()) == ("phone",) * 3
