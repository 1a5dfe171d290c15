"""`syncd import`: an ordinary replica that brings what is missing, and nothing twice."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from syncd.commands import import_
from tests.commands.conftest import Done, Run
from tests.commands.make import create, export_of, note, pull, push, seed, syncd, write_export
from tests.support.server import ServerProcess, running_server

COUNTS = ("created", "updated", "deleted", "unchanged", "refused")
GOAL = {"match_id": "9f", "kind": "goal", "team": "home", "player": "Aarti", "minute": 3}


def counts(done: Done) -> tuple[int, ...]:
    assert done.last["event"] == "imported", done
    return tuple(done.last[name] for name in COUNTS)


def import_into(run: Run, database: str, *lines: Any, **options: Any) -> Done:
    return run("import", write_export(Path("in.jsonl"), *lines, **options), "--database", database, "--json")


class TestIntoAFile:
    """Of a server that is opened for the length of the import, and listens nowhere."""

    def test_what_is_exported_from_what_was_imported_is_the_same(self, run: Run) -> None:
        notes = [note(f"n{i}", f"scope:{i % 3}", i=i, text="é" * i) for i in range(50)]
        seed(run, Path("old.db"), *notes)
        assert run("export", "--database", "old.db", "--output", "old.jsonl").code == 0
        assert run("import", "old.jsonl", "--database", "new.db").code == 0
        assert len(export_of(run, Path("new.db"))) == 50
        assert export_of(run, Path("new.db")) == export_of(run, Path("old.db"))

    def test_the_same_file_twice_changes_nothing(self, run: Run) -> None:
        lines = [note("a", n=1), note("b", n=2)]
        assert counts(import_into(run, "club.db", *lines)) == (2, 0, 0, 0, 0)
        before = run("export", "--database", "club.db").facts[1:]
        assert counts(import_into(run, "club.db", *lines)) == (0, 0, 0, 2, 0)
        assert run("export", "--database", "club.db").facts[1:] == before, "versions and all"

    def test_what_is_there_is_updated_in_what_differs_and_keeps_the_rest(self, run: Run) -> None:
        seed(run, Path("club.db"), note("a", n=1, text="kept", flag=True))
        assert counts(import_into(run, "club.db", note("a", n=1.0, flag=1))) == (0, 1, 0, 0, 0)
        assert export_of(run, Path("club.db"))[0]["fields"] == {"n": 1, "text": "kept", "flag": 1}
        assert counts(import_into(run, "club.db", note("a", n=1, flag=1))) == (0, 0, 0, 1, 0)

    def test_a_line_of_what_was_deleted_deletes_and_a_delete_is_for_good(self, run: Run) -> None:
        seed(run, Path("club.db"), note("a", n=1))
        gone = {"scope": "main", "type": "note", "id": "a", "deleted": True}
        never = {"scope": "main", "type": "note", "id": "never", "deleted": True}
        assert counts(import_into(run, "club.db", gone, never)) == (0, 0, 1, 1, 0)
        assert counts(import_into(run, "club.db", gone, never)) == (0, 0, 0, 2, 0)
        done = import_into(run, "club.db", note("a", n=1))
        assert (done.code, done.facts[0]["line"], done.facts[0]["code"]) == (1, 2, "deleted")

    def test_the_same_resource_twice_in_a_file_ends_as_its_last_line(self, run: Run) -> None:
        done = import_into(run, "club.db", note("a", n=1), note("b", n=1), note("a", n=2), note("a", n=2))
        assert counts(done) == (2, 1, 0, 1, 0)
        assert {line["id"]: line["fields"] for line in export_of(run, Path("club.db"))} == {
            "a": {"n": 2},
            "b": {"n": 1},
        }

    def test_a_bad_line_is_told_with_its_number_and_the_rest_goes_on(self, run: Run) -> None:
        lines = [note("a", n=1), "not json", {"scope": "main", "type": "note", "id": "b"}, "", note("c", n=1)]
        done = import_into(run, "club.db", *lines, end=False)
        assert done.code == 1
        assert [(fact["line"], fact["code"]) for fact in done.facts[:-1]] == [
            (3, "invalid_json"),
            (4, "invalid_fields"),
            (6, "not_whole"),
        ]
        assert [line["id"] for line in export_of(run, Path("club.db"))] == ["a", "c"]

    def test_people_are_told_on_standard_error(self, run: Run) -> None:
        done = run("import", write_export(Path("in.jsonl"), "not json", note("a", n=1)), "--database", "club.db")
        assert done.code == 1
        assert "line 2: the text is not JSON" in done.err
        assert "1 created" in done.out
        assert "1 line was not imported" in done.out

    def test_lines_that_are_missing_are_noticed_by_the_end(self, run: Run) -> None:
        path = write_export(Path("in.jsonl"), note("a", n=1), note("b", n=1))
        text = path.read_text().splitlines(keepends=True)
        path.write_text("".join([text[0], text[2], text[3]]))
        done = run("import", path, "--database", "club.db", "--json")
        assert (done.code, done.facts[0]["code"]) == (1, "not_whole")
        assert "2 lines before it, but there are 1" in done.facts[0]["message"]

    def test_what_stands_behind_the_end_is_refused(self, run: Run) -> None:
        end = '{"end":true,"resources":1,"deleted":0}'
        done = import_into(run, "club.db", note("a", n=1), end, note("b", n=1), end=False)
        assert (done.code, done.facts[0]["line"]) == (1, 4)

    @pytest.mark.parametrize("text", ["", "\n\n", '{"a":1}\n', '{"syncd_export":2}\n', "Dear club,\n", "\x00" * 50])
    def test_what_is_no_export_is_a_sentence_and_nothing_is_imported(self, run: Run, text: str) -> None:
        Path("in.jsonl").write_text(text)
        done = run("import", "in.jsonl", "--database", "club.db", "--json")
        assert (done.code, done.last["code"]) == (1, "not_an_export")

    def test_what_the_app_does_not_take_is_told_by_its_line(self, run: Run) -> None:
        good = {"scope": "match:9f", "type": "event", "id": "e1", "fields": GOAL}
        bad = {"scope": "match:9f", "type": "event", "id": "e2", "fields": {**GOAL, "minute": "late"}}
        elsewhere = {"scope": "match:other", "type": "event", "id": "e3", "fields": GOAL}
        path = write_export(Path("in.jsonl"), good, bad, note("n"), elsewhere)
        done = run("import", path, "--database", "club.db", "--app", "syncd.apps.grassroots:app", "--json")
        assert [(fact["line"], fact["code"]) for fact in done.facts[:-1]] == [
            (3, "invalid_field"),
            (4, "unknown_type"),
            (5, "wrong_scope"),
        ]
        assert counts(done) == (1, 0, 0, 0, 3)

    def test_a_resource_that_lives_in_another_scope_stays_there(self, run: Run) -> None:
        seed(run, Path("club.db"), note("a", "home", n=1))
        done = import_into(run, "club.db", note("a", "elsewhere", n=2))
        assert (done.code, done.facts[0]["code"]) == (1, "scope_is_for_life")
        assert export_of(run, Path("club.db")) == [note("a", "home", n=1)]

    def test_one_that_is_larger_than_the_server_takes_is_told_by_its_line(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SYNCD_MAX_BODY_BYTES", "4096")
        done = import_into(
            run, "club.db", note("a", text="x" * 5000), *(note(f"n{i}", text="x" * 900) for i in range(9))
        )
        assert [(fact["line"], fact["code"]) for fact in done.facts[:-1]] == [(2, "too_large")]
        assert counts(done) == (9, 0, 0, 0, 1)

    def test_a_line_without_end_is_one_line_that_is_too_long(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(import_, "_MOST_LINE_BYTES", 1000)
        done = import_into(run, "club.db", note("a", text="x" * 3500), note("b", n=1))
        assert [(fact["line"], fact["code"]) for fact in done.facts[:-1]] == [(2, "too_large")]
        assert counts(done) == (1, 0, 0, 0, 1)

    def test_scopes_that_do_not_all_fit_into_memory_are_asked_for_again(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(import_, "_MOST_KNOWN", 3)
        lines = [note(f"n{i}", f"scope:{i % 4}", n=i) for i in range(20)]
        assert counts(import_into(run, "club.db", *lines)) == (20, 0, 0, 0, 0)
        assert counts(import_into(run, "club.db", *lines)) == (0, 0, 0, 20, 0)

    def test_from_a_pipe_into_the_file_of_the_environment(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SYNCD_DATABASE", "piped.db")
        text = write_export(Path("in.jsonl"), note("a", n=1)).read_text()
        assert run("import", "-", stdin=text).code == 0
        assert export_of(run, Path("piped.db")) == [note("a", n=1)]

    def test_a_file_that_is_not_there_is_a_sentence(self, run: Run) -> None:
        done = run("import", "nowhere.jsonl", "--database", "club.db")
        assert done.code == 1
        assert "cannot be read" in done.err

    def test_both_a_file_and_a_server_are_wrong_usage(self, run: Run) -> None:
        write_export(Path("in.jsonl"))
        assert run("import", "in.jsonl", "--database", "club.db", "--url", "http://127.0.0.1:9").code == 2


class TestIntoAServer:
    """Through its own push, with a real process at the other end."""

    async def test_a_running_server_gets_it_once_and_nothing_the_second_time(self, run: Run, tmp_path: Path) -> None:
        lines = [note(f"n{i}", f"scope:{i % 2}", i=i) for i in range(1200)]
        path = write_export(tmp_path / "in.jsonl", *lines)
        async with running_server(tmp_path / "club.db") as server:
            done = await asyncio.to_thread(run, "import", path, "--url", server.url, "--json")
            assert (done.code, counts(done)) == (0, (1200, 0, 0, 0, 0))
            page = await pull(server, "scope:1", None)
            assert [state["id"] for state in page["resources"]] == [f"n{i}" for i in range(1, 1200, 2)], "in order"
            done = await asyncio.to_thread(run, "import", path, "--url", server.url, "--json")
            assert (done.code, counts(done)) == (0, (0, 0, 0, 1200, 0))
            assert (await pull(server, "scope:1", None))["cursor"] == page["cursor"]

            held = await asyncio.to_thread(run, "import", path, "--database", server.database, "--json")
            assert (held.code, held.last["code"]) == (1, "database_in_use")
            assert "--url" in held.last["hint"]

    async def test_a_server_that_is_killed_meanwhile_is_waited_for(self, tmp_path: Path) -> None:
        async with running_server(tmp_path / "club.db") as server, half_imported(server, tmp_path) as (process, rest):
            await server.kill()
            given = asyncio.create_task(_give(process, rest))
            assert process.stderr is not None
            told = await process.stderr.readline()
            await server.start()
            await given
            out, err = await process.communicate()
            assert b"Waiting for the server" in told, told + err
            assert process.returncode == 0
            assert b"2,500 created, 0 updated" in out
            assert await _everything(server) == [f"n{i}" for i in range(2500)]

    async def test_after_ctrl_c_the_same_command_brings_the_rest(self, run: Run, tmp_path: Path) -> None:
        async with running_server(tmp_path / "club.db") as server:
            async with half_imported(server, tmp_path) as (process, rest):
                process.send_signal(signal.SIGINT)
                await _give(process, rest)
                _, err = await process.communicate()
            assert process.returncode == 130
            assert err.decode().strip() == "Interrupted."
            done = await asyncio.to_thread(run, "import", tmp_path / "in.jsonl", "--url", server.url, "--json")
            created, _, _, unchanged, _ = counts(done)
            assert created + unchanged == 2500
            assert created > 0
            assert unchanged > 0

    async def test_a_wrong_token_and_nobody_there_are_sentences(self, run: Run, tmp_path: Path) -> None:
        path = write_export(tmp_path / "in.jsonl", note("a", n=1))
        async with running_server(tmp_path / "club.db", token="the-right-token-1") as server:
            for token in ([], ["--token", "another-one"]):
                done = await asyncio.to_thread(run, "import", path, "--url", server.url, *token)
                assert done.code == 1
                assert "SYNCD_TOKEN" in done.err
            done = await asyncio.to_thread(run, "import", path, "--url", server.url, "--token", "the-right-token-1")
            assert done.code == 0
            await server.stop()
            done = await asyncio.to_thread(run, "import", path, "--url", server.url)
            assert done.code == 1
            assert "no server at" in done.err
        assert (await asyncio.to_thread(run, "import", path, "--url", "club.example")).code == 2

    async def test_what_another_one_has_made_is_updated_as_seen(self, run: Run, tmp_path: Path) -> None:
        async with running_server(tmp_path / "club.db") as server:
            await push(server, "phone", [create("a", n=1, text="phone's")])
            path = write_export(tmp_path / "in.jsonl", note("a", n=2))
            done = await asyncio.to_thread(run, "import", path, "--url", server.url, "--json")
            assert counts(done) == (0, 1, 0, 0, 0)
            (state,) = (await pull(server, "main", None))["resources"]
            assert state["fields"] == {"n": 2, "text": "phone's"}
            assert state["origin"][0].startswith("import-")


@asynccontextmanager
async def half_imported(server: ServerProcess, folder: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, bytes]]:
    """An import that has brought a part of 2,500 and waits at a pipe for the rest, which comes with it."""
    lines = write_export(folder / "in.jsonl", *(note(f"n{i}", i=i) for i in range(2500))).read_bytes().splitlines(True)
    async with syncd("import", "-", "--url", server.url, cwd=folder, stdin=asyncio.subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(b"".join(lines[:1200]))
        await process.stdin.drain()
        while not (await pull(server, "main", None, 100))["resources"]:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        yield process, b"".join(lines[1200:])


async def _give(process: asyncio.subprocess.Process, rest: bytes) -> None:
    """All that is left, and the end of it. Whoever was interrupted may have stopped to read."""
    assert process.stdin is not None
    with suppress(ConnectionError):
        process.stdin.write(rest)
        await process.stdin.drain()
    process.stdin.close()


async def _everything(server: Any) -> list[str]:
    ids: list[str] = []
    cursor, more = None, True
    while more:
        page = await pull(server, "main", cursor)
        cursor, more = page["cursor"], page["more"]
        ids.extend(state["id"] for state in page["resources"])
    return ids
