"""`syncd conflicts`: list, settle and reopen, on a file at rest, a file in use, and through a server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from syncd.app import App
from tests.client_sdk.cup import cup
from tests.commands.conftest import Done, Run
from tests.commands.make import Line, push
from tests.support.served import Served, served
from tests.support.server import running_server

CUP = "tests.client_sdk.cup:cup"


def game(op: str, id: str = "g", **fields: object) -> Line:
    return {"scope": "cup", "type": "game", "id": id, "op": op, "fields": fields}


def goal(id: str) -> Line:
    return {"scope": "cup", "type": "goal", "id": id, "op": "create", "fields": {"side": "home"}}


async def disagree(server: Served, id: str = "g") -> str:
    """Two phones that were shown 0 set the home score to 1 and to 2; the id of the conflict."""
    [made] = await push(server, f"maker-{id}", [game("create", id, home=0)])
    edits = [{**game("update", id, home=n), "base": made["version"], "was": {"home": 0}} for n in (1, 2)]
    await push(server, f"phone-{id}", [edits[0]])
    [outcome] = await push(server, f"tablet-{id}", [edits[1]])
    return str(outcome["conflicts"][0])


async def ask(server: Served, id: str = "goal-1") -> str:
    """A hook asks about two goals; the id of its question."""
    await push(server, f"phone-{id}", [goal(f"{id}-a"), goal(f"{id}-b")])
    return f"same-{id}-b"


@pytest.fixture
def conflicts(run: Run) -> Any:
    """Runs `syncd conflicts` in a thread, since the server that it asks lives in this process."""
    return lambda *arguments: asyncio.to_thread(run, "conflicts", *arguments)


async def test_it_is_listed_with_all_that_helps_to_choose_from_a_file_or_a_server(
    conflicts: Any, tmp_path: Path
) -> None:
    async with served(tmp_path / "cup.db", cup) as server:
        conflict = await disagree(server)
        from_file: Done = await conflicts("list", "--database", server.database, "--json")
        from_server: Done = await conflicts("list", "--url", server.url, "--json")
        assert from_file.facts == from_server.facts
        shown, end = from_file.facts
        assert (shown["event"], shown["id"], shown["scope"], shown["status"]) == (
            "conflict",
            conflict,
            "cup",
            "open",
        )
        assert (shown["base"], shown["accepted"]) == (0, 1)
        assert (end["found"], end["open"], end["listed"]) == (1, 1, 1)
        page = (await conflicts("list", "--url", server.url)).out
        assert f"{conflict}  open  home of game g in cup" in page
        assert "base      0" in page
        assert "accepted  1" in page
        for candidate in shown["candidates"]:
            assert f"--choose {candidate['key'].ljust(10)}  {candidate['value']}  (by {candidate['replica']}, " in page
        assert f"syncd conflicts settle {conflict} --choose tablet-g.1 --url {server.url}" in page


async def test_what_the_list_proposes_settles_the_conflict(run: Run, conflicts: Any, tmp_path: Path) -> None:
    async with served(tmp_path / "cup.db", cup) as server:
        await disagree(server)
        page: str = (await conflicts("list", "--url", server.url)).out
        command = page.rpartition("like this: syncd ")[2].split()
        done = await asyncio.to_thread(run, *command)
        assert (done.code, "settled: home = 2 in game g" in done.out) == (0, True)
        assert (await conflicts("list", "--url", server.url)).out == "There is no open conflict.\n"


async def test_of_many_some_are_chosen_and_all_are_counted(conflicts: Any, tmp_path: Path) -> None:
    async with served(tmp_path / "cup.db", cup) as server:
        ids = sorted([await disagree(server, f"g{index}") for index in range(3)])
        question = await ask(server)
        where = ("--url", server.url, "--json")
        assert [each["id"] for each in (await conflicts("list", *where)).facts[:-1]] == [*ids, question]
        first = await conflicts("list", "--limit", 1, *where)
        assert (len(first.facts), first.last["found"], first.last["listed"]) == (2, 4, 1)
        for options, expected in (
            (("--type", "goal"), [question]),
            (("--type", "game", "--id", "nobody"), []),
            (("--scope", "elsewhere"), []),
            (("--status", "settled"), []),
            (("--status", "any", "--scope", "cup"), [*ids, question]),
        ):
            for place in (where, ("--database", server.database, "--json")):
                done = await conflicts("list", *options, *place)
                assert (done.code, [each["id"] for each in done.facts[:-1]]) == (0, expected)
        page = (await conflicts("list", "--scope", "elsewhere", "--url", server.url)).out
        assert page == "There is no open conflict that fits --scope, --type and --id.\n"


async def test_one_answer_settles_several_and_the_rest_says_why_not(conflicts: Any, tmp_path: Path) -> None:
    async with served(tmp_path / "cup.db", cup) as server:
        first, second = await disagree(server, "g1"), await disagree(server, "g2")
        where = ("--url", server.url)
        assert (await conflicts("settle", first, "--choose", "tablet-g1.1", *where)).code == 0
        done = await conflicts("settle", first, second, "c-none", "no/id", "--value", "7", *where)
        assert done.code == 1
        assert f"{first}  not settled: it was settled before, with 2, by command line or HTTP, " in done.out
        assert f"{second}  settled: home = 7 in game g2" in done.out
        assert "c-none  unknown: there is no such conflict" in done.out
        assert "no/id  unknown" in done.out
        assert "1 of 4 conflicts settled." in done.out
        again = await conflicts("settle", first, "c-none", "--value", "7", *where, "--json")
        assert [each["result"] for each in again.facts[:-1]] == ["settled_before", "no_such_conflict"]
        assert (again.last["asked"], again.last["done"]) == (2, 0)
        page = (await conflicts("list", "--status", "settled", *where)).out
        assert "settled   with 7, by command line or HTTP, " in page


async def test_an_answer_that_is_none_leaves_it_open(conflicts: Any, tmp_path: Path) -> None:
    async with served(tmp_path / "cup.db", cup) as server:
        conflict, question = await disagree(server), await ask(server)
        for arguments, reason in (
            ((conflict, "--choose", "nobody.1"), "one of phone-g.2, tablet-g.1 (unknown_choice)"),
            ((conflict, "--value", '"many"'), "(invalid_field)"),
            ((question, "--value", "1"), "name one by its key (unknown_choice)"),
        ):
            done = await conflicts("settle", *arguments, "--url", server.url)
            assert done.code == 1
            assert reason in done.out
            assert "not settled" in done.out
        assert (await conflicts("list", "--url", server.url, "--json")).last["open"] == 2


async def test_a_question_of_an_app_shows_its_sentence_and_its_answers(conflicts: Any, tmp_path: Path) -> None:
    async with served(tmp_path / "cup.db", cup) as server:
        question = await ask(server)
        page = (await conflicts("list", "--url", server.url)).out
        for words in ("same_goal about goal goal-1-b and goal goal-1-a in cup", "One goal, or two?", "--choose one\n"):
            assert words in page
        done = await conflicts("settle", question, "--choose", "one", "--url", server.url)
        assert f'{question}  settled: "one" answers same_goal about goal goal-1-b' in done.out


async def test_what_was_settled_is_asked_again_and_the_answer_is_kept(conflicts: Any, tmp_path: Path) -> None:
    async with served(tmp_path / "cup.db", cup) as server:
        conflict, where = await disagree(server), ("--url", server.url)
        early = await conflicts("reopen", conflict, *where)
        assert (early.code, "it is open, and waits for an answer" in early.out) == (1, True)
        await conflicts("settle", conflict, "--value", "5", *where)
        done = await conflicts("reopen", conflict, conflict, "c-none", *where)
        assert done.code == 1
        assert f"{conflict}  reopened: it was settled with 5, by command line or HTTP, " in done.out
        assert "c-none  unknown" in done.out
        assert "1 of 2 conflicts reopened." in done.out
        page = (await conflicts("list", *where)).out
        assert "accepted  5  (stands until somebody answers)" in page
        assert "earlier   with 5, " in page


async def test_what_it_was_about_is_gone(conflicts: Any, tmp_path: Path) -> None:
    async with served(tmp_path / "cup.db", cup) as server:
        conflict, where = await disagree(server), ("--url", server.url)
        await push(server, "maker-g", [{**game("delete"), "base": 9}], first_n=2)
        done = await conflicts("settle", conflict, "--value", "1", *where)
        assert (done.code, "settled before, by deleting what it was about, by maker-g" in done.out) == (1, True)
        again = await conflicts("reopen", conflict, *where)
        assert (again.code, "not reopened" in again.out, "(deleted)" in again.out) == (1, True, True)


async def test_on_a_file_at_rest_it_is_done_by_the_command_itself_under_the_rules_of_its_app(
    conflicts: Any, tmp_path: Path
) -> None:
    async with served(tmp_path / "cup.db", cup) as server:
        conflict, database = await disagree(server), server.database
    page = (await conflicts("list", "--database", database)).out
    assert f"--database {database} --app PACKAGE.MODULE:APP" in page
    without = await conflicts("settle", conflict, "--value", "3", "--database", database)
    assert (without.code, "which app this database is of is not known" in without.err) == (2, True)
    where = ("--database", database, "--app", CUP)
    assert (await conflicts("settle", conflict, "--value", "3", *where)).code == 0
    assert (await conflicts("reopen", conflict, "--database", database)).code == 2
    assert (await conflicts("reopen", conflict, *where)).code == 0
    listed = await conflicts("list", "--database", database, "--json")
    assert [(each["id"], each["accepted"]) for each in listed.facts[:-1]] == [(conflict, 3)]


async def test_a_file_in_use_is_answered_through_its_server(conflicts: Any, tmp_path: Path) -> None:
    async with served(tmp_path / "cup.db", cup) as server:
        conflict = await disagree(server)
        done = await conflicts("settle", conflict, "--value", "3", "--database", server.database, "--app", CUP)
    assert done.code == 1
    assert "in use" in done.err
    assert "--url" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["settle", "--choose", "a.1"],
        ["settle", "c-1"],
        ["settle", "c-1", "--choose", "a.1", "--value", "1"],
        ["settle", "c-1", "--value", "many"],
        ["settle", "c-1", "--value", "NaN"],
        ["reopen"],
        ["list", "--status", "closed"],
        ["list", "--url", "http://127.0.0.1:9", "--database", "cup.db"],
    ],
)
def test_what_is_meant_has_to_be_said(run: Run, arguments: list[str]) -> None:
    run("migrate", "--database", "syncd.db")
    assert run("conflicts", *arguments).code == 2


def test_no_database_and_no_server_are_sentences(run: Run) -> None:
    assert run("conflicts", "list").code == 2
    done = run("conflicts", "settle", "c-1", "--value", "1", "--url", "http://127.0.0.1:9", "--json")
    assert (done.code, done.last["code"]) == (1, "unreachable")


async def test_a_server_process_is_asked_with_its_token(conflicts: Any, tmp_path: Path) -> None:
    async with running_server(tmp_path / "club.db", token="a-token-of-the-club") as server:
        denied = await conflicts("list", "--url", server.url)
        assert (denied.code, "does not take this token" in denied.err) == (1, True)
        done = await conflicts("list", "--url", server.url, "--token", "a-token-of-the-club")
        assert (done.code, done.out) == (0, "There is no open conflict.\n")


@pytest.mark.parametrize("command", ["list", "settle", "reopen"])
def test_each_shows_examples_exit_codes_and_json(run: Run, command: str) -> None:
    done = run("conflicts", command, "--help")
    assert done.code == 0
    for words in ("Examples", f"syncd conflicts {command} ", "Exit codes", "--json"):
        assert words in done.out


async def test_status_tells_how_many_are_open_of_a_file_and_of_a_server(
    run: Run, conflicts: Any, tmp_path: Path
) -> None:
    async with served(tmp_path / "cup.db", cup) as server:
        conflict, _ = await disagree(server), await ask(server)
        await disagree(server, "other")
        assert await open_conflicts(run, server) == (3, 3)
        await conflicts("settle", conflict, "--value", "1", "--url", server.url)
        assert await open_conflicts(run, server) == (2, 2)
        for place in (("--database", server.database), ("--url", server.url)):
            page = (await asyncio.to_thread(run, "status", *place)).out
            assert f"2 open: syncd conflicts list {place[0]} {place[1]}" in page


async def open_conflicts(run: Run, server: Served) -> tuple[int, int]:
    """As status has it: of the file, of the server."""
    of_file = await asyncio.to_thread(run, "status", "--database", server.database, "--json")
    of_server = await asyncio.to_thread(run, "status", "--url", server.url, "--json")
    return of_file.last["counts"]["open_conflicts"], of_server.last["open_conflicts"]


async def test_status_of_a_database_without_conflicts_says_so(run: Run, tmp_path: Path) -> None:
    async with served(tmp_path / "cup.db", App("none")) as server:
        assert await open_conflicts(run, server) == (0, 0)
        assert "none is open" in (await asyncio.to_thread(run, "status", "--database", server.database)).out
