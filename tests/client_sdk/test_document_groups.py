"""Documents in groups: an edit is done with the group's other changes or not at all, here and on the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import Context
from pathlib import Path
from typing import Annotated, Any

import pytest

from client_sdk import Client, Document, NotHere, Unfit
from client_sdk.open_document import DocumentChange
from conflict_rules import Change
from syncd.app import App, HookTransaction, Resource, Veto, rules
from tests.client_sdk.conftest import OpenClient
from tests.support.served import Served, served
from tests.support.until import until

SCOPE = "club:a"
club = App("club")


@club.resource(scope="club:a")
class Note(Resource):
    title: str = ""
    body: Annotated[str, rules.crdt] = ""
    board: Annotated[dict[str, Any], rules.crdt] = {}  # noqa: RUF012


@club.on_change(Note)
async def no_swearing(tx: HookTransaction, change: Change) -> None:
    if "damn" in str(change.fields.get("title")):
        raise Veto("no swearing", code="swearing")


CLUB: dict[str, Any] = {"app": club, "scopes": [SCOPE]}


@pytest.fixture
async def phone(open_client: OpenClient) -> Client:
    """A replica without a network."""
    return await open_client("phone", **CLUB)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path / "server.db", club) as server:
        yield server


async def a_note(client: Client, text: str = "") -> Document:
    await client.collection(Note).put(Note(id="n", title="first"))
    doc = await client.document(Note, "n", field="body")
    await doc.edit(lambda body: body.append(text))
    return doc


@asynccontextmanager
async def given_up(client: Client) -> AsyncIterator[None]:
    """A group whose block raises at its end."""
    with pytest.raises(LookupError):  # noqa: PT012
        async with client.group():
            yield
            raise LookupError


async def shown(client: Client) -> tuple[str, str]:
    note = await client.collection(Note).get("n")
    assert note is not None
    return note.title, note.body


async def test_an_edit_and_other_changes_become_one_group(phone: Client) -> None:
    doc = await a_note(phone, "one")
    async with phone.group():
        handle = await doc.edit(lambda text: text.append(" two"))
        await phone.collection(Note).update("n", title="second")
        await doc.edit(lambda text: text.append(" three"))
        assert str(doc) == "one two three"
        assert await shown(phone) == ("second", "one two three")
        assert len(phone.outbox()) == 2, "nothing is queued before the group is done"
    assert str(doc) == "one two three"
    assert await shown(phone) == ("second", "one two three")
    grouped = phone.outbox()[2:]
    assert [sorted(change.fields) for change in grouped] == [["body"], ["title"], ["body"]]
    assert len({change.group for change in grouped}) == 1
    assert grouped[0].group is not None
    assert handle is not None
    assert handle.n == grouped[0].n
    await doc.edit(lambda text: text.append(", after"))
    assert len(phone.outbox()) == 6, "what comes later does not get into the group"


async def test_elsewhere_it_shows_when_the_group_is_done(phone: Client) -> None:
    doc = await a_note(phone, "one")
    told: list[DocumentChange] = []
    doc.on_change(told.append)

    async def elsewhere() -> tuple[str, tuple[str, str]]:
        return str(doc), await shown(phone)

    async with phone.group():
        await doc.edit(lambda text: text.append(" two"))
        assert await asyncio.create_task(elsewhere(), context=Context()) == ("one", ("first", "one"))
        assert not told
    assert str(doc) == "one two"
    assert [change.mine for change in told] == [True]


async def test_of_a_group_that_is_given_up_nothing_is_left(phone: Client) -> None:
    doc = await a_note(phone, "one")
    async with given_up(phone):
        await phone.collection(Note).update("n", title="second")
        await doc.edit(lambda text: text.append(" two"))
    assert str(doc) == "one"
    assert await shown(phone) == ("first", "one")
    await doc.edit(lambda text: text.append(" three"))
    assert await shown(phone) == ("first", "one three")


async def test_what_is_edited_outside_meanwhile_stands_whatever_becomes_of_the_group(
    server: Served, open_client: OpenClient
) -> None:
    phone = await open_client("phone", server.url, **CLUB)
    doc = await a_note(phone, "one")
    async with given_up(phone):
        await doc.edit(lambda text: text.append(" two"))
        outside = doc.edit(lambda text: text.append(" outside"))
        await asyncio.create_task(outside, context=Context())
        await doc.edit(lambda text: text.append(" three"))
    await phone.synced(20)
    laptop = await open_client("laptop", server.url, **CLUB)
    await laptop.synced(20)
    assert await shown(laptop) == await shown(phone) == ("first", "one outside")


async def test_a_resource_and_its_document_begin_in_one_group(server: Served, open_client: OpenClient) -> None:
    phone = await open_client("phone", server.url, **CLUB)
    async with phone.group():
        await phone.collection(Note).put(Note(id="n", title="new"))
        doc = await phone.document(Note, "n", field="body")
        await doc.edit(lambda text: text.append("written"))
        board = await phone.document(Note, "n", field="board")
        await board.edit(lambda root: root.__setitem__("k", 1))
        assert await shown(phone) == ("new", "written")
    assert str(doc) == "written"
    await phone.synced(20)
    laptop = await open_client("laptop", server.url, **CLUB)
    await laptop.synced(20)
    note = await laptop.collection(Note).get("n")
    assert note is not None
    assert (note.title, note.body, note.board) == ("new", "written", {"k": 1})


async def test_a_document_of_what_was_never_made_takes_no_edit(phone: Client) -> None:
    async with given_up(phone):
        await phone.collection(Note).put(Note(id="n"))
        doc = await phone.document(Note, "n", field="body")
    with pytest.raises(NotHere):
        await doc.edit(lambda text: text.append("x"))
    async with phone.group():
        await phone.collection(Note).put(Note(id="n"))
        await phone.collection(Note).delete("n")
        with pytest.raises(NotHere):
            await doc.edit(lambda text: text.append("x"))


async def test_an_edit_that_fails_half_way_leaves_what_the_group_had_before_it(phone: Client) -> None:
    doc = await a_note(phone, "one")

    def fails(text: Any) -> None:
        text.append("half")
        raise RuntimeError("in the middle")

    async with phone.group():
        await doc.edit(lambda text: text.append(" two"))
        with pytest.raises(RuntimeError, match="in the middle"):
            await doc.edit(fails)
        await doc.edit(lambda text: text.append(" three"))
        assert str(doc) == "one two three"
    assert str(doc) == "one two three"


async def test_after_the_end_of_the_group_nothing_joins_it(phone: Client) -> None:
    doc = await a_note(phone, "one")
    ended = asyncio.Event()

    async def late() -> None:
        await ended.wait()
        await doc.edit(lambda text: text.append("late"))

    async with phone.group():
        task = asyncio.create_task(late())
        await doc.edit(lambda text: text.append(" two"))
    ended.set()
    with pytest.raises(Unfit, match="has ended"):
        await task
    assert str(doc) == "one two"


async def test_it_is_there_after_a_restart(phone: Client, open_client: OpenClient) -> None:
    doc = await a_note(phone, "one")
    async with phone.group():
        await doc.edit(lambda text: text.append(" two"))
        await phone.collection(Note).update("n", title="second")
    await phone.close()
    again = await open_client("phone", **CLUB)
    assert await shown(again) == ("second", "one two")


async def test_a_group_that_is_rejected_leaves_the_document_and_what_was_edited_after_it_is_made_anew(
    server: Served, open_client: OpenClient
) -> None:
    phone = await open_client("phone", server.url, **CLUB)
    doc = await a_note(phone, "one")
    await phone.synced(20)
    await phone.pause()
    async with phone.group():
        edited = await doc.edit(lambda text: text.append(" two"))
        await phone.collection(Note).update("n", title="damn")
    await doc.edit(lambda text: text.append(" three"))
    assert await shown(phone) == ("damn", "one two three")
    await phone.resume()
    await phone.synced(20)
    assert edited is not None
    assert (await edited.outcome(20)).code == "group_rejected"
    assert await shown(phone) == ("first", "one three")
    await until(lambda: str(doc) == "one three")
    laptop = await open_client("laptop", server.url, **CLUB)
    await laptop.synced(20)
    assert await shown(laptop) == ("first", "one three")
    theirs = await laptop.document(Note, "n", field="body")
    await theirs.edit(lambda text: text.append(" four"))
    await laptop.synced(20)
    await until(lambda: str(doc) == "one three four")


async def test_a_group_that_is_taken_is_everywhere(server: Served, open_client: OpenClient) -> None:
    phone = await open_client("phone", server.url, **CLUB)
    doc = await a_note(phone, "one")
    async with phone.group():
        await doc.edit(lambda text: text.insert(0, "zero "))
        await phone.collection(Note).update("n", title="second")
        await doc.edit(lambda text: text.append(" two"))
    await phone.synced(20)
    laptop = await open_client("laptop", server.url, **CLUB)
    await laptop.synced(20)
    assert await shown(laptop) == await shown(phone) == ("second", "zero one two")


async def test_what_a_document_said_is_brought_back_by_the_server_s_history(
    server: Served, open_client: OpenClient
) -> None:
    phone = await open_client("phone", server.url, **CLUB)
    doc = await a_note(phone, "one")
    await phone.synced(20)
    await doc.edit(lambda text: text.append(" two"))
    await phone.synced(20)
    await phone.undo(Note, "n", version=2, field="body")
    assert str(doc) == "one"
    await phone.synced(20)
    laptop = await open_client("laptop", server.url, **CLUB)
    await laptop.synced(20)
    assert await shown(laptop) == ("first", "one")
    await laptop.collection(Note).delete("n")
    await laptop.synced(20)
    await until(lambda: not phone.outbox())
    await phone.synced(20)
    await phone.undo(Note, "n", version=3)
    await phone.synced(20)
    await laptop.synced(20)
    assert await shown(laptop) == await shown(phone) == ("first", "one two")
