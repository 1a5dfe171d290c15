"""`syncd tail`: what happens, once, as it happens, whatever becomes of the server."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from asyncio.subprocess import Process
from pathlib import Path
from typing import Any

import pytest

from tests.commands.conftest import Run
from tests.commands.make import create, push, syncd
from tests.support.server import running_server

PATIENCE_S = 20


async def told(process: Process, event: str | None = None) -> dict[str, Any]:
    """The next line, or the next of that event."""
    assert process.stdout is not None
    while True:
        line = await asyncio.wait_for(process.stdout.readline(), PATIENCE_S)
        assert line, (await process.communicate())[1].decode()
        fact: dict[str, Any] = json.loads(line)
        if event in (None, fact["event"]):
            return fact


def gist(fact: dict[str, Any]) -> tuple[Any, ...]:
    return fact["op"], fact["id"], fact["fields"], f"{fact['replica']}#{fact['n']}"


async def interrupted(process: Process) -> int:
    process.send_signal(signal.SIGINT)
    _, err = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert b"Traceback" not in err
    return int(process.returncode or 0)


async def test_changes_are_told_as_they_happen_and_ctrl_c_ends_it_well(tmp_path: Path) -> None:
    async with running_server(tmp_path / "club.db") as server:
        await push(server, "phone", [create("old", n=0)])
        async with syncd("tail", "main", "other", "--url", server.url, "--json", cwd=tmp_path) as process:
            assert (await told(process))["event"] == "watching"
            await push(server, "phone", [create("a", n=1, text="x"), create("b", "other", n=1)], first_n=2)
            first, second = sorted([await told(process), await told(process)], key=lambda fact: fact["scope"])
            assert gist(first) == ("create", "a", {"n": 1, "text": "x"}, "phone#2")
            assert (second["scope"], second["version"]) == ("other", 1)
            assert first["received_at_ms"] >= first["made_at_ms"] - 60_000
            update = {"scope": "main", "type": "note", "id": "old", "op": "update", "base": 1, "fields": {"n": 9}}
            await push(server, "laptop", [update, {**update, "op": "delete", "id": "a", "base": 2, "fields": {}}])
            assert gist(await told(process)) == ("update", "old", {"n": 9}, "laptop#1")
            assert gist(await told(process)) == ("delete", "a", {}, "laptop#2")
            assert await interrupted(process) == 0


async def test_what_is_there_comes_first_if_it_is_asked_for(tmp_path: Path) -> None:
    async with running_server(tmp_path / "club.db") as server:
        await push(server, "phone", [create("a", n=1), create("b", n=2)])
        async with syncd("tail", "main", "--url", server.url, "--json", "--from-start", cwd=tmp_path) as process:
            assert [(await told(process))["id"], (await told(process))["id"]] == ["a", "b"]
            assert (await told(process))["event"] == "watching"
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0


async def test_a_server_that_goes_away_is_waited_for_and_what_was_missed_is_told_once(tmp_path: Path) -> None:
    async with running_server(tmp_path / "club.db") as server:
        await push(server, "phone", [create("old", n=0)])
        async with syncd("tail", "main", "--url", server.url, "--json", cwd=tmp_path) as process:
            await told(process, "watching")
            await server.kill()
            assert (await told(process))["event"] == "disconnected"
            await server.start()
            await push(server, "phone", [create("missed", n=1)], first_n=2)
            facts = [await told(process), await told(process)]
            assert sorted(fact["event"] for fact in facts) == ["change", "watching"]
            await push(server, "phone", [create("last", n=1)], first_n=3)
            facts.append(await told(process))
            assert [fact["id"] for fact in facts if fact["event"] == "change"] == ["missed", "last"]


async def test_a_server_that_was_restored_is_said_with_what_is_gone(tmp_path: Path, run: Run) -> None:
    async with running_server(tmp_path / "club.db") as server:
        await push(server, "phone", [create("kept", n=1)])
        assert run("backup", tmp_path / "copy.db", "--database", server.database).code == 0
        await push(server, "phone", [create("lost", n=2)], first_n=2)
        async with syncd("tail", "main", "--url", server.url, "--json", cwd=tmp_path) as process:
            await told(process, "watching")
            await server.stop()
            assert run("restore", tmp_path / "copy.db", "--database", server.database).code == 0
            await server.start()
            assert (await told(process, "reset"))["scope"] == "main"
            assert gist(await told(process)) == ("gone", "lost", {}, "phone#2")
            assert (await told(process))["event"] == "watching"
            await push(server, "phone", [create("anew", n=3)], first_n=2)
            assert gist(await told(process)) == ("create", "anew", {"n": 3}, "phone#2")


async def test_people_read_a_line_for_each_change(tmp_path: Path) -> None:
    async with running_server(tmp_path / "club.db") as server:
        old_stamp = f"{1_000_000_000_000:012x}.0000.phone"
        await push(server, "phone", [{**create("a", n=1, text="red \x1b[31m"), "stamp": old_stamp}])
        async with syncd("tail", "main", "--url", server.url, "--from-start", cwd=tmp_path) as process:
            assert process.stdout is not None
            line = (await asyncio.wait_for(process.stdout.readline(), PATIENCE_S)).decode()
            assert re.fullmatch(
                r'\d\d:\d\d:\d\d  create  note a  n=1 text="red \\u001b\[31m"  by phone, made \d+ days ago\n', line
            ), line
            process.send_signal(signal.SIGINT)
            _, err = await process.communicate()
            assert f"Watching main at {server.url}" in err.decode()


async def test_a_token_is_needed_where_the_server_has_one(tmp_path: Path, run: Run) -> None:
    async with running_server(tmp_path / "club.db", token="the-right-token-1") as server:
        async with syncd("tail", "main", "--url", server.url, cwd=tmp_path) as process:
            _, err = await process.communicate()
            assert process.returncode == 1
            assert b"SYNCD_TOKEN" in err
        async with syncd(
            "tail", "main", "--url", server.url, "--token", "the-right-token-1", "--json", cwd=tmp_path
        ) as process:
            assert (await told(process))["event"] == "watching"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["main", "--url", "http://127.0.0.1:9"], 1, "There is no server at http://127.0.0.1:9"),
        (["main", "--url", "127.0.0.1:8000"], 2, "is not the URL of a server"),
        (["a b", "--url", "http://127.0.0.1:9"], 2, "is not the name of a scope"),
        ([], 2, "Missing argument"),
    ],
)
def test_what_cannot_be_is_a_sentence(run: Run, arguments: list[str], code: int, says: str) -> None:
    done = run("tail", *arguments)
    assert (done.code, done.out) == (code, "")
    assert says in done.err
