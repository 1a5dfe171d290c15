"""The past: the server tells what happened and why, and an undo is a change like any other, made here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from client_sdk import Client, NoServer, NotHere, Unfit, Unreachable
from client_sdk.blocking import Client as BlockingClient
from tests.engine.club import club
from tests.support.served import Served, served


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path / "server.db", club()) as one:
        yield one


@pytest.fixture
async def client(server: Served, tmp_path: Path) -> AsyncIterator[Client]:
    async with Client(server.url, replica=tmp_path / "phone.db", app=club(), scopes=["main"]) as one:
        yield one


async def fill(client: Client) -> None:
    """A note whose title was changed once."""
    notes = client.collection("note", scope="main")
    await notes.put({"id": "x", "title": "one", "likes": 2, "tags": ["a"]})
    await client.synced(10)
    await notes.update("x", title="two", likes={"increment": 3}, tags={"add": ["b"]})
    await client.synced(10)


async def shown(client: Client) -> dict[str, object] | None:
    note = await client.collection("note").get("x")
    return note and {name: note[name] for name in ("title", "likes", "tags")}


async def test_the_history_has_every_page(client: Client) -> None:
    notes = client.collection("note", scope="main")
    await notes.put({"id": "x", "title": "0"})
    for n in range(1, 130):
        await notes.update("x", title=str(n))
    await client.synced(30)
    lines = await client.history("note", "x", field="title")
    assert [line["fields"]["title"] for line in lines] == [str(n) for n in range(130)]
    assert {line["replica"] for line in lines} == {client.replica_id}
    assert await client.history("note", "nobody") == []


async def test_it_tells_why(client: Client) -> None:
    await fill(client)
    told = await client.explain("note", "x", field="title")
    assert told["fields"][0]["value"] == "two"
    assert "law 2" in told["fields"][0]["because"]


async def test_an_undo_shows_at_once_and_arrives_like_any_other_change(client: Client) -> None:
    await fill(client)
    change = await client.undo("note", "x", version=1)
    assert await shown(client) == {"title": "one", "likes": 2, "tags": ["a"]}
    assert (await change.outcome()).kind == "applied"
    assert len(await client.history("note", "x")) == 3


async def test_of_one_change_or_one_field(client: Client) -> None:
    await fill(client)
    await client.undo("note", "x", change=(client.replica_id, 2), field="likes")
    assert await shown(client) == {"title": "two", "likes": 2, "tags": ["a", "b"]}


async def test_what_was_deleted_comes_back_and_what_was_made_goes(client: Client) -> None:
    await fill(client)
    await client.collection("note").delete("x")
    await client.synced(10)
    await client.undo("note", "x", change=(client.replica_id, 3))
    await client.synced(10)
    assert await shown(client) == {"title": "two", "likes": 5, "tags": ["a", "b"]}
    await client.undo("note", "x", change=(client.replica_id, 1))
    await client.synced(10)
    assert await shown(client) is None


async def test_an_undo_may_be_part_of_a_group(client: Client) -> None:
    await fill(client)
    async with client.group():
        await client.undo("note", "x", version=1, field="title")
        await client.collection("note", scope="main").put({"id": "y", "title": "with it"})
    await client.synced(10)
    lines = await client.history("note", "x")
    assert lines[-1]["group"]


async def test_what_cannot_be_is_a_sentence(client: Client, server: Served, tmp_path: Path) -> None:
    await fill(client)
    with pytest.raises(Unfit, match="nothing to undo"):
        await client.undo("note", "x", version=2)
    with pytest.raises(Unfit, match="history"):
        await client.undo("note", "x", change=("nobody", 1))
    async with Client(server.url, replica=tmp_path / "other.db", app=club()) as other:
        with pytest.raises(NotHere):
            await other.undo("note", "x", version=1)
    async with Client(None, replica=tmp_path / "alone.db") as alone:
        with pytest.raises(NoServer):
            await alone.history("note", "x")
    await server.stop()
    with pytest.raises(Unreachable):
        await client.explain("note", "x")


async def test_scripts_that_block_have_it_too() -> None:
    assert {"history", "explain", "undo"} <= set(dir(BlockingClient))
