"""`syncd explain`: why a resource says what it says, from a file or a server, for people and for programs."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest

from tests.commands.conftest import Run
from tests.commands.make import Line, create, note, push, seed
from tests.support.server import running_server

ONE_AND_TWO = (bytes.fromhex("01010700040104626f6479036f6e6500"), bytes.fromhex("01010703840702042074776f00"))
"""Two edits of a text named body: it says "one" after the first, and "one two" after the second."""


def update(id: str, base: int, **fields: object) -> Line:
    return {**note(id), "fields": fields, "op": "update", "base": base}


async def test_a_file_in_use_and_its_server_explain_the_same(run: Run, tmp_path: Path) -> None:
    async with running_server(tmp_path / "club.db") as server:
        await push(server, "phone", [create("a", title="one", body="b")])
        await push(server, "tablet", [update("a", 1, title="two")])
        await push(server, "phone", [update("never", 1, title="lost on nothing")], 2)
        from_file = run("explain", "note", "a", "--database", server.database, "--json")
        from_server = await asyncio.to_thread(run, "explain", "note", "a", "--url", server.url, "--json")
        assert (from_file.code, from_server.code) == (0, 0)
        told = from_server.last
        assert [(each["field"], each["value"]) for each in told["fields"]] == [("body", "b"), ("title", "two")]
        # The file's reader was not told the app.
        assert {**from_file.last, "exact": True, "fields": 0} == {
            **{key: value for key, value in told.items() if key != "rule"},
            "fields": 0,
        }
        page = await asyncio.to_thread(run, "explain", "note", "a", "--field", "title", "--url", server.url)
    assert 'title = "two"  (version 2, rule lww)' in page.out
    assert "by tablet #1" in page.out
    assert "seen: its base 1 is not below version 1" in page.out
    assert 'overwritten by tablet #1: "one" of phone #1' in page.out
    assert "body" not in page.out


def test_the_rules_of_an_app_are_named_where_it_is_known(run: Run) -> None:
    seed(run, Path("club.db"), note("a", title="one"))
    unknown = run("explain", "note", "a", "--database", "club.db")
    assert "name the app with --app" in unknown.out
    assert unknown.code == 0
    known = run("explain", "note", "a", "--database", "club.db", "--app", "syncd.apps.grassroots:app")
    assert known.code == 0


def test_what_nothing_was_ever_sent_about_is_said_and_fails(run: Run) -> None:
    seed(run, Path("club.db"), note("a", title="one"))
    done = run("explain", "note", "nobody", "--database", "club.db")
    assert (done.code, "nothing was ever sent about it" in done.out) == (1, True)


@pytest.mark.parametrize("resource", [("No type", "a"), ("note", "no id")])
def test_what_cannot_be_a_resource_is_wrong_usage(run: Run, resource: tuple[str, str]) -> None:
    seed(run, Path("club.db"), note("a"))
    assert run("explain", *resource, "--database", "club.db").code == 2


def test_what_others_typed_does_not_steer_the_terminal(run: Run) -> None:
    seed(run, Path("club.db"), note("a", title="\u001b[2J\u202egone"))
    out = run("explain", "note", "a", "--database", "club.db").out
    assert "\u001b[2J" not in out
    assert "\\u001b" in out


def test_there_has_to_be_a_database_or_a_server(run: Run) -> None:
    assert run("explain", "note", "a", "--database", "none.db").code == 2
    assert run("explain", "note", "a", "--url", "http://127.0.0.1:9").code == 1
    assert run("explain", "note", "a", "--url", "http://127.0.0.1:9", "--database", "club.db").code == 2


async def test_a_document_is_told_by_what_it_says_or_from_a_file_how_far_it_is(run: Run, tmp_path: Path) -> None:
    app = "tests.client_sdk.club_notes:club_notes"
    edits = [base64.b64encode(update).decode() for update in ONE_AND_TWO]
    scope = "club:a"
    async with running_server(tmp_path / "club.db", app=app) as server:
        made = [{**note("n", scope, club="a", body={"update": edits[0]}), "op": "create"}]
        made += [{**note("n", scope, body={"update": edits[1]}), "op": "update", "base": 1}]
        outcomes = await push(server, "phone", made)
        assert [outcome["outcome"] for outcome in outcomes] == ["applied", "applied"]
        page = await asyncio.to_thread(run, "explain", "note", "n", "--field", "body", "--url", server.url)
        at_rest = run("explain", "note", "n", "--field", "body", "--database", server.database, "--app", app)
    assert 'body = "one two"  (version 2, rule crdt)' in page.out
    assert "body = a document, after 2 edits  (version 2, rule crdt)" in at_rest.out
    for told in (page.out, at_rest.out):
        assert f"part: an edit of {len(ONE_AND_TWO[0])} B of phone #1" in " ".join(told.split())
