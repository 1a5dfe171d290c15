"""The local file: durable, held by one, refused with a sentence when it cannot be used."""

from __future__ import annotations

import json
import multiprocessing
import sqlite3
import sys
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from client_sdk import Client, FileInUse, FileTooNew, FileUnusable
from client_sdk.local_rows import ChangeRow, ReplicaRow, ResourceRow, ScopeRow
from client_sdk.local_store import LocalStore
from conflict_rules.scrubbed import scrubber_replica


async def pragma(store: LocalStore, name: str) -> object:
    return (await store._rows(f"PRAGMA {name}"))[0][0]


async def test_a_commit_is_on_the_disk_before_it_returns(tmp_path: Path) -> None:
    store = await LocalStore.open(tmp_path / "phone.db", "r")
    assert await pragma(store, "journal_mode") == "wal"
    assert await pragma(store, "synchronous") == 2  # FULL
    await store.close()


async def test_the_replica_id_is_made_once_and_kept(tmp_path: Path) -> None:
    for made in ("first", "second"):
        store = await LocalStore.open(tmp_path / "phone.db", made)
        assert (await store.replica()).id == "first"
        await store.close()


async def test_everything_written_reads_back(tmp_path: Path) -> None:
    store = await LocalStore.open(tmp_path / "phone.db", "r")
    replica = ReplicaRow("r2", 7, "a", "b", -3, "sam")
    change = ChangeRow(1, "r", 1, "{}", 5, None, True)
    scope = ScopeRow("main", True, "c1", 9, 2, True, 3, frozenset({"note", "event"}), True, True)
    resource = ResourceRow("note", "x", "main", 9, 2, "{}")
    async with store.transaction():
        await store.save_replica(replica)
        await store.add_changes([change])
        await store.save_scope(scope)
        await store.save_resources([resource])
    await store.close()
    store = await LocalStore.open(tmp_path / "phone.db", "other")
    assert await store.replica() == replica
    assert await store.open_changes() == [change]
    assert await store.change("r", 1) == change
    assert await store.scopes() == [scope]
    assert await store.resource("note", "x") == resource
    assert await store.resources("note", "main") == [resource]
    assert await store.resources("note", "other") == []
    await store.close()


async def test_a_transaction_that_fails_leaves_no_trace(tmp_path: Path) -> None:
    store = await LocalStore.open(tmp_path / "phone.db", "r")
    change = ChangeRow(1, "r", 1, "{}", 5, None, True)

    async def write(*changes: ChangeRow) -> None:
        async with store.transaction():
            await store.save_scope(ScopeRow("main"))
            await store.add_changes(changes)
            _ = 1 // (1 - len(changes))

    with pytest.raises(FileUnusable, match="UNIQUE"):
        await write(change, change)
    with pytest.raises(ZeroDivisionError):
        await write(change)
    assert await store.scopes() == []
    assert await store.open_changes() == []
    await store.close()


async def test_an_older_state_never_replaces_a_newer_one(tmp_path: Path) -> None:
    store = await LocalStore.open(tmp_path / "phone.db", "r")
    for version in (5, 6, 3):
        async with store.transaction():
            await store.save_resources([ResourceRow("note", "x", "main", version, 0, str(version))])
    found = await store.resource("note", "x")
    assert found is not None
    assert found.body == "6"
    await store.close()


async def test_a_fresh_snapshot_replaces_higher_versions_and_purges_what_it_did_not_meet(tmp_path: Path) -> None:
    """Law 10: after the server was restored, versions are lower than those that are held."""
    store = await LocalStore.open(tmp_path / "phone.db", "r")
    async with store.transaction():
        await store.save_resources(ResourceRow("note", each, "main", 900, 0, "old") for each in ("x", "y"))
        await store.save_resources([ResourceRow("note", "z", "other", 900, 0, "old")])
    async with store.transaction():
        await store.save_resources([ResourceRow("note", "x", "main", 850, 1, "new")])
        await store.purge("main", 1)
    assert [(row.id, row.version) for row in await store.resources("note", None)] == [("x", 850), ("z", 900)]
    await store.close()


async def test_what_is_settled_is_forgotten_after_ten_thousand_more_but_rejections_stay(tmp_path: Path) -> None:
    store = await LocalStore.open(tmp_path / "phone.db", "r")
    async with store.transaction():
        await store.add_changes(ChangeRow(n, "r", n, "{}", 0, None, True) for n in range(1, 10_005))
        await store.settle([(1, "{}", "applied", False), (2, "{}", "rejected", False), (3, "{}", "applied", True)])
        await store.forget_old_outcomes()
    assert await store.change("r", 1) is None
    assert await store.change("r", 2) is not None
    assert await store.change("r", 3) is not None, "the view still replays it"
    assert await store.change("r", 4) is not None, "it waits"
    await store.close()


def _hold(path: str, pipe: Connection) -> None:
    import asyncio

    async def hold() -> None:
        async with Client(None, replica=path):
            pipe.send("held")
            pipe.recv()

    asyncio.run(hold())


async def test_a_file_that_another_process_holds_is_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "phone.db"
    ours, theirs = multiprocessing.Pipe()
    other = multiprocessing.get_context("spawn").Process(target=_hold, args=(str(path), theirs))
    other.start()
    try:
        assert ours.poll(30)
        with pytest.raises(FileInUse, match=r"phone\.db is held by another process"):
            await LocalStore.open(path, "r")
    finally:
        ours.send("let go")
        other.join(10)
        ours.close()
        theirs.close()
    store = await LocalStore.open(path, "r")
    await store.close()


async def test_two_clients_of_one_process_do_not_share_a_file_either(tmp_path: Path) -> None:
    async with Client(None, replica=tmp_path / "phone.db"):
        with pytest.raises(FileInUse):
            await Client(None, replica=tmp_path / "phone.db").__aenter__()


async def test_a_file_of_a_newer_sdk_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "phone.db"
    await (await LocalStore.open(path, "r")).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(FileTooNew, match="format 99"):
        await LocalStore.open(path, "r")


@pytest.mark.parametrize("content", [b"this is a letter, not a database, and rather a long one at that" * 20])
async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "letter.txt"
    path.write_bytes(content)
    with pytest.raises(FileUnusable, match="not a database"):
        await LocalStore.open(path, "r")
    assert path.read_bytes() == content


@pytest.mark.parametrize("version", [0, 1])
async def test_a_database_of_something_else_is_refused_and_left_alone(tmp_path: Path, version: int) -> None:
    path = tmp_path / "music.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE song (name)")
        database.execute(f"PRAGMA user_version = {version}")
    database.close()
    with pytest.raises(FileUnusable, match="something else"):
        await LocalStore.open(path, "r")
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == [("song",)]
    database.close()


async def test_a_folder_that_is_not_there_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(FileUnusable, match="cannot be used"):
        await LocalStore.open(tmp_path / "nowhere" / "phone.db", "r")


@pytest.mark.skipif(sys.platform == "win32", reason="file modes")
async def test_a_put_that_the_disk_refuses_is_told_and_takes_no_number(tmp_path: Path) -> None:
    async with Client(None, replica=tmp_path / "phone.db") as client:
        notes = client.collection("note")
        await notes.put({"id": "x"})
        store = client._opened().store
        pages = await pragma(store, "page_count")
        await store._rows(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(FileUnusable, match="full"):
            await notes.put({"id": "big", "text": "x" * 200_000})
        assert await notes.get("big") is None
        await store._rows("PRAGMA max_page_count = 1000000")
        assert (await notes.put({"id": "y"})).n == 2


async def test_a_file_of_the_format_before_is_taken_over_with_nobody_and_no_scope_gone(tmp_path: Path) -> None:
    path = tmp_path / "phone.db"
    replica, scope = ReplicaRow("r", 7, "a", "b", -3, "sam"), ScopeRow("main", True, "c1", 9, 2, False, 3)
    change = ChangeRow(1, "r", 6, "{}", 5, None, True)
    store = await LocalStore.open(path, "r")
    async with store.transaction():
        await store.save_replica(replica)
        await store.save_scope(scope)
        await store.add_changes([change])
    await store.close()
    with sqlite3.connect(path) as database:
        for table, column in (("scopes", "gone"), ("scopes", "granted"), ("replica", "user")):
            database.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        database.execute("PRAGMA user_version = 5")
    database.close()
    for _ in range(2):
        store = await LocalStore.open(path, "other")
        assert await store.replica() == replace(replica, user="")
        assert await store.scopes() == [scope]
        assert await store.open_changes() == [change]
        await store.close()


async def test_an_emptied_scope_keeps_its_row_and_nothing_else(tmp_path: Path) -> None:
    store = await LocalStore.open(tmp_path / "phone.db", "r")
    scope = ScopeRow("main", cursor="c1", version=9)
    living = ResourceRow("note", "x", "main", 8, 0, "{}")
    tombstone = ResourceRow("note", "x", "main", 9, 0, '{"deleted":true}')
    elsewhere = ResourceRow("note", "y", "other", 1, 0, "{}")
    async with store.transaction():
        await store.save_scope(scope)
        await store.save_resources([living, elsewhere])
        await store.save_resources([tombstone])
    assert await store.last_living("note", "x") == "{}"
    async with store.transaction():
        await store.empty_scope("main")
    assert await store.resources(None, None) == [elsewhere]
    assert await store.last_living("note", "x") is None
    assert await store.scopes() == [scope]
    await store.close()


async def test_what_the_server_took_out_is_not_kept_to_be_restored(tmp_path: Path) -> None:
    store = await LocalStore.open(tmp_path / "phone.db", "r")

    def row(name: str, version: int, replica: str, **more: object) -> ResourceRow:
        body = json.dumps({"origin": [replica, 1], **more}, separators=(",", ":"))
        return ResourceRow("note", name, "main", version, 0, body)

    async with store.transaction():
        await store.save_resources([row("was deleted", 1, "phone"), row("lives", 2, "phone")])
        await store.save_resources([row("was deleted", 3, "phone", deleted=True)])
    assert await store.last_living("note", "was deleted") is not None
    async with store.transaction():
        scrubber = scrubber_replica("i1")
        await store.save_resources([row(name, 4, scrubber, deleted=True) for name in ("was deleted", "lives")])
    for name in ("was deleted", "lives"):
        assert await store.last_living("note", name) is None
    await store.close()
