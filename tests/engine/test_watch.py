"""Watch: one encoding for all, gaps that are told, queues that are bounded."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgpack
import pytest

from syncd.engine import topic
from syncd.engine.connection import Connection, LiveFrame
from syncd.engine.delta import pack_frame
from syncd.engine.reader_class import ReaderClass
from syncd.errors import StoreUnavailable
from syncd.store.protocol import Snapshot
from tests.support.engine import Engine
from tests.support.onlookers import bodies_of


async def next_frame(connection: Connection) -> dict[str, Any]:
    async with asyncio.timeout(5):
        frame = await connection.take()
    assert frame is not None, "the connection was closed"
    return dict(json.loads(frame.body))


async def watching(engine: Engine, scope: str = "main", **bounds: int) -> tuple[Connection, str]:
    """A connection that is up to date in `scope`, and its cursor."""
    connection = engine.watcher.connect(**bounds)
    cursor = (await engine.puller.pull("w", {scope: None}))[scope].cursor
    standing = (await engine.watcher.subscribe(connection, {scope: cursor}))[scope]
    assert standing.cursor == cursor
    return connection, cursor


async def test_a_commit_reaches_a_watcher_as_a_delta_that_follows_its_cursor(engine: Engine) -> None:
    connection, cursor = await watching(engine)
    await engine.replica("a").create("x", v=1)
    frame = await next_frame(connection)
    assert (frame["type"], frame["scope"], frame["after"]) == ("delta", "main", cursor)
    assert frame["upto"] == (await engine.puller.pull("w", {"main": None}))["main"].cursor
    assert [(entry["id"], entry["fields"], entry["origin"]) for entry in frame["entries"]] == [
        ("x", {"v": 1}, ["a", 1])
    ]


async def test_everyone_gets_the_same_bytes(engine: Engine) -> None:
    first, _ = await watching(engine)
    second, _ = await watching(engine)
    await engine.replica("a").create("x", v=1)
    frames = [await anext(bodies_of(connection)) for connection in (first, second)]
    assert frames[0] is frames[1], "encoded once"


async def test_changes_of_one_commit_travel_as_one_frame_with_the_newest_states(engine: Engine) -> None:
    connection, _ = await watching(engine)
    a = engine.replica("a")
    await a.push(a.change("create", "x", 0, v=1), a.change("create", "y", 0, v=1), a.change("update", "x", 0, v=2))
    frame = await next_frame(connection)
    assert [(entry["id"], entry["version"]) for entry in frame["entries"]] == [("y", 2), ("x", 3)]


async def test_frames_follow_one_another_without_a_gap(engine: Engine) -> None:
    connection, cursor = await watching(engine)
    a = engine.replica("a")
    for i in range(5):
        await a.create(f"r{i}", v=i)
    met = 0
    while met < 5:
        frame = await next_frame(connection)
        assert frame["after"] == cursor
        cursor, met = frame["upto"], met + len(frame["entries"])


async def test_who_is_behind_is_told_to_pull(engine: Engine) -> None:
    a = engine.replica("a")
    await a.create("x", v=1)
    old = (await engine.puller.pull("w", {"main": None}))["main"].cursor
    await a.create("y", v=1)
    connection = engine.watcher.connect()
    standings = await engine.watcher.subscribe(connection, {"main": old, "other": None, "third": "nonsense"})
    assert [standing.cursor for standing in standings.values()] == [None, None, None]


async def test_only_watched_scopes_are_sent(engine: Engine) -> None:
    connection, _ = await watching(engine, "north")
    a = engine.replica("a")
    await a.create("x", _scope="south", v=1)
    await a.create("y", _scope="north", v=1)
    assert (await next_frame(connection))["scope"] == "north"


async def test_an_unwatched_scope_falls_silent_and_what_waited_is_dropped(engine: Engine) -> None:
    connection, _ = await watching(engine, "north")
    await engine.watcher.subscribe(connection, {"south": None})
    a = engine.replica("a")
    await a.create("x", _scope="north", v=1)
    await asyncio.sleep(0)
    engine.watcher.unsubscribe(connection, ["north", "never-watched"])
    await a.create("y", _scope="south", v=1)
    assert (await next_frame(connection))["scope"] == "south"


async def test_a_slow_reader_costs_bounded_memory_and_is_told_to_pull(engine: Engine) -> None:
    """Invariant 9."""
    connection, _ = await watching(engine, max_frames=3)
    a = engine.replica("a")
    for i in range(10):
        await a.create(f"r{i}", v=i)
        await asyncio.sleep(0)
    assert await next_frame(connection) == {"type": "pull", "scopes": ["main"]}
    await a.create("later", v=1)
    assert (await next_frame(connection))["type"] == "delta", "after the hint it goes on live"


async def test_a_large_backlog_counts_by_bytes_too(engine: Engine) -> None:
    connection, _ = await watching(engine, max_bytes=10_000)
    a = engine.replica("a")
    for i in range(4):
        await a.create(f"r{i}", text="x" * 4000)
        await asyncio.sleep(0)
    assert (await next_frame(connection))["type"] == "pull"


async def test_what_another_node_committed_is_read_from_the_store(engine: Engine) -> None:
    connection, cursor = await watching(engine)
    # The delta is not in this node's memory; only the bus speaks of it.
    offer, engine.watcher.offer = engine.watcher.offer, lambda _: None  # type: ignore[method-assign]
    await engine.replica("a").create("x", v=1)
    frame = await next_frame(connection)
    assert (frame["after"], [entry["id"] for entry in frame["entries"]]) == (cursor, ["x"])
    engine.watcher.offer = offer  # type: ignore[method-assign]
    await engine.replica("b").create("y", v=1)
    following = await next_frame(connection)
    assert (following["after"], [entry["id"] for entry in following["entries"]]) == (frame["upto"], ["y"])


async def test_news_of_what_the_store_does_not_have_is_not_waited_for(engine: Engine) -> None:
    connection, cursor = await watching(engine)
    engine.bus.publish("main", 7)
    await engine.replica("a").create("x", v=1)
    assert (await next_frame(connection))["after"] == cursor


async def test_closing_ends_every_connection(engine: Engine) -> None:
    connection, _ = await watching(engine)
    reader = asyncio.create_task(_drain(connection))
    await asyncio.sleep(0)
    await engine.watcher.close()
    async with asyncio.timeout(5):
        await reader
    assert connection.closed


async def _drain(connection: Connection) -> None:
    while await connection.take() is not None:
        pass


async def test_a_subscription_that_fails_leaves_nothing_behind_and_ends_no_other(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 9: deltas would be kept for a scope that nobody was ever told to be watched."""
    connection, _ = await watching(engine, "north")
    with monkeypatch.context() as patched:
        patched.setattr(engine.store, "snapshot", _unavailable)
        with pytest.raises(StoreUnavailable):
            await engine.watcher.subscribe(connection, {"north": None, "south": None})
    other, _ = await watching(engine, "south")
    a = engine.replica("a")
    await a.create("x", _scope="south", v=1)
    assert (await next_frame(other))["scope"] == "south"
    await a.create("y", _scope="north", v=1)
    assert (await next_frame(connection))["scope"] == "north"


def _unavailable() -> None:
    raise StoreUnavailable("the database cannot be used now")


async def test_a_commit_made_while_the_store_is_read_in_vain_is_sent_all_the_same(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bus told of more than there is; what comes meanwhile must not wait for the next news."""
    connection, cursor = await watching(engine)
    moment = engine.store.snapshot
    reading, go_on = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def slow() -> AsyncIterator[Snapshot]:
        async with moment() as snapshot:
            await snapshot.heads(["main"])  # its moment, before the commit
            reading.set()
            await go_on.wait()
            yield snapshot

    monkeypatch.setattr(engine.store, "snapshot", slow)
    engine.bus.publish("main", 7)
    await reading.wait()
    await engine.replica("a").create("x", v=1)
    go_on.set()
    assert (await next_frame(connection))["after"] == cursor


async def test_after_news_that_could_not_be_read_the_next_commit_is_sent(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bus told of more than there is, and the store failed: what comes is below that, and goes out all the same."""
    connection, _ = await watching(engine)
    with monkeypatch.context() as patched:
        patched.setattr(engine.store, "snapshot", _unavailable)
        engine.bus.publish("main", 7)
        assert (await next_frame(connection))["type"] == "pull"
    await engine.replica("a").create("x", v=1)
    assert (await next_frame(connection))["type"] == "delta"


async def test_commits_beyond_what_is_kept_in_memory_come_from_the_store(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 9: a store that is slow to be read costs bounded memory; nothing is skipped for it."""
    connection, cursor = await watching(engine)
    moment = engine.store.snapshot
    go_on = asyncio.Event()

    @asynccontextmanager
    async def slow() -> AsyncIterator[Snapshot]:
        await go_on.wait()
        async with moment() as snapshot:
            yield snapshot

    monkeypatch.setattr(engine.store, "snapshot", slow)
    engine.bus.publish("main", 500)
    a = engine.replica("a")
    for i in range(100):
        await a.create(f"r{i}", v=i)
    go_on.set()
    frame = await next_frame(connection)
    assert (frame["after"], len(frame["entries"])) == (cursor, 100)
    await a.create("later", v=1)
    assert (await next_frame(connection))["after"] == frame["upto"]


async def test_message_pack_is_encoded_once_for_all_who_take_it_and_not_at_all_for_nobody(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    packings: list[bytes] = []

    def counted(frame: bytes) -> bytes:
        packings.append(frame)
        return pack_frame(frame)

    monkeypatch.setattr("syncd.engine.watch.pack_frame", counted)
    plain, cursor = await watching(engine)
    a = engine.replica("a")
    await a.create("x", v=1)
    await next_frame(plain)
    assert packings == []
    packed = [engine.watcher.connect(packed=True) for _ in range(2)]
    for connection in packed:
        await engine.watcher.subscribe(connection, {"main": cursor})
    await a.create("y", v="grüße")
    expected = await next_frame(plain)
    frames = [await anext(bodies_of(connection)) for connection in packed]
    assert frames[0] is frames[1], "encoded once"
    assert msgpack.unpackb(frames[0]) == expected
    assert len(packings) == 1


async def test_taking_a_frame_may_be_given_up_without_losing_one(engine: Engine) -> None:
    connection, _ = await watching(engine)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(connection.take(), 0.01)
    await engine.replica("a").create("x", v=1)
    frame = await asyncio.wait_for(connection.take(), 5)
    assert frame is not None
    assert (frame.scope, frame.upto) == ("main", (await engine.puller.pull("w", {"main": None}))["main"].cursor)
    engine.watcher.disconnect(connection)
    assert await connection.take() is None


async def test_who_looked_at_the_head_before_frames_began_above_it_is_told_to_pull(engine: Engine) -> None:
    """Two join a scope that nobody watched; the one that looked first is answered last."""
    looked, may_go_on = asyncio.Event(), asyncio.Event()
    stand = engine.watcher._stand

    async def stand_slowly(scopes: Mapping[str, str | None], reader: ReaderClass) -> Any:
        found = await stand(scopes, reader)
        looked.set()
        await may_go_on.wait()
        return found

    cursor = (await engine.puller.pull("w", {"main": None}))["main"].cursor
    slow, quick = engine.watcher.connect(), engine.watcher.connect()
    engine.watcher._stand = stand_slowly  # type: ignore[method-assign]
    joining = asyncio.create_task(engine.watcher.subscribe(slow, {"main": cursor}))
    await looked.wait()
    engine.watcher._stand = stand  # type: ignore[method-assign]
    await engine.replica("a").create("x", v=1)
    await engine.watcher.subscribe(quick, {"main": None})
    may_go_on.set()
    assert (await joining)["main"].cursor is None


class TestManyWatchersAndWriters:
    """While one frame goes out to many, what is committed meanwhile waits, to go out as one."""

    @pytest.fixture
    def slow_to_send(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
        """Whether more is being committed; and each frame takes a while to go out."""
        more = [True]
        engine.watcher.more_to_come = lambda: more[0]
        put = Connection.put

        def put_slowly(connection: Connection, scope: str, frame: LiveFrame) -> None:
            time.sleep(0.005)
            put(connection, scope, frame)

        monkeypatch.setattr(Connection, "put", put_slowly)
        return lambda coming: more.__setitem__(0, coming)

    @pytest.fixture
    def without_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whatever rests does so until something else ends it."""
        monkeypatch.setattr(topic, "_REST", 1_000_000)
        monkeypatch.setattr(topic, "_LONGEST_REST_S", 1_000_000)

    @staticmethod
    async def frames(engine: Engine, connection: Connection, commits: int) -> list[int]:
        """How many states came in each frame, of so many commits in a row."""
        a = engine.replica("a")
        for place in range(commits):
            await a.create(f"r{place}", v=place)
        counts: list[int] = []
        while sum(counts) < commits:
            counts.append(len((await next_frame(connection))["entries"]))
        return counts

    async def test_commits_that_follow_each_other_travel_together(
        self, engine: Engine, slow_to_send: Callable[[bool], None]
    ) -> None:
        connection, _ = await watching(engine)
        counts = await self.frames(engine, connection, 12)
        assert len(counts) < 12, "some frames held several commits"

    async def test_nothing_waits_once_nothing_more_is_coming(
        self, engine: Engine, slow_to_send: Callable[[bool], None], without_end: None
    ) -> None:
        connection, _ = await watching(engine)
        slow_to_send(False)
        assert await self.frames(engine, connection, 3) == [1, 1, 1]

    async def test_the_last_commit_goes_out_after_a_while_whatever_else_is_being_committed(
        self, engine: Engine, slow_to_send: Callable[[bool], None]
    ) -> None:
        connection, _ = await watching(engine)
        await self.frames(engine, connection, 2)

    async def test_where_rights_stand_nothing_waits(
        self, engine: Engine, slow_to_send: Callable[[bool], None], without_end: None
    ) -> None:
        connection, _ = await watching(engine)
        await engine.watcher.listen(connection, "main", lambda: None)
        assert await self.frames(engine, connection, 3) == [1, 1, 1]

    async def test_nothing_that_rests_waits_where_rights_come_to_stand(
        self, engine: Engine, slow_to_send: Callable[[bool], None], without_end: None
    ) -> None:
        connection, _ = await watching(engine)
        await self.frames(engine, connection, 1)
        await engine.watcher.listen(connection, "main", lambda: None)
        await engine.replica("b").create("x", v=1)
        assert (await next_frame(connection))["type"] == "delta"

    async def test_not_too_much_waits_together(
        self, engine: Engine, slow_to_send: Callable[[bool], None], without_end: None
    ) -> None:
        connection, _ = await watching(engine)
        await self.frames(engine, connection, 1)
        await engine.replica("b").create("large", text="x" * 40_000)
        assert (await next_frame(connection))["entries"][0]["id"] == "large"
        b = engine.replica("c")
        for place in range(32):
            await b.create(f"small{place}", v=place)
        assert len((await next_frame(connection))["entries"]) == 32

    @pytest.mark.parametrize("comes", ["by a pull", "by a subscription"])
    async def test_whoever_comes_in_between_gets_a_frame_that_follows(
        self, engine: Engine, slow_to_send: Callable[[bool], None], without_end: None, comes: str
    ) -> None:
        first, _ = await watching(engine)
        await self.frames(engine, first, 1)
        b = engine.replica("b")
        await b.create("before", v=1)
        if comes == "by a pull":
            second = engine.watcher.connect()
            await engine.watcher.subscribe(second, {"main": None})
            await b.create("before-too", v=1)
            cursor = (await engine.puller.pull("w", {"main": None}))["main"].cursor
        else:
            second, cursor = await watching(engine)
        await b.create("after", v=1)
        slow_to_send(False)
        await b.create("after-too", v=1)
        assert (await next_frame(first))["entries"][0]["id"] == "before"
        met: list[str] = []
        while "after-too" not in met:
            frame = await next_frame(second)
            if frame["after"] == cursor:
                met += [entry["id"] for entry in frame["entries"]]
                cursor = frame["upto"]
        assert met == ["after", "after-too"], "no further pull is due"


async def test_a_frame_for_which_nothing_waits_may_go_out_at_once() -> None:
    went: list[bytes] = []
    connection = Connection(max_bytes=10)

    def at_once(frame: LiveFrame) -> bool:
        went.append(frame.body)
        return frame.body != b"later"

    connection.at_once = at_once
    for body in (b"now", b"later", b"behind it"):
        connection.put("main", LiveFrame(body, "main"))
    assert went == [b"now", b"later"], "nothing overtakes what waits"
    assert [frame.body for frame in waiting_in(connection)] == [b'{"type":"pull","scopes":["main"]}'], "ten bytes"
    connection.put("main", LiveFrame(b"longer than ten bytes", "main"))
    assert went == [b"now", b"later"], "what is too large for the queue is not sent past it"


def waiting_in(connection: Connection) -> list[LiveFrame]:
    found = []
    while (frame := connection.next()) is not None:
        found.append(frame)
    return found
