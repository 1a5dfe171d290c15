"""Documents between devices and a real server, whose workers judge every update."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from client_sdk import Client, Document, blocking
from tests.client_sdk.club_notes import Note, club_notes
from tests.client_sdk.conftest import OpenClient
from tests.client_sdk.scripted_documents import SCOPE
from tests.support.served import Served, served
from tests.support.until import until

CLUB: dict[str, Any] = {"app": club_notes, "scopes": [SCOPE]}


@pytest.fixture
async def club(tmp_path: Path) -> AsyncIterator[Served]:
    """A real server with documents."""
    async with served(tmp_path / "server.db", club_notes) as server:
        yield server


async def a_note(client: Client, text: str) -> Document:
    await client.collection(Note).put(Note(id="n1", club="a"))
    doc = await client.document(Note, "n1", field="body")
    await doc.edit(lambda body: body.append(text))
    await client.synced(20)
    return doc


async def test_two_devices_write_one_text_offline_and_live(club: Served, open_client: OpenClient) -> None:
    phone = await open_client("phone", club.url, **CLUB)
    laptop = await open_client("laptop", club.url, **CLUB)
    mine = await a_note(phone, "नमस्ते 😀")
    await laptop.synced(20)
    theirs = await laptop.document(Note, "n1", field="body")
    assert str(theirs) == "नमस्ते 😀"
    await phone.pause()
    await mine.edit(lambda text: text.insert(0, "phone "))
    await theirs.edit(lambda text: text.append(" laptop"))
    await laptop.synced(20)
    await phone.resume()
    await phone.synced(20)
    await until(lambda: str(mine) == str(theirs) == "phone नमस्ते 😀 laptop")


async def test_a_server_that_is_started_again_has_it_all(club: Served, open_client: OpenClient) -> None:
    phone = await open_client("phone", club.url, **CLUB)
    doc = await a_note(phone, "before")
    await club.stop()
    await doc.edit(lambda text: text.append(", meanwhile"))
    await club.start()
    await phone.synced(20)
    laptop = await open_client("laptop", club.url, **CLUB)
    await laptop.synced(20)
    assert [note.body for note in await laptop.collection(Note).all()] == ["before, meanwhile"]


async def test_maps_and_lists_nested_and_undone(club: Served, open_client: OpenClient) -> None:
    phone = await open_client("phone", club.url, **CLUB)
    laptop = await open_client("laptop", club.url, **CLUB)
    await phone.collection(Note).put(Note(id="n1", club="a"))
    board = await phone.document(Note, "n1", field="board")
    plan = await phone.document(Note, "n1", field="plan")
    await board.edit(lambda root: root.new_array("columns").new_map(0).new_text("title", "खुला"))
    await plan.edit(lambda root: root.append({"minutes": 10}))
    await plan.edit(lambda root: root.append("undone"))
    await plan.undo()
    await phone.synced(20)
    await laptop.synced(20)
    note = await laptop.collection(Note).get("n1")
    assert note is not None
    assert (note.board, note.plan) == ({"columns": [{"title": "खुला"}]}, [{"minutes": 10}])


async def test_a_new_life_begins_anew_with_what_the_restore_brings(club: Served, open_client: OpenClient) -> None:
    phone = await open_client("phone", club.url, **CLUB)
    laptop = await open_client("laptop", club.url, **CLUB)
    await a_note(phone, "kept")
    await laptop.synced(20)
    await phone.collection(Note).delete("n1")
    await phone.synced(20)
    await phone.collection(Note).restore("n1")
    await phone.synced(20)
    await laptop.synced(20)
    theirs = await laptop.document(Note, "n1", field="body")
    assert str(theirs) == "kept"
    await theirs.edit(lambda text: text.append("!"))
    await laptop.synced(20)
    await phone.synced(20)
    assert str(await phone.document(Note, "n1", field="body")) == "kept!"


async def test_a_script_that_blocks_edits_as_well(club: Served, open_client: OpenClient, tmp_path: Path) -> None:
    phone = await open_client("phone", club.url, **CLUB)
    doc = await a_note(phone, "from a phone")

    def script() -> str:
        with blocking.Client(club.url, replica=tmp_path / "script.db", **CLUB) as client:
            client.synced(20)
            with client.document(Note, "n1", field="body") as theirs:
                change = theirs.edit(lambda text: text.append(", from a script"))
                assert change is not None
                client.synced(20)
                assert change.settled
                return str(theirs)

    assert await asyncio.to_thread(script) == "from a phone, from a script"
    await phone.synced(20)
    assert str(doc) == "from a phone, from a script"
