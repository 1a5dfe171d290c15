"""Several scopes: the lower priority is brought first, and one that is refused holds up none of the others."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

from client_sdk import Client
from client_sdk.progress import Progress
from tests.client_sdk.conftest import QUICK, OpenClient
from tests.support.scripted_server import nothing_new, problem, scripted_server
from tests.support.served import Served


async def fill(open_client: OpenClient, url: str, *scopes: str) -> None:
    writer = await open_client("writer", url, scopes=[])
    for scope in scopes:
        for index in range(30):
            await writer.collection("note", scope=scope).put({"id": f"{scope}-{index}", "text": "x" * 300})
    await writer.synced()


async def test_are_brought_in_the_order_of_their_priorities(server: Served, open_client: OpenClient) -> None:
    await fill(open_client, server.url, "archive", "match", "today")
    async with open_paused(server.url, server.database.with_name("phone.db")) as phone:
        told: list[Progress] = []
        phone.on_progress(told.append)
        await phone.follow("archive", priority=9)
        await phone.follow("match", priority=5)
        await phone.follow("today", priority=-1)
        assert list(phone.scopes) == ["today", "match", "archive"]
        await phone.resume()
        await phone.synced()
        ends = [each.scope for each in told if each.complete]
        assert ends == ["today", "match", "archive"]


def open_paused(url: str, path: Path) -> PausedClient:
    return PausedClient(url, replica=path, timing=QUICK, dice=random.Random(1))


class PausedClient(Client):
    """Opens paused, with small pages."""

    async def __aenter__(self) -> PausedClient:
        await super().__aenter__()
        await self.pause()
        assert self._loop is not None
        self._loop._pull._portion._bytes = 2000
        return self


async def test_priorities_are_kept_and_may_be_changed(open_client: OpenClient) -> None:
    phone = await open_client("phone", scopes={"a": 3, "b": 1, "c": 1})
    assert list(phone.scopes) == ["b", "c", "a"]
    await phone.follow("a", priority=0)
    await phone.close()
    phone = await open_client("phone", scopes=["a", "b"])
    assert list(phone.scopes) == ["a", "b", "c"]


async def test_one_that_the_server_refuses_holds_up_none_whatever_its_priority(open_client: OpenClient) -> None:
    async with scripted_server() as scripted:

        def picky(request: object) -> object:
            assert isinstance(request, dict)
            if "bad" in request["scopes"]:
                return problem(400, "invalid_scope")(request)
            return nothing_new(request)

        scripted.answer["pull"] = picky  # type: ignore[assignment]
        phone = await open_client("phone", scripted.url, scopes={"bad": -1, "good": 0, "better": 1})
        assert phone._loop is not None
        pull = phone._loop._pull
        await phone._pulse.until(lambda: {"good", "better"} <= set(pull._done))
        assert "bad" not in pull._done


async def test_a_file_of_the_first_format_is_taken_over(open_client: OpenClient, tmp_path: Path) -> None:
    phone = await open_client("phone", scopes=["main"])
    await phone.collection("note", scope="main").put({"id": "x"})
    await phone.close()
    with sqlite3.connect(tmp_path / "phone.db") as database:
        database.execute("ALTER TABLE scopes DROP COLUMN priority")
        database.execute("DROP TABLE imported")
        for table in ("last_living", "documents", "document_updates", "document_echoes"):
            database.execute(f"DROP TABLE {table}")
        for table, column in (("scopes", "types"), ("scopes", "gone"), ("scopes", "granted"), ("replica", "user")):
            database.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        database.execute("PRAGMA user_version = 1")
    database.close()
    phone = await open_client("phone")
    assert list(phone.scopes) == ["main"]
    assert phone.status.pending == 1
    await phone.follow("main", priority=2)
