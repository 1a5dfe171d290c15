"""`syncd status`: the figures of a file, at rest or in use, and what a server says of itself."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from pathlib import Path

import pytest

from syncd import __version__
from tests.commands.conftest import Run
from tests.commands.make import create, note, plant_documents, push, seed, write_export
from tests.support.server import running_server


async def test_of_a_file_in_use_it_tells_who_uses_it_and_what_is_in_it(run: Run, tmp_path: Path) -> None:
    async with running_server(tmp_path / "club.db") as server:
        changes = [create("a", n=1), create("b", "other", text="x" * 500), {"type": "note", "id": "no", "op": "fly"}]
        await push(server, "phone", changes)
        await push(server, "laptop", [{"scope": "main", "type": "note", "id": "a", "op": "delete", "base": 1}])
        status = run("status", "--database", server.database, "--rejected", 5, "--json").last
        assert (status["in_use"], status["pid"]) == (True, server.pid)
        assert status["incarnation"] == server.banner["incarnation"]
        counts = status["counts"]
        assert (counts["scopes"], counts["resources"], counts["tombstones"]) == (2, 1, 1)
        assert (counts["changes"], counts["rejected"], counts["replicas"], counts["incarnations"]) == (4, 1, 2, 1)
        assert [(scope["name"], scope["version"]) for scope in status["scopes"]] == [("other", 1), ("main", 2)]
        replicas = {replica["id"]: replica for replica in status["replicas"]}
        assert (replicas["phone"]["settled"], replicas["phone"]["rejected_in_a_row"]) == (3, 1)
        (rejected,) = status["rejected"]
        assert (rejected["replica"], rejected["n"], rejected["outcome"]["code"]) == ("phone", 3, "invalid_op")
        assert rejected["change"]["op"] == "fly"
        assert status["file_bytes"] > 0
        assert status["log_bytes"] > 0


def test_for_people_it_is_a_page_with_the_largest_and_the_latest(run: Run) -> None:
    seed(run, Path("club.db"), *(note(f"n{i}", f"scope:{i:02}", text="x" * i) for i in range(12)))
    with sqlite3.connect("club.db") as connection:
        failed_at_ms = int(time.time() * 1000) - 300_000
        connection.execute(
            f"UPDATE replicas SET clock_ahead_ms = 7200000, failed_updates = 4, failed_at_ms = {failed_at_ms}"
        )
    connection.close()
    done = run("status", "--database", "club.db", "--top", 3)
    assert done.code == 0
    assert "none is using it" in done.out
    assert "the largest 3 of 12" in done.out
    assert [f"scope:{i:02}" in done.out for i in (8, 9, 10, 11)] == [False, True, True, True]
    page = " ".join(done.out.split())
    assert "clock 2 h ahead, 4 updates of documents failed, the last 5 min ago" in page
    (replica,) = run("status", "--database", "club.db", "--json").last["replicas"]
    assert (replica["failed_updates"], replica["failed_at_ms"]) == (4, failed_at_ms)
    everything = run("status", "--database", "club.db", "--top", 0)
    assert all(f"scope:{i:02}" in everything.out for i in range(12))


def test_documents_are_counted_and_what_waits_to_be_squashed(run: Run) -> None:
    seed(run, Path("club.db"), note("a", "scope:0", n=1))
    assert "documents    none" in run("status", "--database", "club.db").out
    asyncio.run(plant_documents(Path("club.db")))
    counts = run("status", "--database", "club.db", "--json").last["counts"]
    assert {name: value for name, value in counts.items() if name.startswith("document")} == {
        "documents": 2,
        "document_updates": 4,
        "document_update_bytes": 16,
        "document_snapshot_bytes": 4,
    }
    assert "2, 4 B of snapshots and 4 updates beside them, 16 B" in run("status", "--database", "club.db").out


def test_reasons_of_rejected_changes_are_read_as_a_sentence(run: Run) -> None:
    path = write_export(Path("in.jsonl"), note("a", n=1))
    run("import", path, "--database", "club.db", "--app", "syncd.apps.grassroots:app")
    done = run("status", "--database", "club.db", "--rejected", 1)
    assert "note a in main: this app has no type 'note' (unknown_type)" in done.out


def test_an_empty_database_has_a_status_too(run: Run) -> None:
    assert run("migrate", "--database", "club.db").code == 0
    done = run("status", "--database", "club.db")
    assert done.code == 0
    assert "the last never" in done.out


def test_no_database_another_programs_and_a_newer_one_are_sentences(run: Run) -> None:
    done = run("status", "--database", "club.db", "--json")
    assert (done.code, done.last["code"]) == (2, "no_database")
    Path("notes.txt").write_text("not a database " * 100)
    assert run("status", "--database", "notes.txt").code == 1
    run("migrate", "--database", "club.db")
    with sqlite3.connect("club.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    done = run("status", "--database", "club.db", "--json")
    assert (done.code, done.last["code"]) == (1, "schema_too_new")


async def test_of_a_server_it_tells_version_health_clock_and_limits(run: Run, tmp_path: Path) -> None:
    async with running_server(tmp_path / "club.db", app="syncd.apps.grassroots:app") as server:
        done = await asyncio.to_thread(run, "status", "--url", server.url + "/", "--json")
        status = done.last
        assert (done.code, status["ready"], status["version"], status["app"]) == (0, True, __version__, "grassroots")
        assert status["limits"]["max_scopes"] == 200
        assert abs(status["clock_offset_ms"]) < 1000
        page = await asyncio.to_thread(run, "status", "--url", server.url)
        assert "as this machine's" in page.out
        assert "max_changes 1,000" in page.out
        # The file is taken away under it: alive, but not ready.
        server.database.rename(tmp_path / "elsewhere.db")
        # What was found out counts for a second.
        await asyncio.sleep(1.1)
        done = await asyncio.to_thread(run, "status", "--url", server.url)
        assert done.code == 1
        assert "not ready" in done.out
        await server.stop()
        assert (await asyncio.to_thread(run, "status", "--url", server.url)).code == 1


@pytest.mark.parametrize(
    "body", ["<html>Welcome to the stadium's network</html>", "[]", "{}", '{"syncd":"0.1.0"}', '{"syncd":1,"limits":2}']
)
async def test_what_is_no_syncd_is_a_sentence(run: Run, body: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write((head + body).encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        for command in (["status"], ["doctor"], ["import", write_export(Path("in.jsonl"))]):
            done = await asyncio.to_thread(run, *command, "--url", f"http://127.0.0.1:{port}")
            assert done.code == 1
            assert "is not a syncd" in done.out + done.err


def test_both_a_file_and_a_server_are_wrong_usage(run: Run) -> None:
    assert run("status", "--database", "club.db", "--url", "http://127.0.0.1:9").code == 2
