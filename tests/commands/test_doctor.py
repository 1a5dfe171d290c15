"""`syncd doctor`: each fault is planted, named, and comes with the command that mends it."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from syncd.commands import checks
from syncd.store.migrate import REVISIONS
from syncd.store.protocol import Commit, DocumentKey
from syncd.store.sqlite import SqliteStore
from tests.commands.conftest import Done, Run
from tests.commands.make import create, export_of, note, plant_documents, push, seed, write_export
from tests.conformance.rows import update_row
from tests.support.server import running_server

DATABASE = Path("club.db")


@pytest.fixture(autouse=True)
def club(run: Run) -> None:
    """A sound database with two scopes, at rest."""
    seed(run, DATABASE, *(note(f"n{i}", f"scope:{i % 2}", n=i, text="x" * 200) for i in range(40)))


def alter(*statements: str) -> None:
    connection = sqlite3.connect(DATABASE, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def examine(run: Run, *more: object) -> Done:
    return run("doctor", "--database", DATABASE, "--json", *more)


def found(done: Done) -> dict[str, dict[str, Any]]:
    """What is not well, by check."""
    return {fact["check"]: fact for fact in done.facts[:-1] if fact["level"] != "ok"}


def the_only(done: Done, level: str) -> dict[str, Any]:
    assert done.code == (1 if level == "fault" else 0), done
    (finding,) = found(done).values()
    assert finding["level"] == level
    assert finding["fix"]
    return finding


def test_a_sound_database_passes_every_check(run: Run) -> None:
    done = examine(run)
    assert (done.code, done.last) == (0, {"event": "examined", "ok": True, "faults": 0, "warnings": 0})
    assert {fact["check"] for fact in done.facts[:-1]} == {"schema", "lock", *checks.CHECKS}
    assert "All is well." in run("doctor", "--database", DATABASE).out


def test_a_digest_that_is_wrong_is_named_and_repaired(run: Run) -> None:
    alter("UPDATE scopes SET digest = zeroblob(16) WHERE name = 'scope:1'")
    finding = the_only(examine(run), "fault")
    assert (finding["check"], finding["fix"]) == ("digests", f"syncd doctor --database {DATABASE.resolve()} --repair")
    assert "scope:1" in finding["message"]
    repaired = examine(run, "--repair")
    assert (repaired.code, found(repaired)["digests"]["level"]) == (0, "mended")
    assert (examine(run).code, found(examine(run))) == (0, {})


def test_a_state_that_was_changed_by_hand_is_a_digest_that_is_wrong(run: Run) -> None:
    alter("UPDATE states SET body = CAST(replace(body, '\"n\":3', '\"n\":4') AS BLOB) WHERE id = 'n3'")
    assert the_only(examine(run), "fault")["check"] == "digests"


@pytest.mark.parametrize("body", ["'rubbish'", "'{}'", "replace(body, '\"n4\"', '\"n5\"')"])
def test_a_state_that_cannot_be_read_is_no_matter_for_a_repair(run: Run, body: str) -> None:
    alter(f"UPDATE states SET body = CAST({body} AS BLOB) WHERE id = 'n4'")
    for more in ([], ["--repair"]):
        finding = the_only(examine(run, *more), "fault")
        assert "note n4 in scope:0" in finding["message"]
        assert "syncd restore" in finding["fix"]


@pytest.mark.parametrize(
    ("statement", "check", "names"),
    [
        ("UPDATE scopes SET version = 21 WHERE name = 'scope:0'", "versions", "scope:0 (at 21, states to 20"),
        ("UPDATE changes SET version = 99 WHERE n = 1", "versions", "ledger to 99"),
        ("UPDATE replicas SET settled = 41", "numbers", "settled to 41, 40 from 1 to 40"),
        ("DELETE FROM changes WHERE n = 7", "numbers", "settled to 40, 39 from 1 to 40"),
    ],
)
def test_a_gap_is_named(run: Run, statement: str, check: str, names: str) -> None:
    alter(statement)
    finding = the_only(examine(run), "fault")
    assert finding["check"] == check
    assert names in finding["message"]
    assert "syncd restore" in finding["fix"]


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        (
            "DELETE FROM documents WHERE field = 'body'",
            "kept body (it is gone), updates or a snapshot without a document.",
        ),
        ("DELETE FROM document_updates WHERE seq = 5", "note plan body (updates are missing)"),
        ("DELETE FROM document_updates WHERE seq = 4", "note plan body (updates are missing)"),
        ("UPDATE documents SET seq = 6 WHERE id = 'plan'", "note plan body (updates are missing)"),
        ("DELETE FROM document_snapshots", "note plan body (its snapshot is missing"),
        ("UPDATE documents SET snapshot_seq = 0 WHERE id = 'plan'", "note plan body (updates are missing), note plan"),
        ("UPDATE documents SET since = 20 WHERE id = 'kept'", "note kept body (its resource is gone, or says"),
        ("UPDATE documents SET id = 'other' WHERE id = 'kept'", "note kept body (it is gone), note other body (its"),
        ("INSERT INTO document_snapshots VALUES (99, x'00')", "not whole: updates or a snapshot without a document."),
        ("UPDATE documents SET waiting = 9 WHERE id = 'kept'", "note kept body (its log has more or less"),
        ("UPDATE document_updates SET body = x'' WHERE seq = 1", "(its log has more or less"),
    ],
)
def test_documents_that_are_not_whole_are_named(run: Run, statement: str, names: str) -> None:
    asyncio.run(plant_documents(DATABASE))
    assert examine(run, "--repair").code == 0, "the digests did not know of what was planted"
    assert found(examine(run)) == {}
    alter(statement)
    finding = the_only(examine(run), "fault")
    assert finding["check"] == "documents"
    assert names in finding["message"]
    assert "syncd restore" in finding["fix"]


def test_a_document_that_is_not_squashed_any_more_is_named_and_is_no_fault(run: Run) -> None:
    async def plant() -> None:
        key = DocumentKey("note", "plan", "body")
        store = await SqliteStore.open(DATABASE)
        async with store.transaction(replicas=["r"], scopes=["scope:0"]) as transaction:
            await transaction.commit(Commit(updates=[update_row(key, 21, seq) for seq in range(6, 1200)]))
        await store.close()

    asyncio.run(plant_documents(DATABASE))
    asyncio.run(plant())
    alter("UPDATE states SET body = CAST(replace(CAST(body AS TEXT), '\"seq\":5', '\"seq\":1199') AS BLOB)")
    assert examine(run, "--repair").code == 0
    finding = the_only(examine(run), "warning")
    assert finding["check"] == "documents"
    assert "note plan body (1,196 updates)" in finding["message"]
    assert "squash_failed" in finding["fix"]


def test_a_damaged_page_is_named_whatever_else_it_breaks(run: Run) -> None:
    with DATABASE.open("r+b") as file:
        file.seek(8 * 4096)
        file.write(b"\xff" * 4096)
    done = examine(run)
    assert done.code == 1
    assert "syncd restore" in found(done)["integrity"]["fix"]
    DATABASE.write_bytes(b"rubbish" * 1000)
    assert the_only(examine(run), "fault")["check"] == "integrity"


def test_a_schema_of_a_newer_syncd_is_a_fault_and_one_to_migrate_a_warning(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as newer:
        newer.setattr("syncd.store.migrate.REVISIONS", (*REVISIONS, "next"))
        newer.setattr(checks, "REVISIONS", (*REVISIONS, "next"))
        finding = the_only(examine(run), "warning")
    assert (finding["check"], finding["fix"]) == ("schema", f"syncd migrate --database {DATABASE.resolve()}")
    alter("UPDATE alembic_version SET version_num = '9999'")
    assert the_only(examine(run), "fault")["check"] == "schema"


def test_devices_whose_clocks_are_ahead_are_named(run: Run) -> None:
    alter("UPDATE replicas SET clock_ahead_ms = 10800000")
    finding = the_only(examine(run), "warning")
    assert finding["check"] == "devices"
    assert "(3 h)" in finding["message"]


def test_a_device_whose_updates_of_documents_failed_lately_is_named(run: Run) -> None:
    alter(f"UPDATE replicas SET failed_updates = 3, failed_at_ms = {int(time.time() * 1000) - 7_200_000}")
    finding = the_only(examine(run), "warning")
    assert finding["check"] == "updates"
    assert "(3, 2 h ago)" in finding["message"]
    assert "syncd quarantine list" in finding["fix"]
    alter(f"UPDATE replicas SET failed_at_ms = {int(time.time() * 1000) - 8 * 86_400_000}")
    assert found(examine(run)) == {}


def test_a_device_whose_last_changes_were_all_rejected_is_named(run: Run) -> None:
    path = write_export(Path("in.jsonl"), *(note(f"r{i}") for i in range(3)))
    done = run("import", path, "--database", DATABASE, "--app", "syncd.apps.grassroots:app")
    assert done.code == 1
    finding = the_only(examine(run), "warning")
    assert finding["check"] == "outboxes"
    assert finding["fix"] == f"syncd status --database {DATABASE.resolve()} --rejected 20"
    assert "3" in finding["message"]


def test_a_clock_behind_the_ledger_is_a_fault(run: Run) -> None:
    alter(f"UPDATE changes SET at_ms = {int(time.time() * 1000) + 7_200_000}")
    finding = the_only(examine(run), "fault")
    assert finding["check"] == "clock"
    assert "1 h behind" in finding["message"] or "2 h behind" in finding["message"]


def test_a_disk_that_is_nearly_full_is_a_fault_and_one_without_room_for_a_copy_a_warning(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda path: usage._replace(free=1_000_000))
    assert the_only(examine(run), "fault")["check"] == "disk"
    monkeypatch.setattr(checks, "_LEAST_FREE_BYTES", 1000)
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda path: usage._replace(free=2000))
    assert the_only(examine(run), "warning")["check"] == "disk"


def test_a_backup_that_no_server_has_opened_yet_is_well(run: Run) -> None:
    assert run("backup", "copy.db", "--database", DATABASE).code == 0
    assert run("doctor", "--database", "copy.db", "--json").last["ok"] is True


def test_no_database_is_wrong_usage(run: Run) -> None:
    done = run("doctor", "--database", "nowhere.db", "--json")
    assert (done.code, done.last["code"]) == (2, "no_database")


async def test_beside_a_running_server_it_checks_both_and_repairs_nothing(run: Run, tmp_path: Path) -> None:
    async with running_server(tmp_path / DATABASE) as server:
        await push(server, "phone", [create("late")])
        done = await asyncio.to_thread(examine, run, "--url", server.url)
        assert (done.code, found(done)) == (0, {})
        assert {"server", "server_clock"} <= {fact["check"] for fact in done.facts[:-1]}
        (lock,) = (fact for fact in done.facts[:-1] if fact["check"] == "lock")
        assert f"process {server.pid}" in lock["message"]
        done = await asyncio.to_thread(examine, run, "--repair")
        assert (done.code, done.last["code"]) == (1, "database_in_use")
        alone = await asyncio.to_thread(run, "doctor", "--url", server.url, "--json")
        assert [fact["check"] for fact in alone.facts[:-1]] == ["server", "server_clock"]


async def test_a_process_that_holds_the_file_and_does_not_answer_is_named(run: Run, tmp_path: Path) -> None:
    async with running_server(tmp_path / DATABASE) as server:
        done = await asyncio.to_thread(examine, run, "--url", "http://127.0.0.1:9")
        assert done.code == 1
        assert found(done)["server"]["level"] == "fault"
        lock = found(done)["lock"]
        assert (lock["level"], lock["fix"]) == ("warning", f"kill {server.pid}")
        await server.kill()
    done = await asyncio.to_thread(examine, run)
    assert (done.code, found(done)) == (0, {}), "the lock's file is left, and means nothing"
    assert os.path.exists(f"{DATABASE}-lock")


def test_for_people_a_fault_stands_beside_its_command(run: Run) -> None:
    alter("UPDATE scopes SET digest = zeroblob(16)")
    done = run("doctor", "--database", DATABASE)
    assert done.code == 1
    assert "→ syncd doctor --database" in done.out
    assert "1 fault, 0 warnings." in done.out
    assert len(export_of(run, DATABASE)) == 40
