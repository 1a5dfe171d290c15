"""Updates of documents that travel with a delta: as they were committed, in order, bounded, and to nobody else."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, cast

import msgpack
import pytest
from pycrdt import Doc, Text

from conflict_rules import Change
from syncd.app import App, HookTransaction, Resource, Veto, rules
from syncd.documents.pool import DocumentPool
from syncd.engine.connection import Connection
from syncd.engine.limits import Limits
from syncd.engine.reader_class import ReaderClass
from syncd.engine.relay import Run, joined, within
from syncd.errors import StoreUnavailable
from syncd.store.protocol import Commit, DocumentKey, Store, Transaction
from tests.support.engine import Engine, Replica, open_engine
from tests.support.onlookers import bodies_of

app = App("clubs")
SCOPE = "club:a"
MANY = 30


@app.resource(scope="club:{club}", rule=rules.merge)
class Note(Resource):
    club: str
    title: str = ""
    text: Annotated[str, rules.crdt] = ""
    aside: Annotated[str, rules.crdt] = ""


@app.on_change(Note)
async def no_swearing(tx: HookTransaction, change: Change) -> None:
    if change.fields.get("title") == "damn":
        raise Veto("no swearing", code="swearing")


class Writer:
    """Somebody who types into the fields of one note. `sent`: the updates of each field, in order."""

    def __init__(self, engine: Engine, name: str = "w", *, id: str = "n", scope: str = SCOPE) -> None:
        self.replica = Replica(engine, name)
        self.id = id
        self.scope = scope
        self.docs: dict[str, Any] = {}
        self.sent: dict[str, list[str]] = {}

    def types(self, letters: str, field: str = "text") -> dict[str, str]:
        """The value of a field that brings this."""
        doc = self.docs.setdefault(field, Doc())
        text = doc.get(field, type=Text)
        before = doc.get_state()
        text += letters
        update = base64.b64encode(doc.get_update(before)).decode()
        self.sent.setdefault(field, []).append(update)
        return {"update": update}

    def change(self, op: str = "update", base: int = 0, /, **fields: Any) -> dict[str, Any]:
        return self.replica.change(op, self.id, base, _scope=self.scope, **fields)

    async def begins(self, **fields: Any) -> None:
        (outcome,) = await self.replica.push(self.change("create", club=self.scope.removeprefix("club:"), **fields))
        assert outcome["outcome"] == "applied"

    async def writes(self, letters: str, field: str = "text") -> dict[str, Any]:
        (outcome,) = await self.replica.push(self.change(**{field: self.types(letters, field)}))
        assert outcome["outcome"] in ("applied", "merged")
        return outcome


OpenEngine = Callable[..., Any]


@pytest.fixture
def open_one(tmp_path: Path) -> OpenEngine:
    @asynccontextmanager
    async def one(**options: Any) -> AsyncIterator[Engine]:
        pool = DocumentPool()
        try:
            async with open_engine(tmp_path / "db", app=app, documents=pool, **options) as engine:
                yield engine
        finally:
            await pool.close()

    return one


@pytest.fixture
async def engine(open_one: OpenEngine) -> AsyncIterator[Engine]:
    async with open_one() as engine:
        yield engine


async def watching(
    engine: Engine,
    *,
    scope: str = SCOPE,
    reader: ReaderClass | None = None,
    documents: bool = True,
    packed: bool = False,
    **bounds: int,
) -> Connection:
    """A connection that is up to date in `scope`."""
    reader = reader or ReaderClass()
    connection = engine.watcher.connect(packed=packed, **bounds)
    cursor = (await engine.puller.pull("w", {scope: None}, reader=reader))[scope].cursor
    standings = await engine.watcher.subscribe(connection, {scope: cursor}, reader, documents=documents)
    assert standings[scope].cursor == cursor
    return connection


async def frame_of(connection: Connection) -> dict[str, Any]:
    async with asyncio.timeout(5):
        frame = await connection.take()
    assert frame is not None, "the connection was closed"
    return dict(msgpack.unpackb(frame.body) if connection.packed else json.loads(frame.body))


async def frames_upto(engine: Engine, connection: Connection, reader: ReaderClass | None = None) -> list[Any]:
    """All frames up to where the scope is now."""
    end = (await engine.puller.pull("w", {SCOPE: None}, 1 << 20, reader=reader or ReaderClass()))[SCOPE].cursor
    frames = [await frame_of(connection)]
    while frames[-1]["upto"] != end:
        frames.append(await frame_of(connection))
    return frames


def run(since: int, after: int, *updates: bytes) -> Run:
    return Run(since, after, updates)


class TestRuns:
    A, B = DocumentKey("note", "a", "text"), DocumentKey("note", "b", "text")

    def test_what_follows_is_joined(self) -> None:
        assert run(3, 0, b"x").then(run(3, 1, b"y", b"z")) == run(3, 0, b"x", b"y", b"z")

    @pytest.mark.parametrize("later", [run(3, 2, b"y"), run(7, 0, b"y"), run(3, 0, b"y")])
    def test_what_does_not_follow_stands_alone(self, later: Run) -> None:
        assert run(3, 0, b"x").then(later) == later

    def test_each_document_has_one(self) -> None:
        found = joined({self.A: run(1, 0, b"x")}, {self.B: run(2, 0, b"y"), self.A: run(1, 1, b"z")})
        assert found == {self.A: run(1, 0, b"x", b"z"), self.B: run(2, 0, b"y")}

    def test_what_has_no_room_is_left_out_whole(self) -> None:
        runs = {self.A: run(1, 0, b"xxx", b"xxx"), self.B: run(2, 0, b"yy")}
        assert within(runs, 5) == {self.B: run(2, 0, b"yy")}
        assert within(runs, 8) == runs
        assert within(runs, 0) == {}


async def test_an_update_comes_with_the_delta_of_its_commit_as_it_was_sent(engine: Engine) -> None:
    writer = Writer(engine)
    await writer.begins(title="training")
    connection = await watching(engine)
    outcome = await writer.writes("नमस्ते")
    frame = await frame_of(connection)
    [entry] = frame["entries"]
    assert entry["fields"]["text"] == {"document": {"since": outcome["version"], "seq": 1}}
    assert frame["documents"] == [
        {
            "type": "note",
            "id": "n",
            "field": "text",
            "since": outcome["version"],
            "after": 0,
            "seq": 1,
            "updates": writer.sent["text"],
        }
    ]
    await writer.writes("!")
    [relayed] = (await frame_of(connection))["documents"]
    assert (relayed["since"], relayed["after"], relayed["seq"]) == (outcome["version"], 1, 2)
    assert relayed["updates"] == writer.sent["text"][1:]


async def test_who_has_not_asked_gets_the_delta_without_and_as_the_same_bytes(engine: Engine) -> None:
    writer = Writer(engine)
    await writer.begins()
    asked, one, other = [await watching(engine, documents=documents) for documents in (True, False, False)]
    await writer.writes("a")
    frames = [await anext(bodies_of(connection)) for connection in (asked, one, other)]
    assert frames[1] is frames[2]
    with_updates, without = json.loads(frames[0]), json.loads(frames[1])
    assert with_updates.pop("documents")
    assert with_updates == without


async def test_those_who_have_asked_get_the_same_bytes_in_each_format(engine: Engine) -> None:
    writer = Writer(engine)
    await writer.begins()
    connections = [await watching(engine, packed=packed) for packed in (False, False, True, True)]
    await writer.writes("a")
    text, again, packed, packed_again = [await anext(bodies_of(connection)) for connection in connections]
    assert text is again
    assert packed is packed_again
    assert msgpack.unpackb(packed) == json.loads(text)
    assert json.loads(text)["documents"]


async def test_a_delta_that_touches_no_document_says_nothing_of_documents(engine: Engine) -> None:
    writer = Writer(engine)
    await writer.begins(text=writer.types("a"))
    connection = await watching(engine)
    await writer.replica.push(writer.change(title="another"))
    assert "documents" not in await frame_of(connection)


async def test_updates_of_one_push_are_one_entry_for_each_document(engine: Engine) -> None:
    writer = Writer(engine)
    await writer.begins()
    connection = await watching(engine)
    await writer.replica.push(
        *(writer.change(text=writer.types(letter), aside=writer.types(letter, "aside")) for letter in "abc"),
        writer.change(text=writer.types("d")),
    )
    [frame] = await frames_upto(engine, connection)
    told = {each["field"]: (each["after"], each["seq"], each["updates"]) for each in frame["documents"]}
    assert told == {"text": (0, 4, writer.sent["text"]), "aside": (0, 3, writer.sent["aside"])}


async def test_another_scope_hears_nothing(engine: Engine) -> None:
    here, there = Writer(engine, "h"), Writer(engine, "t", id="m", scope="club:b")
    connection = await watching(engine)
    await there.begins(text=there.types("secret"))
    await there.writes("more")
    await here.begins(text=here.types("a"))
    [frame] = await frames_upto(engine, connection)
    assert [(each["id"], each["updates"]) for each in frame["documents"]] == [("n", here.sent["text"])]


async def test_who_asks_for_other_types_is_sent_none(engine: Engine) -> None:
    """Law 6: what a class does not see comes in no other way either."""
    writer = Writer(engine)
    await writer.begins()
    reader = ReaderClass(frozenset({"event"}))
    connection = await watching(engine, reader=reader)
    sees = await watching(engine, reader=ReaderClass(frozenset({"note"})))
    await writer.writes("a")
    frame = await frame_of(connection)
    assert (frame["entries"], "documents" in frame) == ([], False)
    assert (await frame_of(sees))["documents"]


async def test_another_subscription_without_them_takes_the_place_of_the_first(engine: Engine) -> None:
    writer = Writer(engine)
    await writer.begins()
    connection = await watching(engine)
    await engine.watcher.subscribe(connection, {SCOPE: None})
    await writer.writes("a")
    assert "documents" not in await frame_of(connection)
    engine.watcher.unsubscribe(connection, [SCOPE])
    assert not connection.relaying


async def test_a_refused_update_goes_to_nobody(engine: Engine) -> None:
    writer = Writer(engine)
    await writer.begins()
    connection = await watching(engine)
    refused = {"update": base64.b64encode(b"\x01\x01\x01").decode()}
    outcomes = await writer.replica.push(
        writer.change(text=refused), writer.change(text=writer.types("vetoed"), title="damn")
    )
    assert {outcome["outcome"] for outcome in outcomes} == {"rejected"}
    writer.docs.clear()
    await writer.writes("good")
    [frame] = await frames_upto(engine, connection)
    assert [each["updates"] for each in frame["documents"]] == [writer.sent["text"][-1:]]


async def test_a_new_life_begins_with_its_first(engine: Engine) -> None:
    writer = Writer(engine)
    await writer.begins(text=writer.types("old"))
    connection = await watching(engine)
    (deleted,) = await writer.replica.push(writer.change("delete", 1))
    writer.docs.clear()
    restore = writer.change("restore", deleted["version"], club="a", text=writer.types("new"))
    (outcome,) = await writer.replica.push(restore)
    frames = await frames_upto(engine, connection)
    [relayed] = frames[-1]["documents"]
    assert (relayed["since"], relayed["after"], relayed["seq"]) == (outcome["version"], 0, 1)
    assert relayed["updates"] == writer.sent["text"][1:]


class Failing:
    """A store whose commits fail while `fails` is set. `committed`: how many succeeded."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.fails = False
        self.committed = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    @asynccontextmanager
    async def transaction(self, *, replicas: Collection[str], scopes: Collection[str]) -> AsyncIterator[Transaction]:
        async with self.store.transaction(replicas=replicas, scopes=scopes) as transaction:
            yield cast(Transaction, FailingTransaction(self, transaction))
        self.committed += 1


class FailingTransaction:
    def __init__(self, failing: Failing, transaction: Transaction) -> None:
        self.failing = failing
        self.transaction = transaction

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transaction, name)

    async def commit(self, commit: Commit) -> None:
        if self.failing.fails:
            raise StoreUnavailable("the disk is full")
        await self.transaction.commit(commit)


async def test_updates_go_out_only_once_they_are_committed(open_one: OpenEngine) -> None:
    stores: list[Failing] = []

    def wrap(store: Store) -> Store:
        stores.append(Failing(store))
        return cast(Store, stores[-1])

    async with open_one(wrap=wrap) as engine:
        [store] = stores
        writer = Writer(engine)
        await writer.begins()
        connection = await watching(engine)
        offered: list[int] = []
        offer = engine.watcher.offer

        def noting(delta: Any) -> None:
            offered.append(store.committed)
            offer(delta)

        engine.watcher.offer = noting
        before = store.committed
        store.fails = True
        lost = writer.change(text=writer.types("lost"))
        with pytest.raises(StoreUnavailable):
            await writer.replica.push(lost)
        store.fails = False
        assert not offered
        writer.replica.n -= 1
        writer.docs.clear()
        await writer.writes("kept")
        assert offered == [before + 1], "by then the transaction had ended"
        [frame] = await frames_upto(engine, connection)
        assert [each["updates"] for each in frame["documents"]] == [writer.sent["text"][1:]]


async def test_what_is_larger_than_a_delta_may_bring_is_left_out(open_one: OpenEngine) -> None:
    async with open_one(limits=Limits(max_relay_bytes=300)) as engine:
        writer = Writer(engine)
        await writer.begins()
        connection = await watching(engine)
        await writer.replica.push(
            writer.change(text=writer.types("x" * 400)), writer.change(aside=writer.types("short", "aside"))
        )
        [frame] = await frames_upto(engine, connection)
        assert [each["field"] for each in frame["documents"]] == ["aside"]
        await writer.writes("y" * 400)
        [alone] = await frames_upto(engine, connection)
        assert "documents" not in alone
        assert alone["entries"][0]["fields"]["text"]["document"]["seq"] == 2
        await writer.writes("z")
        [relayed] = (await frame_of(connection))["documents"]
        assert (relayed["after"], relayed["seq"]) == (2, 3), "who has fetched in between goes on live"


@pytest.mark.parametrize("packed", [False, True], ids=["json", "msgpack"])
async def test_many_that_wait_for_a_slow_reader_are_one_entry_for_each_document(engine: Engine, packed: bool) -> None:
    writer = Writer(engine)
    await writer.begins()
    slow, quick = await watching(engine, packed=packed), await watching(engine, packed=packed)
    told = []
    for n in range(MANY):
        await writer.writes("x", "text" if n % 2 else "aside")
        told.append(await frame_of(quick))
    assert len(told) == MANY
    [frame] = await frames_upto(engine, slow)
    assert (frame["after"], frame["upto"]) == (told[0]["after"], told[-1]["upto"])
    assert frame["entries"] == told[-1]["entries"], "of each state the newest"
    runs = {each["field"]: (each["after"], each["seq"], each["updates"]) for each in frame["documents"]}
    assert runs == {field: (0, MANY // 2, writer.sent[field]) for field in ("text", "aside")}


async def test_what_is_grouped_is_bounded_and_follows_without_a_gap(open_one: OpenEngine) -> None:
    async with open_one(limits=Limits(max_relay_bytes=200)) as engine:
        writer = Writer(engine)
        await writer.begins()
        slow = await watching(engine)
        for _ in range(MANY):
            await writer.writes("x")
        frames = await frames_upto(engine, slow)
        assert 1 < len(frames) < MANY
        assert all(before["upto"] == after["after"] for before, after in pairwise(frames))
        runs = [each for frame in frames for each in frame["documents"]]
        assert all(sum(len(base64.b64decode(update)) for update in each["updates"]) <= 200 for each in runs)
        assert [update for each in runs for update in each["updates"]] == writer.sent["text"]
        assert [each["after"] for each in runs] == [0, *(each["seq"] for each in runs[:-1])]


async def test_other_scopes_keep_what_waits_when_one_is_grouped(engine: Engine) -> None:
    here, there = Writer(engine, "h"), Writer(engine, "t", id="m", scope="club:b")
    await here.begins()
    await there.begins()
    slow = await watching(engine)
    await engine.watcher.subscribe(slow, {"club:b": None}, documents=True)
    for n in range(MANY):
        await here.writes("x")
        if n < 3:
            await there.writes("y")
    first, *others = [await frame_of(slow) for _ in range(4)]
    assert (first["scope"], first["documents"][0]["updates"]) == (SCOPE, here.sent["text"])
    assert [each["documents"][0]["updates"] for each in others] == [[update] for update in there.sent["text"]]
    await here.writes("z")
    assert (await frame_of(slow))["after"] == first["upto"]


async def test_updates_count_where_a_slow_reader_is_told_to_pull(engine: Engine) -> None:
    """Invariant 9."""
    writer = Writer(engine)
    await writer.begins()
    asked, plain = [await watching(engine, documents=documents, max_bytes=20_000) for documents in (True, False)]
    for _ in range(3):
        await writer.writes("x" * 8000)
    assert await frame_of(asked) == {"type": "pull", "scopes": [SCOPE]}
    assert (await frame_of(plain))["type"] == "delta"


async def test_what_follows_a_hint_to_pull_is_not_joined_to_what_waited_before(engine: Engine) -> None:
    writer = Writer(engine)
    await writer.begins()
    slow = await watching(engine)
    for _ in range(12):
        await writer.writes("x")
    slow.tell_to_pull([SCOPE])
    await writer.writes("missed")
    assert (await frame_of(slow))["type"] == "pull"
    for _ in range(12):
        await writer.writes("y")
    frames = await frames_upto(engine, slow)
    assert [(each["documents"][0]["after"], each["documents"][0]["seq"]) for each in frames] == [(0, 12), (13, 25)]
