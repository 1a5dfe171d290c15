"""`syncd export`: every resource once, scope by scope, of one moment."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from pathlib import Path

import pytest

from tests.commands.conftest import Run
from tests.commands.make import create, export_of, note, plant_documents, push, seed
from tests.support.server import running_server

DATABASE = Path("club.db")


@pytest.fixture(autouse=True)
def club(run: Run) -> None:
    """Three notes in two scopes."""
    seed(run, DATABASE, note("a", text="ä\n"), note("b", "other", n=1), note("c", n=2.5, deep={"list": [None]}))


def test_lines_are_a_header_each_resource_scope_by_scope_and_an_end(run: Run) -> None:
    header, *lines, end = run("export", "--database", DATABASE).facts
    assert header["syncd_export"] == 1
    assert lines == [
        {"scope": "main", "type": "note", "id": "a", "version": 1, "fields": {"text": "ä\n"}},
        {"scope": "main", "type": "note", "id": "c", "version": 2, "fields": {"n": 2.5, "deep": {"list": [None]}}},
        {"scope": "other", "type": "note", "id": "b", "version": 1, "fields": {"n": 1}},
    ]
    assert end == {"end": True, "scopes": 2, "resources": 3, "deleted": 0}


def test_documents_come_as_updates_with_the_resource_that_they_are_of(run: Run) -> None:
    asyncio.run(plant_documents(DATABASE, "main"))
    found = {line["id"]: line for line in export_of(run, DATABASE, "main")}
    updates = [b64encode(update).decode() for update in (b"to 3", b"21.1", b"21.4", b"21.5")]
    document = {"since": 21, "seq": 5, "updates": updates}
    assert found["plan"] == {**note("plan", n=1), "documents": {"body": document}}
    assert "documents" not in found["a"]


def test_scopes_can_be_chosen_and_one_that_is_not_there_is_said(run: Run) -> None:
    assert [line["id"] for line in export_of(run, DATABASE, "other")] == ["b"]
    done = run("export", "nowhere", "main", "--database", DATABASE)
    assert (done.code, done.out) == (1, "")
    assert "no scope 'nowhere'" in done.err
    assert "syncd status" in done.err


def test_what_was_deleted_comes_only_if_it_is_asked_for(run: Run, tmp_path: Path) -> None:
    gone = tmp_path / "gone.jsonl"
    gone.write_text(
        '{"syncd_export":1}\n{"scope":"main","type":"note","id":"a","deleted":true}\n'
        '{"end":true,"resources":0,"deleted":1}\n'
    )
    assert run("import", gone, "--database", DATABASE).code == 0
    assert [line["id"] for line in export_of(run, DATABASE, "main")] == ["c"]
    assert export_of(run, DATABASE, "main", "--deleted") == [
        {"scope": "main", "type": "note", "id": "c", "fields": {"n": 2.5, "deep": {"list": [None]}}},
        {"scope": "main", "type": "note", "id": "a", "deleted": True},
    ]


def test_a_file_is_written_whole_and_never_over_another_one(run: Run) -> None:
    done = run("export", "--database", DATABASE, "--output", "club.jsonl", "--json")
    assert done.last == {
        "event": "exported",
        "file": str(Path("club.jsonl").absolute()),
        "scopes": 2,
        "resources": 3,
        "deleted": 0,
    }
    written = Path("club.jsonl").read_text()
    refused = run("export", "main", "--database", DATABASE, "--output", "club.jsonl")
    assert refused.code == 1
    assert "--force" in refused.err
    assert Path("club.jsonl").read_text() == written
    assert run("export", "main", "--database", DATABASE, "--output", "club.jsonl", "--force").code == 0
    assert len(Path("club.jsonl").read_text().splitlines()) == 4
    assert [path.name for path in Path().iterdir() if "partial" in path.name] == []


def test_a_folder_that_is_not_there_is_a_sentence(run: Run) -> None:
    done = run("export", "--database", DATABASE, "--output", "nowhere/club.jsonl")
    assert done.code == 1
    assert "cannot be written" in done.err


def test_no_database_is_wrong_usage_and_none_is_made(run: Run) -> None:
    done = run("export", "--database", "other.db", "--json")
    assert (done.code, done.last["code"]) == (2, "no_database")
    assert not Path("other.db").exists()


async def test_it_reads_beside_a_running_server_and_the_server_goes_on(run: Run, tmp_path: Path) -> None:
    async with running_server(tmp_path / DATABASE) as server:
        await push(server, "phone", [create("d", n=4)])
        assert [line["id"] for line in export_of(run, tmp_path / DATABASE, "main")] == ["a", "c", "d"]
        (outcome,) = await push(server, "phone", [create("e", n=5)], first_n=2)
        assert outcome["outcome"] == "applied"
