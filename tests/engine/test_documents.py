"""Documents on the path of a push: judged before the transaction, written with it, each push after the other."""

from __future__ import annotations

import asyncio
import base64
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import pytest
from pycrdt import Doc, Text

from conflict_rules import Change
from conflict_rules.crdt import Marker
from syncd.app import App, HookTransaction, Resource, Veto, rules
from syncd.documents.pool import DocumentPool
from syncd.documents.protocol import RoundTripFailed, Squash
from syncd.engine.document_reader import AskedDocument, DocumentPart, DocumentReader
from syncd.engine.entry import read_entry
from syncd.engine.history import History
from syncd.errors import DocumentUnreadable, NotFound, StoreUnavailable
from syncd.store.protocol import DocumentKey
from tests.support import crdt
from tests.support.engine import Engine, Replica, open_engine

app = App("club")
NOTES = DocumentKey("note", "n", "text")
HANG = bytes.fromhex("01010400040105617272617905f09f98807800")


@app.resource(scope="main", rule=rules.merge)
class Note(Resource):
    title: str = ""
    text: Annotated[str, rules.crdt] = ""


@app.resource(scope="main", rule=rules.merge, deletes="update_wins")
class Plan(Resource):
    text: Annotated[str, rules.crdt] = ""


@app.on_change(Note)
async def no_swearing(tx: HookTransaction, change: Change) -> None:
    if change.fields.get("title") == "damn":
        raise Veto("no swearing", code="swearing")


class Writer:
    """A person with a document of his own, who types and sends."""

    def __init__(self, engine: Engine, name: str, *, type: str = "note", id: str = "n") -> None:
        self.engine = engine
        self.replica = Replica(engine, name)
        self.type = type
        self.id = id
        self.doc: Any = Doc()
        self.doc["text"] = Text()

    @property
    def text(self) -> str:
        return str(self.doc["text"])

    def types(self, at: int, letters: str) -> str:
        """Type, and return the update."""
        before = self.doc.get_state()
        self.doc["text"].insert(at, letters)
        return base64.b64encode(self.doc.get_update(before)).decode()

    def change(self, op: str, base: int = 0, /, **fields: Any) -> dict[str, Any]:
        return self.replica.change(op, self.id, base, _type=self.type, **fields)

    async def writes(self, at: int, letters: str, op: str = "update", **fields: Any) -> dict[str, Any]:
        (outcome,) = await self.replica.push(self.change(op, 0, text={"update": self.types(at, letters)}, **fields))
        return outcome

    def takes(self, part: DocumentPart) -> None:
        for update in part.updates:
            self.doc.apply_update(update)


@asynccontextmanager
async def a_pool() -> AsyncIterator[DocumentPool]:
    pool = DocumentPool()
    try:
        yield pool
    finally:
        await pool.close()


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    async with a_pool() as documents, open_engine(tmp_path / "db", app=app, documents=documents) as engine:
        yield engine


async def read(engine: Engine, since: int = 0, seq: int = 0, *, key: DocumentKey = NOTES) -> DocumentPart:
    return await reader(engine).read(AskedDocument(key, since, seq))


def reader(engine: Engine) -> DocumentReader:
    return DocumentReader(app, engine.store, engine.documents, History(engine.store, app))


def encoded(update: bytes) -> str:
    return base64.b64encode(update).decode()


async def content(engine: Engine, *, type: str = "note", id: str = "n") -> str:
    """What somebody reads who has nothing yet."""
    newcomer = Writer(engine, "newcomer")
    part = await read(engine, key=DocumentKey(type, id, "text"))
    newcomer.takes(part)
    state = (await engine.states())[id]
    assert state["fields"]["text"] == {"document": {"since": part.since, "seq": part.seq}}
    return newcomer.text


async def test_two_who_type_without_having_seen_each_other_end_with_the_letters_of_both(engine: Engine) -> None:
    a, b = Writer(engine, "a"), Writer(engine, "b")
    assert (await a.writes(0, "ab", "create"))["outcome"] == "applied"
    b.takes(await read(engine))
    await a.writes(2, "c")
    assert (await b.writes(0, "x"))["outcome"] == "merged"
    assert await content(engine) == "xabc"
    part = await read(engine, 1, 1)
    assert (part.since, part.seq, len(part.updates)) == (1, 3, 2)


async def test_what_was_answered_is_there_after_a_restart(tmp_path: Path) -> None:
    async with a_pool() as documents:
        async with open_engine(tmp_path / "db", app=app, documents=documents) as engine:
            writer = Writer(engine, "a")
            await writer.writes(0, "नेपाल", "create")
        async with open_engine(tmp_path / "db", app=app, documents=documents) as engine:
            writer.replica.engine = engine
            await writer.writes(15, "😀")
            assert await content(engine) == "नेपाल😀"


async def test_a_repeat_is_answered_again_and_the_change_behind_it_is_merged(engine: Engine) -> None:
    a = Writer(engine, "a")
    first = a.change("create", text={"update": a.types(0, "a")})
    second = a.change("update", text={"update": a.types(1, "b")})
    await a.replica.push(first)
    outcomes = await a.replica.push(first, second)
    assert [(each["outcome"], each.get("repeat", False)) for each in outcomes] == [
        ("applied", True),
        ("applied", False),
    ]
    assert await content(engine) == "ab"


@pytest.mark.parametrize("bad", [b"\x01\x01\x01", b"no update at all"])
async def test_an_update_that_cannot_be_read_is_refused_alone_with_its_field(engine: Engine, bad: bytes) -> None:
    a = Writer(engine, "a")
    outcomes = await a.replica.push(
        a.change("create", text={"update": a.types(0, "a")}),
        a.change("update", text={"update": base64.b64encode(bad).decode()}),
        a.change("update", text={"update": a.types(1, "b")}),
    )
    assert [each["outcome"] for each in outcomes] == ["applied", "rejected", "applied"]
    assert (outcomes[1]["code"], outcomes[1]["field"]) == ("invalid_document_update", "fields.text")
    assert await content(engine) == "ab"


async def test_plain_text_is_refused(engine: Engine) -> None:
    a = Writer(engine, "a")
    (outcome,) = await a.replica.push(a.change("create", text="plain"))
    assert (outcome["outcome"], outcome["code"]) == ("rejected", "invalid_document_update")
    with pytest.raises(NotFound, match="no document"):
        await read(engine)


async def test_an_update_that_a_hook_vetoes_is_no_part_of_the_document_nor_of_what_comes_after_it(
    engine: Engine,
) -> None:
    a = Writer(engine, "a")
    outcomes = await a.replica.push(
        a.change("create", text={"update": a.types(0, "a")}),
        a.change("update", title="damn", text={"update": a.types(1, "b")}),
        a.change("update", text={"update": a.types(2, "c")}),
    )
    assert [each["outcome"] for each in outcomes] == ["applied", "rejected", "applied"]
    # The third waits for the second, which its replica will make anew.
    assert await content(engine) == "a"
    assert (await engine.states())["n"]["fields"]["text"] == {"document": {"since": 1, "seq": 2}}


async def test_if_the_database_fails_when_a_part_is_durable_the_rest_is_to_come_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A veto lets the push go change by change; the third of its commits finds the disk full."""
    a = Writer(engine, "a")
    changes = [
        a.change("create", text={"update": a.types(0, "a")}),
        a.change("update", title="damn", text={"update": a.types(1, "b")}),
        a.change("update", text={"update": a.types(2, "c")}),
    ]
    commits = engine.pusher._commits
    submit, alone = commits.submit, 0

    async def failing(job: Any) -> Any:
        nonlocal alone
        alone += len(job.incoming) == 1
        if alone == 3:
            raise StoreUnavailable("the disk is full")
        return await submit(job)

    monkeypatch.setattr(commits, "submit", failing)
    outcomes = await a.replica.push(*changes)
    assert [each["outcome"] for each in outcomes] == ["applied", "rejected", "retry_later"]
    monkeypatch.undo()
    outcomes = await a.replica.push(*changes)
    assert [(each["outcome"], each.get("repeat", False)) for each in outcomes] == [
        ("applied", True),
        ("rejected", True),
        ("applied", False),
    ]


@pytest.mark.parametrize("type", ["note", "plan"])
@pytest.mark.parametrize("edited", [False, True], ids=["", "edited before"])
async def test_a_group_may_delete_a_resource_and_bring_it_back_with_its_document(
    type: str, edited: bool, engine: Engine
) -> None:
    old, new = Writer(engine, "a", type=type), Writer(engine, "a", type=type)
    new.replica = old.replica
    await old.writes(0, "old", "create")
    earlier = [old.change("update", text={"update": old.types(3, "er")}, _group="g")] if edited else []
    outcomes = await old.replica.push(
        *earlier,
        old.change("delete", _group="g"),
        old.change("restore", text={"update": new.types(0, "new")}, _group="g"),
        old.change("update", text={"update": new.types(3, "s")}, _group="g"),
    )
    assert {outcome["outcome"] for outcome in outcomes} == {"applied"}
    kept = "older" if edited else "old"
    # Whose letters come first is told by the dice where both stand at the beginning.
    said = {"news"} if type == "note" else {f"{kept}news", f"news{kept}"}
    assert await content(engine, type=type) in said


async def test_a_group_that_brings_back_a_document_and_fails_leaves_it_as_it_was(engine: Engine) -> None:
    a = Writer(engine, "a")
    await a.writes(0, "old", "create")
    again = Writer(engine, "a")
    outcomes = await a.replica.push(
        a.change("delete", 1, _group="g"),
        a.change("restore", 2, text={"update": again.types(0, "new")}, _group="g"),
        a.change("update", 3, title="damn", _group="g"),
    )
    assert {outcome["outcome"] for outcome in outcomes} == {"rejected"}
    assert await content(engine) == "old"
    await a.writes(3, "er")
    assert await content(engine) == "older"


async def test_a_group_that_fails_leaves_the_document_as_it_was(engine: Engine) -> None:
    a = Writer(engine, "a")
    await a.writes(0, "a", "create")
    outcomes = await a.replica.push(
        a.change("update", _group="g", text={"update": a.types(1, "b")}),
        a.change("update", _group="g", title="damn"),
    )
    assert [each["outcome"] for each in outcomes] == ["rejected", "rejected"]
    assert await content(engine) == "a"


async def test_many_who_write_at_once_lose_nothing(engine: Engine) -> None:
    owner = Writer(engine, "owner")
    await owner.writes(0, "-", "create")
    writers = [Writer(engine, f"w{i}") for i in range(8)]
    for writer in writers:
        writer.takes(await read(engine))
    await asyncio.gather(*(writer.writes(1, str(place)) for place, writer in enumerate(writers)))
    assert sorted(await content(engine)) == sorted("-01234567")


async def test_where_a_document_stands_is_remembered_and_looked_up_where_that_has_changed(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge, looked = engine.pusher._judge, 0
    look = judge._head

    async def counted(key: DocumentKey) -> Marker | None:
        nonlocal looked
        looked += 1
        return await look(key)

    monkeypatch.setattr(judge, "_head", counted)
    ann = Writer(engine, "ann")
    for place, letter in enumerate("abc"):
        assert (await ann.writes(place, letter, "create" if place == 0 else "update"))["outcome"] == "applied"
    assert looked == 1, "only before it was written here"
    judge._heads[NOTES] = Marker(judge._heads[NOTES].since, 2)  # as if another server had written the third
    assert (await ann.writes(3, "d"))["outcome"] == "applied"
    assert looked == 2
    assert await content(engine) == "abcd"


async def test_an_update_that_comes_before_what_it_depends_on_is_kept_and_merged_when_that_comes(
    engine: Engine,
) -> None:
    a, b = Writer(engine, "a"), Writer(engine, "b")
    await b.writes(0, "-", "create")
    first, second = a.types(0, "one "), a.types(4, "two")
    for update in (second, first):
        (outcome,) = await a.replica.push(a.change("update", text={"update": update}))
        assert outcome["outcome"] == "merged"
    assert sorted(await content(engine)) == sorted("-one two")


async def test_a_document_goes_with_its_resource_and_begins_anew_with_it(engine: Engine) -> None:
    a = Writer(engine, "a")
    await a.writes(0, "first life", "create")
    await a.replica.push(a.change("delete", 1))
    with pytest.raises(NotFound, match="no document"):
        await read(engine)
    again = Writer(engine, "a")
    again.replica = a.replica
    (outcome,) = await a.replica.push(again.change("restore", 2, text={"update": again.types(0, "second")}))
    assert outcome["outcome"] == "applied"
    assert await content(engine) == "second"
    assert (await engine.states())["n"]["fields"]["text"] == {"document": {"since": 3, "seq": 1}}
    # Who holds something of the first life is given the second from its start.
    part = await read(engine, 1, 1)
    assert (part.since, part.seq) == (3, 1)


async def test_a_delete_and_a_new_life_may_come_in_one_push(engine: Engine) -> None:
    a = Writer(engine, "a")
    await a.writes(0, "first life", "create")
    again = Writer(engine, "a")
    again.replica = a.replica
    outcomes = await a.replica.push(
        a.change("update", text={"update": a.types(0, "x")}),
        a.change("delete", 1),
        again.change("restore", 1, text={"update": again.types(0, "second")}),
    )
    assert [each["outcome"] for each in outcomes] == ["applied"] * 3
    assert await content(engine) == "second"


async def test_where_edits_win_over_deletes_the_document_comes_back_as_it_was(engine: Engine) -> None:
    a, b = (Writer(engine, name, type="plan", id="p") for name in "ab")
    await a.writes(0, "plan", "create")
    b.takes(await read(engine, key=DocumentKey("plan", "p", "text")))
    await a.replica.push(a.change("delete", 1))
    assert (await b.writes(4, "!"))["outcome"] == "merged"
    assert await content(engine, type="plan", id="p") == "plan!"


async def test_a_long_log_gives_way_to_a_snapshot_that_holds_the_same(engine: Engine) -> None:
    a = Writer(engine, "a")
    await a.writes(0, "-", "create")
    waits_for_ever = Writer(engine, "b")
    waits_for_ever.types(0, "never sent")
    early = waits_for_ever.types(0, "waits")
    await a.replica.push(a.change("update", text={"update": early}))
    for place in range(30):
        await a.replica.push(*(a.change("update", text={"update": a.types(0, str(place % 10))}) for _ in range(10)))
    await engine.pusher.close()
    async with engine.store.snapshot() as snapshot:
        stored = await snapshot.document(NOTES)
    assert stored is not None
    assert stored.seq == 302
    assert stored.snapshot_seq > 200
    assert stored.updates[0] == (2, base64.b64decode(early)), "what waits is in no snapshot"
    assert await content(engine) == a.text


async def test_a_document_is_read_as_json_as_it_is_and_as_it_was(engine: Engine) -> None:
    a = Writer(engine, "a")
    await a.writes(0, "first", "create")
    await a.writes(5, " second")
    await a.replica.push(a.change("update", title="renamed"))
    await a.writes(0, "third ")
    assert await reader(engine).view(NOTES) == (Marker(1, 3), "third first second")
    read_at = [(await reader(engine).view(NOTES, version))[1] for version in (1, 2, 3, 4)]
    assert read_at == ["first", "first second", "first second", "third first second"]
    with pytest.raises(NotFound):
        await reader(engine).view(NOTES, 0)


async def test_a_life_that_has_ended_is_read_as_it_was(engine: Engine) -> None:
    a = Writer(engine, "a")
    await a.writes(0, "first life", "create")
    await a.replica.push(a.change("delete", 1))
    again = Writer(engine, "a")
    again.replica = a.replica
    await a.replica.push(again.change("restore", 2, text={"update": again.types(0, "second")}))
    assert [(await reader(engine).view(NOTES, version))[1] for version in (1, 3)] == ["first life", "second"]
    with pytest.raises(NotFound):
        await reader(engine).view(NOTES, 2)


async def test_what_goes_on_waiting_is_not_squashed_again_with_every_push(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    squashes = 0
    squash = DocumentPool.squash

    async def counted(*arguments: Any) -> Any:
        nonlocal squashes
        squashes += 1
        return await squash(*arguments)

    monkeypatch.setattr(DocumentPool, "squash", counted)
    a, never_sent = Writer(engine, "a"), Writer(engine, "never-sent")
    await a.writes(0, "-", "create")
    never_sent.types(0, "never sent")
    for _ in range(25):
        waiting = (a.change("update", text={"update": never_sent.types(0, "w")}) for _ in range(20))
        await a.replica.push(*waiting)
    await engine.pusher.close()
    assert squashes == 2


async def test_what_waited_and_then_fits_nowhere_is_in_the_quarantine_before_it_goes_from_the_log(
    engine: Engine,
) -> None:
    """It was acknowledged: nobody could tell yet that what it would hang on is a letter, and no place for anything."""
    a, b = Writer(engine, "a"), Writer(engine, "b")
    a.doc = Doc(client_id=1)
    a.doc["text"] = Text()
    inside_of_a_letter = crdt.update((2, 0, [crdt.characters("x", (1, 0))]))
    await a.replica.create("n", title="Derby")
    waiting = a.change("update", text={"update": encoded(inside_of_a_letter)}, title="Final")
    (outcome,) = await a.replica.push(waiting)
    assert outcome["outcome"] == "applied"
    await a.writes(0, "a")
    for writer in (a, b):
        for _ in range(25):
            letters = (writer.change("update", text={"update": writer.types(0, "b")}) for _ in range(20))
            await writer.replica.push(*letters)
    await engine.pusher.close()
    async with engine.store.snapshot() as snapshot:
        stored = await snapshot.document(NOTES)
        page = await snapshot.quarantine(limit=10, limit_bytes=1 << 20)
    assert stored is not None
    assert stored.snapshot_seq > 600, "it has been squashed, and more than once"
    assert inside_of_a_letter not in [one for _, one in stored.updates]
    (entry,) = map(read_entry, page.rows)
    assert (entry.replica, entry.n, entry.scope, entry.type, entry.id) == ("dropped-a", 1, "main", "note", "n")
    assert entry.fields == {"text": {"update": encoded(inside_of_a_letter)}}, "what else it brought stands"
    assert (entry.outcome.code, entry.outcome.field) == ("invalid_document_update", "fields.text")
    assert f"change {waiting['n']} of a was taken" in str(entry.outcome.message)
    assert "puts something into what is no text, map or array" in str(entry.outcome.message)
    assert sorted(await content(engine)) == sorted("a" + "b" * 1000)


async def test_a_document_that_cannot_be_squashed_goes_on_from_its_updates_and_is_left_alone_for_a_while(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    async def fails(pool: object, key: object, kind: object, since: int, seq: int, load: object) -> Squash:
        tried.append(seq)
        raise RoundTripFailed("the contents differ")

    squash = DocumentPool.squash
    monkeypatch.setattr(DocumentPool, "squash", fails)
    a = Writer(engine, "a")
    await a.writes(0, "-", "create")

    async def types(count: int) -> None:
        for _ in range(count // 20):
            outcomes = await a.replica.push(*(a.change("update", text={"update": a.types(0, "a")}) for _ in range(20)))
            assert {outcome["outcome"] for outcome in outcomes} == {"applied"}

    await types(700)
    first, second = tried
    assert 200 < first < 300
    assert second >= 2 * first, "not with every push"
    monkeypatch.setattr(DocumentPool, "squash", squash)
    await types(700)
    await engine.pusher.close()
    async with engine.store.snapshot() as snapshot:
        head = (await snapshot.document_heads([NOTES]))[NOTES]
    assert head.snapshot_seq >= 2 * second, "it is tried again"
    assert await content(engine) == "a" * 1400 + "-"


async def test_a_document_that_does_not_load_turns_its_own_changes_away_and_stays_as_it_is(tmp_path: Path) -> None:
    async with a_pool() as documents, open_engine(tmp_path / "db", app=app, documents=documents) as engine:
        a = Writer(engine, "a")
        await a.writes(0, "kept", "create")
    with sqlite3.connect(tmp_path / "db") as damaged:
        damaged.execute("UPDATE document_updates SET body = x'010101'")
    async with a_pool() as documents, open_engine(tmp_path / "db", app=app, documents=documents) as engine:
        a.replica.engine = engine
        b = Writer(engine, "b", id="other")
        b.replica = a.replica
        bad, good, last = await a.replica.push(
            a.change("update", text={"update": a.types(0, "a")}),
            b.change("create", text={"update": b.types(0, "b")}),
            a.change("update", title="the other fields go on"),
        )
        assert (bad["outcome"], bad["code"]) == ("rejected", "document_unreadable")
        assert (good["outcome"], last["outcome"]) == ("applied", "applied")
        with pytest.raises(DocumentUnreadable):
            await reader(engine).view(NOTES)


async def test_what_hangs_whoever_reads_it_is_refused_and_others_are_served_meanwhile(engine: Engine) -> None:
    a, b = Writer(engine, "a"), Writer(engine, "b", id="other")
    await a.writes(0, "a", "create")
    hostile = a.change("update", text={"update": base64.b64encode(HANG).decode()})
    (bad,), good = await asyncio.gather(a.replica.push(hostile), b.writes(0, "b", "create"))
    assert bad["outcome"] == "rejected"
    assert good["outcome"] == "applied"
    assert await content(engine) == "a"
