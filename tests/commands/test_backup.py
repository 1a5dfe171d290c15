"""`syncd backup`: one file of one moment, checked, whatever the server does meanwhile."""

from __future__ import annotations

import asyncio
import sqlite3
from itertools import count
from pathlib import Path

import pytest

from syncd.store import sqlite_backup
from tests.commands.conftest import Run
from tests.commands.make import create, export_of, note, push, seed
from tests.support.server import running_server


def names() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


async def test_beside_a_server_that_is_written_to_it_has_all_of_one_moment(run: Run, tmp_path: Path) -> None:
    await asyncio.to_thread(seed, run, tmp_path / "club.db", *(note(f"n{i}", text="x" * 20_000) for i in range(300)))
    async with running_server(tmp_path / "club.db") as server:
        done = asyncio.Event()
        acknowledged = 0

        async def write() -> None:
            nonlocal acknowledged
            for n in count(1):
                if done.is_set():
                    return
                # Both or neither: a group, of a scope each.
                pair = [{**create(f"{scope}{n}", scope, n=n), "group": f"g{n}"} for scope in ("left", "right")]
                await push(server, "phone", pair, first_n=2 * n - 1)
                acknowledged = n

        writer = asyncio.create_task(write())
        while acknowledged < 5:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        before = acknowledged
        made = await asyncio.to_thread(run, "backup", tmp_path / "copy.db", "--database", server.database, "--json")
        done.set()
        await writer
        assert made.last == {
            "event": "backed_up",
            "database": str(server.database),
            "file": str(tmp_path / "copy.db"),
            "bytes": (tmp_path / "copy.db").stat().st_size,
        }
    left, right = (export_of(run, tmp_path / "copy.db", scope) for scope in ("left", "right"))
    assert before <= len(left) <= acknowledged
    assert [line["id"] for line in left] == [f"left{n}" for n in range(1, len(left) + 1)]
    assert len(left) == len(right)
    assert run("doctor", "--database", tmp_path / "copy.db").code == 0


def test_the_copy_is_one_file_as_closed_to_others_as_the_database(run: Run) -> None:
    seed(run, Path("club.db"), note("a", n=1))
    Path("club.db").chmod(0o600)
    before = set(names())
    assert run("backup", "copy.db", "--database", "club.db").code == 0
    assert set(names()) - before - {"club.db-wal", "club.db-shm"} == {"copy.db"}
    assert Path("copy.db").stat().st_mode & 0o777 == 0o600
    assert Path("copy.db").read_bytes()[18:20] == b"\x01\x01", "it needs no log beside it"


def test_nothing_is_overwritten_unless_it_is_asked_for(run: Run) -> None:
    seed(run, Path("club.db"), note("a", n=1))
    Path("copy.db").write_text("precious")
    done = run("backup", "copy.db", "--database", "club.db", "--json")
    assert (done.code, done.last["code"]) == (1, "file_exists")
    assert Path("copy.db").read_text() == "precious"
    assert run("backup", "copy.db", "--database", "club.db", "--force").code == 0
    assert export_of(run, Path("copy.db")) == [note("a", n=1)]


def test_a_file_that_came_meanwhile_is_not_overwritten_either(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seed(run, Path("club.db"), note("a", n=1))
    sync = sqlite_backup._sync_file

    def somebody_is_quicker(path: Path) -> None:
        sync(path)
        Path("copy.db").write_text("precious")

    monkeypatch.setattr(sqlite_backup, "_sync_file", somebody_is_quicker)
    assert run("backup", "copy.db", "--database", "club.db").code == 1
    assert Path("copy.db").read_text() == "precious"
    assert [name for name in names() if "partial" in name] == []


def test_a_damaged_database_makes_no_backup(run: Run) -> None:
    seed(run, Path("club.db"), *(note(f"n{i}", text="x" * 1000) for i in range(50)))
    with Path("club.db").open("r+b") as file:
        file.seek(8 * 4096)
        file.write(b"\xff" * 4096)
    done = run("backup", "copy.db", "--database", "club.db", "--json")
    assert (done.code, done.last["code"]) == (1, "store_corrupt")
    assert not Path("copy.db").exists()
    assert [name for name in names() if "partial" in name] == []


def test_what_cannot_be_is_a_sentence(run: Run) -> None:
    assert run("backup", "copy.db", "--database", "nowhere.db").code == 2
    seed(run, Path("club.db"), note("a", n=1))
    done = run("backup", "nowhere/copy.db", "--database", "club.db")
    assert done.code == 1
    assert "Nothing can be written" in done.err
    done = run("backup", "club.db", "--database", "club.db", "--force")
    assert done.code == 1
    assert "the database itself" in done.err
    assert export_of(run, Path("club.db")) == [note("a", n=1)]


def test_a_full_disk_is_a_sentence_and_leaves_nothing_behind(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seed(run, Path("club.db"), note("a", n=1))
    connect = sqlite3.connect

    def small_disk(name: object, **options: object) -> sqlite3.Connection:
        connection = connect(name, **options)  # type: ignore[call-overload]
        if "partial" in str(name):
            connection.execute("PRAGMA max_page_count = 2")
        return connection

    monkeypatch.setattr(sqlite_backup.sqlite3, "connect", small_disk)
    done = run("backup", "copy.db", "--database", "club.db", "--json")
    assert done.code == 1
    assert "the disk is full" in done.last["message"]
    assert [name for name in names() if "copy" in name] == []
