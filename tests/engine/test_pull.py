"""Pull: pages by bytes that resume, one snapshot for all scopes, cursors that a database can vouch for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from conflict_rules.digest import digest_text, scope_digest
from conflict_rules.wire import decode_state
from syncd.engine.limits import Limits
from syncd.errors import InvalidMessage, TooLarge
from tests.support.engine import Engine, open_engine


async def test_a_scope_that_was_never_written_is_an_empty_page_with_a_cursor(engine: Engine) -> None:
    page = (await engine.puller.pull("a", {"main": None}))["main"]
    assert (page.bodies, page.more, page.reset, page.settled) == ([], False, False, 0)
    again = (await engine.puller.pull("a", {"main": page.cursor}))["main"]
    assert (again.cursor, again.reset) == (page.cursor, False)


async def test_a_page_holds_the_newest_state_of_what_changed_since_the_cursor(engine: Engine) -> None:
    a = engine.replica("a")
    await a.create("x", v=1)
    await a.create("y", v=1)
    cursor = (await engine.puller.pull("a", {"main": None}))["main"].cursor
    await a.update("x", 1, v=2)
    await a.update("x", 3, v=3)
    page = (await engine.puller.pull("a", {"main": cursor}))["main"]
    assert [(state["id"], state["version"], state["fields"]) for state in map(json.loads, page.bodies)] == [
        ("x", 4, {"v": 3})
    ]


async def test_pages_are_bounded_by_bytes_and_resume_while_writers_go_on(engine: Engine) -> None:
    a = engine.replica("a")
    for i in range(20):
        await a.create(f"r{i}", text="x" * 500)
    met: dict[str, int] = {}
    cursor, more, pages = None, True, 0
    while more:
        page = (await engine.puller.pull("b", {"main": cursor}, 2000))["main"]
        assert 1 <= len(page.bodies) <= 5
        met.update({state["id"]: state["version"] for state in map(json.loads, page.bodies)})
        cursor, more, pages = page.cursor, page.more, pages + 1
        if pages == 2:
            await a.update("r0", 1, text="meanwhile")
    assert len(met) == 20
    assert met["r0"] == 21, "what was written meanwhile comes on a later page"


async def test_scopes_share_the_room_and_one_without_room_keeps_its_cursor(engine: Engine) -> None:
    a = engine.replica("a")
    for scope in ("north", "south"):
        await a.create(f"{scope}-1", _scope=scope, text="x" * 3000)
    pages = await engine.puller.pull("b", {"north": None, "south": None}, 1000)
    assert (len(pages["north"].bodies), pages["north"].more) == (1, False)
    assert (len(pages["south"].bodies), pages["south"].more) == (0, True)
    south = (await engine.puller.pull("b", {"south": pages["south"].cursor}))["south"]
    assert (len(south.bodies), south.more, south.reset) == (1, False, False)


async def test_a_cursor_that_never_was_one_is_kept_where_there_is_no_room_to_start_over(engine: Engine) -> None:
    await engine.replica("a").create("x", _scope="north", text="x" * 3000)
    pages = await engine.puller.pull("b", {"north": None, "south": ""}, 1000)
    assert (pages["south"].cursor, pages["south"].more) == ("", True)


async def test_one_state_larger_than_the_page_comes_all_the_same(engine: Engine) -> None:
    await engine.replica("a").create("x", text="x" * 5000)
    page = (await engine.puller.pull("b", {"main": None}, 10))["main"]
    assert (len(page.bodies), page.more) == (1, False)


async def test_a_cursor_that_never_was_one_starts_over(engine: Engine) -> None:
    await engine.replica("a").create("x", v=1)
    for cursor in ("", "what", "1.2.3", "x.-1", "x.99999999999999999999", "0" * 5000):
        page = (await engine.puller.pull("a", {"main": cursor}))["main"]
        assert (page.reset, len(page.bodies)) == (True, 1)


async def test_bad_names_and_too_many_scopes_are_refused(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "db", limits=replace(Limits(), max_scopes=2)) as engine:
        with pytest.raises(InvalidMessage, match="scope name"):
            await engine.puller.pull("a", {"no spaces": None})
        with pytest.raises(TooLarge, match="3 scopes"):
            await engine.puller.pull("a", {"a": None, "b": None, "c": None})
        with pytest.raises(InvalidMessage, match="replica"):
            await engine.puller.pull("no spaces", {"a": None})


async def test_a_digest_is_of_everything_that_lives_at_the_cursor(engine: Engine) -> None:
    """Invariant 13."""
    a = engine.replica("a")
    for i in range(5):
        await a.create(f"r{i}", v=i)
    await a.update("r0", 1, v="changed")
    await a.delete("r1", 2)
    page = (await engine.puller.pull("b", {"main": None}, digest=True))["main"]
    states = [decode_state(json.loads(body), "main") for body in page.bodies]
    assert page.digest == digest_text(scope_digest(states))
    assert (await engine.puller.pull("b", {"main": page.cursor}))["main"].digest is None, "only on request"


async def test_a_page_with_more_to_come_has_no_digest(engine: Engine) -> None:
    a = engine.replica("a")
    for i in range(4):
        await a.create(f"r{i}", text="x" * 900)
    page = (await engine.puller.pull("b", {"main": None}, 1000, digest=True))["main"]
    assert (page.more, page.digest) == (True, None)


async def test_what_was_refused_or_vetoed_leaves_the_digest_alone(engine: Engine) -> None:
    a = engine.replica("a")
    await a.create("x", v=1)
    before = (await engine.puller.pull(None, {"main": None}, digest=True))["main"].digest
    await a.push(a.change("create", "y", 0, _group="g", v=1), a.change("create", "bad id!", 0, _group="g", v=1))
    assert (await engine.puller.pull(None, {"main": None}, digest=True))["main"].digest == before
