"""Law 6: all readers with the same rights form a class; what is hidden from it is no gap, and a cursor belongs to it.

Counterexample 11: "A viewer at cursor 50 becomes a scorer: private fields of resources below 50 never reach him. One
digest for all classes mismatches for ever. A hidden v7 looks like a gap to a share link."
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from conflict_rules.digest import digest_text, scope_digest
from conflict_rules.wire import decode_state
from syncd.engine.connection import Connection
from syncd.engine.pull import ScopePage
from syncd.engine.reader_class import SEES_ALL, ReaderClass
from tests.support.engine import Engine, open_engine

VIEWER = ReaderClass(frozenset({"score"}))
SCORER = ReaderClass(frozenset({"score", "injury"}))
CLASSES = (VIEWER, SCORER, SEES_ALL, ReaderClass(frozenset()), ReaderClass(None, schema=2))


class Copy:
    """What a reader holds of one scope: it applies pages and frames as the protocol says, and knows nothing else."""

    def __init__(self) -> None:
        self.cursor: str | None = None
        self.resources: dict[str, dict[str, Any]] = {}
        self.resets = 0

    async def pull(self, engine: Engine, reader: ReaderClass, limit_bytes: int | None = None) -> str | None:
        """Catch up; the digest of the last page."""
        met: set[str] = set()
        reset = False
        while True:
            pages = await engine.puller.pull(None, {"main": self.cursor}, limit_bytes, reader=reader, digest=True)
            page: ScopePage = pages["main"]
            if page.reset:
                self.resets, reset = self.resets + 1, True
            self._take([json.loads(body) for body in page.bodies])
            met |= {json.loads(body)["id"] for body in page.bodies}
            self.cursor = page.cursor
            if not page.more:
                break
        if reset:
            self.resources = {name: state for name, state in self.resources.items() if name in met}
        return page.digest

    async def follow(self, connection: Connection) -> list[str]:
        """Apply the next delta, which must follow the cursor; the ids that it showed."""
        async with asyncio.timeout(5):
            frame = await connection.take()
        assert frame is not None
        delta = json.loads(frame.body)
        assert delta["type"] == "delta"
        assert delta["after"] == self.cursor, "a gap"
        self._take(delta["entries"])
        self.cursor = delta["upto"]
        return [entry["id"] for entry in delta["entries"]]

    @property
    def ids(self) -> set[str]:
        return {name for name, state in self.resources.items() if not state.get("deleted")}

    @property
    def digest(self) -> str:
        return digest_text(scope_digest(decode_state(state, "main") for state in self.resources.values()))

    def _take(self, states: list[dict[str, Any]]) -> None:
        self.resources.update({state["id"]: state for state in states})


async def a_match(engine: Engine) -> None:
    """Fifty versions, with something for each class to see, to lose sight of, and to find deleted."""
    official = engine.replica("official")
    changes = []
    for i in range(12):
        changes.append(official.change("create", f"score-{i}", 0, _type="score", home=i))
        changes.append(official.change("create", f"injury-{i}", 0, _type="injury", player=f"p{i}"))
        changes.append(official.change("create", f"note-{i}", 0, _type="note", text="x" * 300))
        changes.append(official.change("update", f"injury-{i}", 0, _type="injury", healed=True))
    changes.append(official.change("delete", "score-3", 0, _type="score"))
    changes.append(official.change("delete", "injury-3", 0, _type="injury"))
    outcomes = await official.push(*changes)
    assert {outcome["outcome"] for outcome in outcomes} == {"applied"}


async def watching(engine: Engine, copy: Copy, reader: ReaderClass) -> Connection:
    """A connection of that class, in step."""
    connection = engine.watcher.connect()
    standing = (await engine.watcher.subscribe(connection, {"main": copy.cursor}, reader))["main"]
    assert standing.cursor == copy.cursor, "it is up to date"
    return connection


async def test_a_viewer_who_becomes_a_scorer_is_told_to_start_over_and_then_has_what_was_hidden(engine: Engine) -> None:
    await a_match(engine)
    person = Copy()
    await person.pull(engine, VIEWER)
    assert person.ids == {f"score-{i}" for i in range(12)} - {"score-3"}
    await person.pull(engine, SCORER)
    fresh = Copy()
    await fresh.pull(engine, SCORER)
    assert person.ids >= {f"injury-{i}" for i in range(12)} - {"injury-3"}
    assert (person.ids, person.cursor, person.resets) == (fresh.ids, fresh.cursor, 1)
    await person.pull(engine, SCORER)
    assert person.resets == 1, "once"


async def test_a_scorer_who_becomes_a_viewer_is_told_to_start_over_and_holds_nothing_hidden(engine: Engine) -> None:
    await a_match(engine)
    person = Copy()
    await person.pull(engine, SCORER)
    await person.pull(engine, VIEWER)
    assert {state["type"] for state in person.resources.values()} == {"score"}
    assert person.resets == 1


@pytest.mark.parametrize("given_to", CLASSES)
@pytest.mark.parametrize("shown_by", CLASSES)
async def test_a_cursor_is_good_for_the_class_that_it_was_given_to_and_for_no_other(
    engine: Engine, given_to: ReaderClass, shown_by: ReaderClass
) -> None:
    await a_match(engine)
    copy = Copy()
    await copy.pull(engine, given_to)
    page = (await engine.puller.pull(None, {"main": copy.cursor}, reader=shown_by))["main"]
    assert page.reset is (given_to != shown_by)
    standing = (await engine.watcher.subscribe(engine.watcher.connect(), {"main": copy.cursor}, shown_by))["main"]
    assert (standing.cursor is None) is (given_to != shown_by), "else its deltas would follow what it never had"


@pytest.mark.parametrize("reader", CLASSES)
@pytest.mark.parametrize("limit_bytes", [1, 700, None])
async def test_each_class_has_a_digest_of_its_own_that_matches_what_it_holds(
    engine: Engine, reader: ReaderClass, limit_bytes: int | None
) -> None:
    """Invariant 13."""
    await a_match(engine)
    copy = Copy()
    assert await copy.pull(engine, reader, limit_bytes) == copy.digest
    official = engine.replica("official-2")
    for type_ in ("score", "injury", "note"):
        await official.update(f"{type_}-5", 0, _type=type_, late=True)
        assert await copy.pull(engine, reader, limit_bytes) == copy.digest, "also after what it does not see"
    assert copy.resets == 0


async def test_two_classes_that_see_different_things_have_different_digests(engine: Engine) -> None:
    await a_match(engine)
    digests = [await Copy().pull(engine, reader) for reader in (VIEWER, SCORER, SEES_ALL)]
    assert len(set(digests)) == 3


async def test_a_hidden_version_is_no_gap_to_who_watches(engine: Engine) -> None:
    official = engine.replica("official")
    copies = {reader: Copy() for reader in CLASSES}
    for reader, copy in copies.items():
        await copy.pull(engine, reader)
    connections = {reader: await watching(engine, copy, reader) for reader, copy in copies.items()}
    for i, type_ in enumerate(["score", "injury", "note", "injury", "score"]):
        await official.create(f"r{i}", _type=type_, v=i)
        for reader, copy in copies.items():
            shown = await copy.follow(connections[reader])
            assert shown == ([f"r{i}"] if reader.sees(type_) else []), "an empty delta, if need be"
    for reader, copy in copies.items():
        at = copy.cursor
        assert await copy.pull(engine, reader) == copy.digest
        assert (copy.cursor, copy.resets) == (at, 0), "in step with what a pull says"


async def test_a_hidden_version_is_no_gap_to_who_pulls(engine: Engine) -> None:
    official = engine.replica("official")
    await official.create("s", _type="score", v=1)
    person = Copy()
    await person.pull(engine, VIEWER)
    for i in range(7):
        await official.create(f"i{i}", _type="injury", v=i)
    before = person.cursor
    await person.pull(engine, VIEWER)
    assert (person.ids, person.resets) == ({"s"}, 0)
    assert person.cursor != before, "it moves on over what is hidden"
    await watching(engine, person, VIEWER)


async def test_what_was_committed_elsewhere_is_read_once_and_filtered_for_each_class(engine: Engine) -> None:
    copies = {reader: Copy() for reader in (VIEWER, SCORER, SEES_ALL)}
    for reader, copy in copies.items():
        await copy.pull(engine, reader)
    connections = {reader: await watching(engine, copy, reader) for reader, copy in copies.items()}
    # Another node's commit: nothing is offered here, the bus only names a version.
    engine.watcher.offer = lambda delta: None  # type: ignore[method-assign]
    official = engine.replica("official")
    await official.push(
        official.change("create", "s", 0, _type="score", v=1), official.change("create", "i", 0, _type="injury", v=1)
    )
    assert [await copy.follow(connections[reader]) for reader, copy in copies.items()] == [
        ["s"],
        ["s", "i"],
        ["s", "i"],
    ]


async def test_a_subscriber_whose_class_changes_gets_no_frame_of_the_old_one_any_more(engine: Engine) -> None:
    official = engine.replica("official")
    person = Copy()
    await person.pull(engine, SCORER)
    connection = await watching(engine, person, SCORER)
    await official.create("i1", _type="injury", v=1)
    await asyncio.sleep(0)
    standing = (await engine.watcher.subscribe(connection, {"main": person.cursor}, VIEWER))["main"]
    assert standing.cursor is None, "pull: the cursor is of another class"
    await person.pull(engine, VIEWER)
    await official.push(
        official.change("create", "i2", 0, _type="injury", v=2), official.change("create", "s2", 0, _type="score", v=2)
    )
    assert await person.follow(connection) == ["s2"]


async def test_a_new_version_of_the_app_begins_with_a_fresh_snapshot(tmp_path: Path) -> None:
    """What a field means, and who may read it, is the version's to say."""
    async with open_engine(tmp_path / "db") as engine:
        await a_match(engine)
        phone = Copy()
        await phone.pull(engine, ReaderClass(None, schema=3))
        await phone.pull(engine, ReaderClass(None, schema=3))
        assert phone.resets == 0
        assert await phone.pull(engine, ReaderClass(None, schema=4)) == phone.digest
        assert phone.resets == 1


async def test_a_cursor_of_a_class_outlives_a_restart(tmp_path: Path) -> None:
    async with open_engine(tmp_path / "db") as engine:
        await a_match(engine)
        phone = Copy()
        await phone.pull(engine, VIEWER)
    async with open_engine(tmp_path / "db") as engine:
        assert await phone.pull(engine, VIEWER) == phone.digest
        assert phone.resets == 0
