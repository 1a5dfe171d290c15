"""`syncd restore`: a backup in the place of a database, the old one kept, and every device told (law 10)."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from client_sdk import Client
from tests.commands.conftest import Run
from tests.commands.make import create, export_of, note, pull, push, seed
from tests.support.server import ServerProcess, running_server


async def cursor_of(server: ServerProcess) -> str:
    return str((await pull(server, "main", None))["cursor"])


async def test_devices_ahead_of_a_backup_of_the_running_incarnation_are_told_to_start_over(
    run: Run, tmp_path: Path
) -> None:
    async with running_server(tmp_path / "club.db") as server:
        await push(server, "a", [create(f"a{i}") for i in range(5)])
        early = await cursor_of(server)
        assert run("backup", tmp_path / "copy.db", "--database", server.database).code == 0
        await push(server, "b", [create(f"b{i}") for i in range(5)])
        ahead = await cursor_of(server)

        held = run("restore", tmp_path / "copy.db", "--database", server.database, "--json")
        assert (held.code, held.last["code"]) == (1, "database_in_use")
        assert "Stop it first" in held.last["hint"]
        assert len((await pull(server, "main", None))["resources"]) == 10, "and the server goes on as before"

        before = server.banner["incarnation"]
        await server.stop()
        done = run("restore", tmp_path / "copy.db", "--database", server.database, "--json")
        assert (done.code, done.last["changes"], done.last["changes_before"]) == (0, 5, 10)
        await server.start()
        assert server.banner["incarnation"] != before
        for _ in range(2):
            page = await pull(server, "main", ahead)
            assert page.get("reset") is True, "also once the restored server has passed it"
            page = await pull(server, "main", early)
            assert "reset" not in page, "who is not ahead goes on"
            settled = run("status", "--database", server.database, "--json").last["counts"]["changes"]
            await push(server, f"c{settled}", [create(f"c{settled}-{i}") for i in range(10)])
        assert len((await pull(server, "main", early))["resources"]) == 20


async def test_restoring_the_same_backup_twice_makes_two_pasts(run: Run, tmp_path: Path) -> None:
    async with running_server(tmp_path / "club.db") as server:
        await push(server, "a", [create("a")])
        assert run("backup", tmp_path / "copy.db", "--database", server.database).code == 0
        cursors = []
        for name in ("first", "second"):
            await server.stop()
            assert run("restore", tmp_path / "copy.db", "--database", server.database).code == 0
            await server.start()
            await push(server, name, [create(name)])
            cursors.append(await cursor_of(server))
        assert cursors[0].partition(".")[2] == cursors[1].partition(".")[2], "the same version"
        assert (await pull(server, "main", cursors[0])).get("reset") is True
        assert (await pull(server, "main", cursors[1])).get("reset") is None


async def test_a_phone_sends_again_what_the_backup_has_lost_and_nothing_twice(run: Run, tmp_path: Path) -> None:
    async with running_server(tmp_path / "club.db") as server:
        async with Client(server.url, replica=tmp_path / "phone.db", scopes=["main"]) as phone:
            notes = phone.collection("note", scope="main")
            kept = await notes.put({"text": "in the backup"})
            await phone.synced()
            assert run("backup", tmp_path / "copy.db", "--database", server.database).code == 0
            lost = await notes.put({"text": "acknowledged, and not in the backup"})
            assert (await lost.outcome()).kind.took_effect
            assert (await kept.outcome()).kind.took_effect
            await phone.pause()
            await server.stop()
            assert run("restore", tmp_path / "copy.db", "--database", server.database).code == 0
            await server.start()
            await notes.put({"text": "made meanwhile"})
            await phone.resume()
            await phone.synced()
            shown = sorted(str(each["text"]) for each in await notes.all())
        there = await pull(server, "main", None)
        texts = ["acknowledged, and not in the backup", "in the backup", "made meanwhile"]
        assert sorted(state["fields"]["text"] for state in there["resources"]) == texts
        assert shown == texts


async def test_what_a_killed_server_had_only_in_its_log_is_kept_aside_and_does_not_get_into_the_backup(
    run: Run, tmp_path: Path
) -> None:
    async with running_server(tmp_path / "club.db") as server:
        await push(server, "a", [create("a")])
        assert run("backup", tmp_path / "copy.db", "--database", server.database).code == 0
        await push(server, "b", [create("b")])
        await server.kill()
    assert (tmp_path / "club.db-wal").stat().st_size > 0
    done = run("restore", tmp_path / "copy.db", "--database", tmp_path / "club.db", "--json")
    assert done.code == 0
    kept = Path(done.last["kept"])
    assert kept.name.startswith("club.db-before-restore-")
    assert [line["id"] for line in export_of(run, kept)] == ["a", "b"]
    assert [line["id"] for line in export_of(run, tmp_path / "club.db")] == ["a"]


def test_a_damaged_database_is_replaced_and_kept_with_its_log(run: Run) -> None:
    seed(run, Path("good.db"), note("a", n=1))
    assert run("backup", "copy.db", "--database", "good.db").code == 0
    Path("club.db").write_bytes(b"rubbish" * 1000)
    Path("club.db-wal").write_bytes(b"rubbish too")
    done = run("restore", "copy.db", "--database", "club.db")
    assert done.code == 0
    assert "what is in it cannot be told" in done.out
    assert export_of(run, Path("club.db")) == [note("a", n=1)]
    (kept,) = Path().glob("club.db-before-restore-*Z")
    assert kept.read_bytes() == b"rubbish" * 1000
    assert Path(f"{kept}-wal").read_bytes() == b"rubbish too"


def test_where_there_was_no_database_a_log_left_behind_is_not_taken_for_its_own(run: Run) -> None:
    seed(run, Path("good.db"), note("a", n=1))
    assert run("backup", "copy.db", "--database", "good.db").code == 0
    with sqlite3.connect("other.db", isolation_level=None) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("CREATE TABLE t (x)")
        Path("club.db-wal").write_bytes(Path("other.db-wal").read_bytes())
    other.close()
    done = run("restore", "copy.db", "--database", "club.db", "--json")
    assert (done.code, done.last["kept"]) == (0, None)
    assert export_of(run, Path("club.db")) == [note("a", n=1)]
    assert run("doctor", "--database", "club.db").code == 0


def test_the_file_stays_as_open_to_others_as_it_was(run: Run) -> None:
    seed(run, Path("club.db"), note("a", n=1))
    assert run("backup", "copy.db", "--database", "club.db").code == 0
    Path("club.db").chmod(0o660)
    Path("copy.db").chmod(0o400)
    assert run("restore", "copy.db", "--database", "club.db").code == 0
    assert Path("club.db").stat().st_mode & 0o777 == 0o660


def test_twice_in_a_second_two_files_are_kept(run: Run) -> None:
    seed(run, Path("club.db"), note("a", n=1))
    assert run("backup", "copy.db", "--database", "club.db").code == 0
    kept = {run("restore", "copy.db", "--database", "club.db", "--json").last["kept"] for _ in range(3)}
    assert len(kept) == 3
    assert all(Path(name).is_file() for name in kept)


def test_through_another_name_the_file_itself_is_replaced(run: Run) -> None:
    seed(run, Path("club.db"), note("a", n=1))
    assert run("backup", "copy.db", "--database", "club.db").code == 0
    seed(run, Path("club.db"), note("b", n=1))
    Path("link.db").symlink_to("club.db")
    assert run("restore", "copy.db", "--database", "link.db").code == 0
    assert Path("link.db").is_symlink()
    assert export_of(run, Path("club.db")) == [note("a", n=1)]


@pytest.mark.parametrize("what", ["nothing", "rubbish", "another program's", "newer", "damaged", "itself"])
def test_what_is_no_backup_changes_nothing(run: Run, what: str) -> None:
    seed(run, Path("club.db"), *(note(f"n{i}", text="x" * 1000) for i in range(50)))
    before = export_of(run, Path("club.db"))
    copy = Path("copy.db")
    if what == "rubbish":
        copy.write_text("not a database " * 100)
    elif what == "another program's":
        with sqlite3.connect(copy) as connection:
            connection.execute("CREATE TABLE t (x)")
        connection.close()
    elif what != "nothing":
        assert run("backup", copy, "--database", "club.db").code == 0
    if what == "newer":
        with sqlite3.connect(copy) as connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.close()
    elif what == "damaged":
        with copy.open("r+b") as file:
            file.seek(8 * 4096)
            file.write(b"\xff" * 4096)
    done = run("restore", "club.db" if what == "itself" else copy, "--database", "club.db")
    assert done.code in (1, 2)
    assert done.err
    assert export_of(run, Path("club.db")) == before
    assert list(Path().glob("*before-restore*")) == []
    assert list(Path().glob(".*partial*")) == []
