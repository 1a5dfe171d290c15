"""Local reads and writes are fast: a put is one local commit, a get one indexed read. Counted, not timed."""

from __future__ import annotations

from client_sdk import Client
from tests.client_sdk.conftest import OpenClient


async def trace(client: Client) -> list[str]:
    """Every statement that the file is given from now on."""
    assert client._replica is not None
    statements: list[str] = []
    await client._replica.store._connection.trace(statements.append)
    return statements


def commits(statements: list[str]) -> int:
    return sum(statement.startswith("COMMIT") for statement in statements)


async def test_a_put_is_one_read_and_one_commit(open_client: OpenClient) -> None:
    client = await open_client("phone")
    notes = client.collection("note", scope="main")
    statements = await trace(client)
    await notes.put({"id": "x", "text": "a"})
    assert [statement.split()[0] for statement in statements] == ["SELECT", "BEGIN", "INSERT", "UPDATE", "COMMIT"]


async def test_updates_deletes_and_groups_are_one_commit_each(open_client: OpenClient) -> None:
    client = await open_client("phone")
    notes = client.collection("note", scope="main")
    await notes.put({"id": "x"})
    statements = await trace(client)
    await notes.update("x", text="b")
    await notes.delete("x")
    async with client.group():
        for index in range(10):
            await notes.put({"id": f"n{index}"})
    assert commits(statements) == 3


async def test_a_get_is_one_read_by_key(open_client: OpenClient) -> None:
    client = await open_client("phone")
    notes = client.collection("note", scope="main")
    await notes.put({"id": "x"})
    statements = await trace(client)
    assert await notes.get("x") is not None
    assert len(statements) == 1
    assert client._replica is not None
    plan = await client._replica.store._rows(f"EXPLAIN QUERY PLAN {statements[0]}")
    assert [row[3].split()[0] for row in plan] == ["SEARCH"], plan


async def test_all_of_a_scope_is_one_read_by_an_index(open_client: OpenClient) -> None:
    client = await open_client("phone")
    notes = client.collection("note", scope="main")
    for index in range(5):
        await notes.put({"id": f"n{index}"})
    statements = await trace(client)
    assert len(await notes.all()) == 5
    assert len(statements) == 1
    assert client._replica is not None
    plan = await client._replica.store._rows(f"EXPLAIN QUERY PLAN {statements[0]}")
    assert plan[0][3].startswith("SEARCH resources USING INDEX")
