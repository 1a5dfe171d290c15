"""What the server takes out of resources by itself: a new version, told like any other, and once is enough."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import pytest

from conflict_rules import State
from conflict_rules.digest import scope_digest
from conflict_rules.scrubbed import by_scrubber
from conflict_rules.values import JsonValue
from conflict_rules.wire import decode_state, encode_state
from syncd.app import App, Resource, rules
from syncd.engine.entry import read_entry
from syncd.engine.retrace import Retrace
from syncd.engine.scrub import Left, Scrubber
from syncd.store.protocol import Store, Transaction
from tests.support.engine import Engine, open_engine


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    async with open_engine(tmp_path / "club.db") as opened:
        yield opened


@pytest.fixture
def scrubber(engine: Engine) -> Scrubber:
    return Scrubber(engine.store, 1, engine.pusher.publish, engine.clock)


def nameless(state: State) -> Mapping[str, JsonValue]:
    return {"name": None} if "name" in state.fields else {}


NOTES = [("note", name) for name in ("a", "b", "never")]


async def test_what_is_left_is_a_new_version_with_a_line_in_the_history(engine: Engine, scrubber: Scrubber) -> None:
    phone = engine.replica("phone")
    await phone.create("a", name="Ann", goals=3)
    await phone.create("b", goals=1)
    told: list[tuple[str, int]] = []
    engine.bus.subscribe(lambda scope, version: told.append((scope, version)))
    assert await scrubber.scrub(NOTES, nameless) == 1
    states = await engine.states()
    assert states["a"]["fields"] == {"name": None, "goals": 3}
    assert (states["a"]["version"], states["b"]["version"]) == (3, 2)
    assert by_scrubber(states["a"]["origin"][0])
    assert ("main", 3) in told
    async with engine.store.snapshot() as snapshot:
        digest = (await snapshot.digests(["main"]))["main"]
        history = await snapshot.history(("note", "a"), limit=9, limit_bytes=9999)
    assert digest == scope_digest(decode_state(state, "main") for state in states.values())
    assert [row.settled.kind for row in history.rows] == ["applied", "applied"]


async def test_once_is_enough(engine: Engine, scrubber: Scrubber) -> None:
    await engine.replica("phone").create("a", name="Ann")
    assert await scrubber.scrub(NOTES, nameless) == 1
    again = Scrubber(engine.store, 1, engine.pusher.publish, engine.clock)
    assert await again.scrub(NOTES, nameless) == 0
    assert await scrubber.scrub(NOTES, lambda _: None) == 1
    assert await scrubber.scrub(NOTES, lambda _: None) == 0
    assert (await engine.states())["a"]["deleted"]


async def test_a_tombstone_that_keeps_nothing_is_stamped_anew_once_and_is_as_old_as_it_was(
    engine: Engine, scrubber: Scrubber
) -> None:
    phone = engine.replica("phone")
    await phone.create("a", name="Ann")
    await phone.delete("a", 1)
    before = (await engine.states())["a"]
    assert await scrubber.scrub(NOTES, lambda _: {}) == 0
    assert await scrubber.scrub(NOTES, lambda _: {"name": None}) == 1
    after = (await engine.states())["a"]
    assert by_scrubber(after["origin"][0])
    assert after == {**before, "version": 3, "origin": after["origin"]}
    assert await scrubber.scrub(NOTES, lambda _: None) == 0
    [back] = await phone.push(phone.change("restore", "a", 2, name="Bob"))
    assert back["outcome"] == "applied", "who has seen the delete may still bring it back"


@pytest.mark.parametrize("deletes", ["delete_wins", "update_wins"])
async def test_the_history_tells_every_state_that_it_has_led_to(
    tmp_path: Path, deletes: Literal["delete_wins", "update_wins"]
) -> None:
    app = App("club")

    @app.resource(scope="main", deletes=deletes)
    class Note(Resource):
        name: str | None = None
        minute: Annotated[int | None, rules.manual] = None

    async with open_engine(tmp_path / "app.db", app=app) as engine:
        scrubber = Scrubber(engine.store, 1, engine.pusher.publish, engine.clock)
        phone, tablet = engine.replica("phone"), engine.replica("tablet")
        states: list[dict[str, Any]] = []

        async def look() -> int:
            states.append((await engine.states())["a"])
            return int(states[-1]["version"])

        async def scrub(left: Left) -> None:
            await scrubber.scrub(NOTES, left)
            await look()

        await phone.create("a", name="Ann", minute=1)
        await look()
        assert (await tablet.update("a", 0, minute=2))["outcome"] == "conflict"
        await look()
        await scrub(lambda _: {"minute": None})
        await phone.delete("a", await look())
        await look()
        await scrub(nameless)
        await scrub(lambda _: None)
        async with engine.store.snapshot() as snapshot:
            page = await snapshot.history(("note", "a"), limit=99, limit_bytes=1 << 20)
        retrace = Retrace(app.types["note"].rule)
        told: dict[int, Any] = {}
        for row in page.rows:
            retrace.take(read_entry(row))
            assert retrace.state is not None
            told[retrace.state.version] = encode_state(retrace.state)
        assert retrace.exact
        assert {state["version"]: state for state in states} == told


async def test_whoever_has_seen_it_may_write_over_it_and_whoever_has_not_needs_a_later_stamp(
    engine: Engine, scrubber: Scrubber
) -> None:
    phone, tablet = engine.replica("phone"), engine.replica("tablet")
    await phone.create("a", name="Ann", goals=3)
    earlier: dict[str, Any] = tablet.change("update", "a", 1, name="Ann again")
    engine.clock.advance(10)
    await scrubber.scrub(NOTES, nameless)
    [outcome] = await tablet.push(earlier)
    assert outcome["outcome"] == "overruled"
    assert (await engine.fields())["a"]["name"] is None
    assert (await phone.update("a", 2, name="Bob"))["outcome"] == "applied"


async def test_many_go_in_portions_and_others_get_their_turn(engine: Engine, scrubber: Scrubber) -> None:
    phone = engine.replica("phone")
    await phone.push(*[phone.change("create", f"n{i}", 0, name="Ann") for i in range(250)])
    heads: list[int] = []
    engine.bus.subscribe(lambda _, version: heads.append(version))
    assert await scrubber.scrub([("note", f"n{i}") for i in range(250)], nameless) == 250
    assert {350, 450, 500} <= set(heads)


class CameUpMeanwhile:
    """A store in which somebody creates `resource` once it was looked at what there is, before the locks are taken."""

    def __init__(self, engine: Engine, scope: str, resource: str) -> None:
        self._engine = engine
        self._scope = scope
        self._resource = resource
        self._done = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine.store, name)

    @asynccontextmanager
    async def transaction(self, *, replicas: Collection[str], scopes: Collection[str]) -> AsyncIterator[Transaction]:
        if not self._done:
            self._done = True
            phone = self._engine.replica("another-phone")
            await phone.push(phone.change("create", self._resource, 0, _scope=self._scope, name="Bo"))
        async with self._engine.store.transaction(replicas=replicas, scopes=scopes) as transaction:
            yield transaction


async def test_what_comes_up_in_another_scope_meanwhile_goes_after_what_is_there(engine: Engine) -> None:
    """Else its scope, whose lock is not held and whose head is not known, would count from 1 again."""
    phone = engine.replica("phone")
    await phone.create("a", name="Ann")
    for i in range(3):
        await phone.push(phone.change("create", f"o{i}", 0, _scope="other", goals=i))
    store = cast(Store, CameUpMeanwhile(engine, "other", "b"))
    scrubber = Scrubber(store, 1, engine.pusher.publish, engine.clock)
    assert await scrubber.scrub(NOTES, nameless) == 2
    other = await engine.states("other")
    assert (other["b"]["fields"], other["b"]["version"]) == ({"name": None}, 5)
    async with engine.store.snapshot() as snapshot:
        assert (await snapshot.heads(["main", "other"])) == {"main": 2, "other": 5}
        digest = (await snapshot.digests(["other"]))["other"]
    assert digest == scope_digest(decode_state(state, "other") for state in other.values())
