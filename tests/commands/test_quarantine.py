"""`syncd quarantine`: list, export, replay and dismiss, on a file at rest, a file in use, and through a server."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from syncd.app import open_app
from syncd.settings import Settings
from syncd.wiring import open_server
from tests.commands.conftest import Run
from tests.commands.make import Line, create, note, push
from tests.support.server import running_server


def refused(id: str, **fields: object) -> Line:
    """A change of what is not there."""
    return {**note(id), "fields": fields, "op": "update"}


async def fill(tmp_path: Path) -> Path:
    """A database at rest with two changes of `phone` and one of `tablet` in its quarantine."""
    async with running_server(tmp_path / "club.db") as server:
        await push(server, "phone", [create("a"), refused("b", text="typed"), refused("c", text="typed too")])
        await push(server, "tablet", [refused("d")])
        return server.database


async def test_it_is_listed_with_reasons_from_a_file_or_a_server(run: Run, tmp_path: Path) -> None:
    async with running_server(tmp_path / "club.db") as server:
        await push(server, "phone", [create("a"), refused("b", text="typed")])
        await push(server, "tablet", [refused("d")])
        from_file = await asyncio.to_thread(run, "quarantine", "list", "--database", server.database, "--json")
        from_server = await asyncio.to_thread(run, "quarantine", "list", "--url", server.url, "--json")
        assert from_file.facts == from_server.facts
        *changes, end = from_file.facts
        assert [(each["replica"], each["n"], each["code"]) for each in changes] == [
            ("phone", 2, "unknown_resource"),
            ("tablet", 1, "unknown_resource"),
        ]
        assert changes[0]["change"]["fields"] == {"text": "typed"}
        assert (end["waiting"], end["listed"], end["exported_to"]) == (2, 2, None)
        page = await asyncio.to_thread(run, "quarantine", "list", "--database", server.database, "--replica", "phone")
        assert "phone.2" in page.out
        assert "there is no note 'b' to update" in page.out
        assert "tablet" not in page.out
        assert "1 change in the quarantine." in page.out


async def test_only_so_many_are_listed_and_all_are_counted(run: Run, tmp_path: Path) -> None:
    database = await fill(tmp_path)
    listed = await asyncio.to_thread(run, "quarantine", "list", "--database", database, "--limit", 1, "--json")
    assert (len(listed.facts), listed.last["waiting"], listed.last["listed"]) == (2, 3, 1)


async def test_it_is_exported_and_goes_on_waiting(run: Run, tmp_path: Path) -> None:
    database = await fill(tmp_path)
    done = await asyncio.to_thread(
        run, "quarantine", "export", "--database", database, "--replica", "phone", "--output", "out.jsonl"
    )
    assert done.code == 0
    lines = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert [(line["n"], line["change"]["fields"]) for line in lines] == [
        (2, {"text": "typed"}),
        (3, {"text": "typed too"}),
    ]
    again = await asyncio.to_thread(run, "quarantine", "export", "--database", database, "--output", "out.jsonl")
    assert again.code == 1
    listed = await asyncio.to_thread(run, "quarantine", "list", "--database", database, "--json")
    assert listed.last["waiting"] == 3


async def test_through_a_server_what_can_be_is_settled_anew_and_the_rest_says_why(run: Run, tmp_path: Path) -> None:
    async with running_server(tmp_path / "club.db") as server:
        await push(server, "phone", [refused("a", text="typed"), refused("b")])
        await push(server, "tablet", [create("a", title="made at last")])
        done = await asyncio.to_thread(run, "quarantine", "replay", "phone.1", "phone.2", "--url", server.url, "--json")
        assert done.code == 1
        first, second, end = done.facts
        assert (first["result"], first["outcome"]["outcome"]) == ("replayed", "merged")
        assert (second["result"], second["outcome"]["code"]) == ("rejected", "unknown_resource")
        assert (end["asked"], end["done"]) == (2, 1)
        page = await asyncio.to_thread(run, "quarantine", "replay", "--all", "--url", server.url)
        assert "0 of 1 change replayed." in page.out
        gone = await asyncio.to_thread(run, "quarantine", "dismiss", "--all", "--url", server.url)
        assert (gone.code, "1 of 1 change dismissed." in gone.out) == (0, True)
        explained = await asyncio.to_thread(run, "explain", "note", "a", "--field", "text", "--url", server.url)
        assert "phone #1 (replayed)" in explained.out


async def test_on_a_file_at_rest_it_is_done_by_the_command_itself(run: Run, tmp_path: Path) -> None:
    database = await fill(tmp_path)

    def deal(*arguments: str) -> tuple[int, int]:
        done = run("quarantine", *arguments, "--database", database, "--json")
        return done.code, int(done.last["done"])

    assert await asyncio.to_thread(deal, "dismiss", "phone.2") == (0, 1)
    assert await asyncio.to_thread(deal, "dismiss", "phone.2") == (1, 0)
    assert await asyncio.to_thread(deal, "dismiss", "--all", "--replica", "phone") == (0, 1)
    assert await asyncio.to_thread(deal, "replay", "--all") == (1, 0)


async def test_a_file_in_use_is_dealt_with_through_its_server(run: Run, tmp_path: Path) -> None:
    async with running_server(tmp_path / "club.db") as server:
        await push(server, "phone", [refused("a")])
        done = await asyncio.to_thread(run, "quarantine", "dismiss", "phone.1", "--database", server.database)
    assert done.code == 1
    assert "in use" in done.err
    assert "--url" in done.err


@pytest.mark.parametrize("command", ["replay", "dismiss"])
@pytest.mark.parametrize("arguments", [[], ["phone.1", "--all"], ["phone"], [".1"], ["phone.one"]])
async def test_which_changes_are_meant_has_to_be_said(
    run: Run, tmp_path: Path, command: str, arguments: list[str]
) -> None:
    database = await fill(tmp_path)
    done = await asyncio.to_thread(run, "quarantine", command, *arguments, "--database", database)
    assert done.code == 2


COMMANDS = ["list", "replay", "dismiss", "export"]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_shows_examples_exit_codes_and_json(run: Run, command: str) -> None:
    done = run("quarantine", command, "--help")
    assert done.code == 0
    for words in ("Examples", f"syncd quarantine {command} ", "Exit codes", "--json"):
        assert words in done.out


async def test_what_there_was_no_room_for_is_said_to_be_in_its_file(run: Run, tmp_path: Path) -> None:
    database = await fill(tmp_path)
    file = database.with_name(f"{database.name}.quarantine.jsonl")
    file.write_text("{}\n")
    done = await asyncio.to_thread(run, "quarantine", "list", "--database", database)
    assert str(file) in done.out
    assert database.exists()


async def test_status_and_doctor_tell_how_much_waits_and_where_the_rest_is(run: Run, tmp_path: Path) -> None:
    database = await fill(tmp_path)

    def look(command: str) -> str:
        return run(command, "--database", database).out

    counts = (await asyncio.to_thread(run, "status", "--database", database, "--json")).last["counts"]
    assert (counts["rejected"], counts["quarantined"], counts["exported"]) == (3, 3, 0)
    assert counts["quarantined_bytes"] > 100
    assert "3 changes" in await asyncio.to_thread(look, "status")
    assert "3 rejected changes in the quarantine" in await asyncio.to_thread(look, "doctor")
    await keep(database, changes=1)
    file = database.with_name(f"{database.name}.quarantine.jsonl")
    status, doctor = await asyncio.to_thread(look, "status"), await asyncio.to_thread(look, "doctor")
    assert f"2 for which there was no room are in {file}" in status
    assert f"no room for 2 changes; they are in {file}" in doctor
    file.unlink()
    assert "is gone" in await asyncio.to_thread(look, "doctor")


async def keep(database: Path, changes: int) -> None:
    """Start and stop a server that keeps so many of each replica."""
    async with open_server(Settings(database=database, quarantine_changes=changes), open_app()):
        pass
