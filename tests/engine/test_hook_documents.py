"""Hooks and documents: a hook sees what a document says, as JSON, and writes none; what it vetoes was never there."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from pycrdt import Array, Doc, Map, Text
from structlog.testing import capture_logs

from conflict_rules import Change, JsonValue
from conflict_rules.crdt import Marker
from syncd.app import App, HookTransaction, Resource, Veto, rules
from syncd.documents.pool import DocumentPool
from syncd.engine import hook_documents
from syncd.engine.document_reader import DocumentReader
from syncd.engine.history import History
from syncd.errors import DocumentUnreadable, NotFound
from syncd.store.protocol import DocumentKey
from tests.support.engine import Engine, Replica, open_engine

ROOTS: dict[str, Callable[[], Any]] = {"text": Text, "cards": Map, "rows": Array}


class Note(Resource):
    title: str = ""
    text: Annotated[str, rules.crdt] = ""


class Board(Resource):
    """No hook is declared for it."""

    name: str = ""
    cards: Annotated[dict[str, Any], rules.crdt] = {}  # noqa: RUF012
    rows: Annotated[list[Any], rules.crdt] = []  # noqa: RUF012


class Profile(Resource):
    name: str = ""
    text: Annotated[str, rules.crdt] = ""


Sight = tuple[JsonValue, JsonValue]
"""What the change says of its document, and what the transaction does."""


class Club:
    """An app whose hook on notes notes down what it sees, and does what the title says."""

    def __init__(self) -> None:
        self.sights: list[Sight] = []
        self.app = app = App("club")
        app.resource(scope="main", rule=rules.merge)(Note)
        app.resource(scope="main", rule=rules.merge)(Board)
        app.resource(scope="main", rule=rules.lww)(Profile)
        app.on_change(Note)(self.look)

    async def look(self, tx: HookTransaction, change: Change) -> None:
        note = await tx.get(Note, change.id)
        self.sights.append((change.fields.get("text"), None if note is None else note.text))
        match change.fields.get("title"), change.fields.get("text"):
            case _, str(text) if "damn" in text:
                raise Veto("no swearing", code="swearing")
            case "damn", _:
                raise Veto("no swearing", code="swearing")
            case "boards", _:
                self.sights += [(board.cards, board.rows) for board in await tx.all(Board, "main")]
            case "write", _:
                await tx.update(Note, change.id, text="by a hook")
            case "create", _:
                await tx.create(Note(id="made", text="by a hook"))
            case "beside", _:
                await tx.create(Note(id="made", title="made"))
                await tx.update(Board, "b", name="renamed")
                await tx.update(Profile, "p", name="renamed")
            case "spoil", _:
                (board,) = await tx.all(Board, "main")
                board.cards["spoilt"] = True


class Writer:
    """A device with a document of its own."""

    def __init__(self, engine: Engine, name: str, type: str = "note", id: str = "n", field: str = "text") -> None:
        self.replica, self.type, self.id, self.field = Replica(engine, name), type, id, field
        self.doc: Any = Doc()
        self.doc[field] = ROOTS[field]()

    @property
    def root(self) -> Any:
        return self.doc[self.field]

    def offer(self, edit: Callable[[Any], object]) -> dict[str, str]:
        before = self.doc.get_state()
        edit(self.root)
        return {"update": base64.b64encode(self.doc.get_update(before)).decode()}

    def types(self, letters: str) -> dict[str, str]:
        return self.offer(lambda text: text.insert(len(text), letters))

    def change(self, op: str, /, **fields: Any) -> dict[str, Any]:
        return self.replica.change(op, self.id, 0, _type=self.type, **fields)

    async def push(self, *changes: dict[str, Any]) -> list[str]:
        return [outcome.get("code") or outcome["outcome"] for outcome in await self.replica.push(*changes)]


@pytest.fixture
def club() -> Club:
    return Club()


@pytest.fixture
async def engine(club: Club, tmp_path: Path) -> AsyncIterator[Engine]:
    pool = DocumentPool()
    try:
        async with open_engine(tmp_path / "db", app=club.app, documents=pool) as engine:
            yield engine
    finally:
        await pool.close()


async def content(engine: Engine, club: Club, *key: str) -> tuple[Marker, JsonValue]:
    reader = DocumentReader(club.app, engine.store, engine.documents, History(engine.store, club.app))
    return await reader.view(DocumentKey(*(key or ("note", "n", "text"))))


async def test_a_hook_sees_what_the_document_says_with_the_change(engine: Engine, club: Club) -> None:
    a = Writer(engine, "a")
    await a.push(a.change("create", text=a.types("नेपाल")))
    await a.push(a.change("update", text=a.types("!")))
    assert club.sights == [("नेपाल", "नेपाल"), ("नेपाल!", "नेपाल!")]


async def test_a_change_beside_the_document_is_shown_it_as_it_stands(engine: Engine, club: Club) -> None:
    a = Writer(engine, "a")
    await a.push(a.change("create", title="x"))
    await a.push(a.change("update", text=a.types("one")))
    assert await a.push(a.change("update", title="y")) == ["applied"]
    # The hook runs once without, to find out what it asks for, and then for good.
    assert club.sights == [(None, ""), ("one", "one"), (None, ""), (None, "one")]


async def test_of_several_edits_in_one_push_each_is_shown_with_those_before_it(engine: Engine, club: Club) -> None:
    a = Writer(engine, "a")
    changes = [a.change("create", text=a.types("1")), *(a.change("update", text=a.types(str(i))) for i in (2, 3))]
    changes += [a.change("update", title="x"), a.change("update", text=a.types("4"))]
    assert await a.push(*changes) == ["applied"] * 5
    assert [text for text, _ in club.sights] == ["1", "12", "123", None, "1234"]
    assert [text for _, text in club.sights] == ["1", "12", "123", "123", "1234"]


async def test_an_edit_that_a_hook_vetoes_for_what_it_says_leaves_the_document_as_it_was(
    engine: Engine, club: Club
) -> None:
    a, b = Writer(engine, "a"), Writer(engine, "b")
    await a.push(a.change("create", text=a.types("fine")))
    before = a.doc.get_update()
    assert await a.push(a.change("update", text=a.types(" damn"))) == ["swearing"]
    assert await content(engine, club) == (Marker(1, 1), "fine")
    # What was tried stood at the same place as what now comes to stand there.
    b.doc.apply_update(before)
    assert await b.push(b.change("update", text=b.types(" words"))) == ["merged"]
    assert await content(engine, club) == (Marker(1, 2), "fine words")
    assert club.sights[-1] == ("fine words", "fine words")


async def test_a_veto_between_edits_is_not_seen_by_those_behind_it(engine: Engine, club: Club) -> None:
    a, b = Writer(engine, "a"), Writer(engine, "b")
    await a.push(a.change("create", text=a.types("0")))
    b.replica = a.replica
    b.doc.apply_update(a.doc.get_update())
    bad = a.change("update", text=a.types(" damn"))
    good = b.change("update", text=b.types(" fine"))
    assert await a.push(bad, good) == ["swearing", "applied"]
    assert await content(engine, club) == (Marker(1, 2), "0 fine")
    assert club.sights[-1] == ("0 fine", "0 fine")


async def test_documents_of_types_without_hooks_are_shown_to_the_hooks_of_others(engine: Engine, club: Club) -> None:
    a = Writer(engine, "a")
    cards = Writer(engine, "b", "board", "b", "cards")
    rows = Writer(engine, "c", "board", "b", "rows")
    await cards.push(cards.change("create", cards=cards.offer(lambda root: root.update({"k": {"deep": [1, "two"]}}))))
    await rows.push(rows.change("update", rows=rows.offer(lambda root: root.extend([1, 2.5, None]))))
    assert await a.push(a.change("create", title="boards")) == ["applied"]
    assert club.sights[-1] == ({"k": {"deep": [1, "two"]}}, [1, 2.5, None])
    # Also as it will be: in one push with it, and in one group.
    board = a.replica.change(
        "update", "b", 0, _type="board", _group="g", cards=cards.offer(lambda root: root.update({"l": 1}))
    )
    assert await a.push(board, a.change("update", _group="g", title="boards")) == ["merged", "applied"]
    assert club.sights[-1] == ({"k": {"deep": [1, "two"]}, "l": 1}, [1, 2.5, None])


async def test_what_a_hook_does_to_what_it_is_shown_is_nobody_elses(engine: Engine, club: Club) -> None:
    a, cards = Writer(engine, "a"), Writer(engine, "b", "board", "b", "cards")
    await cards.push(cards.change("create", cards=cards.offer(lambda root: root.update({"k": 1}))))
    assert await a.push(a.change("create", title="spoil"), a.change("update", title="boards")) == ["applied"] * 2
    assert club.sights[-1] == ({"k": 1}, [])


@pytest.mark.parametrize("title", ["write", "create"])
async def test_a_hook_that_writes_a_document_is_refused_and_its_author_told_why(
    engine: Engine, club: Club, title: str
) -> None:
    a = Writer(engine, "a")
    await a.push(a.change("create", text=a.types("fine")))
    with capture_logs() as logs:
        assert await a.push(a.change("update", title=title)) == ["hook_failed"]
    (failed,) = (entry for entry in logs if entry["event"] == "hook_failed")
    assert "'text' of note, which is a document" in str(failed["exc_info"])
    assert await content(engine, club) == (Marker(1, 1), "fine")
    assert "made" not in await engine.states()


async def test_a_hook_writes_other_fields_beside_documents(engine: Engine, club: Club) -> None:
    a, cards = Writer(engine, "a"), Writer(engine, "b", "board", "b", "cards")
    profile = Writer(engine, "c", "profile", "p")
    await cards.push(cards.change("create", cards=cards.offer(lambda root: root.update({"k": 1}))))
    await profile.push(profile.change("create", name="x", text=profile.types("a whole record")))
    assert await a.push(a.change("create", title="beside")) == ["applied"]
    fields = await engine.fields()
    assert fields["made"] == {"title": "made"}
    assert (fields["b"]["name"], fields["p"]["name"]) == ("renamed", "renamed")
    assert (await content(engine, club, "board", "b", "cards"))[1] == {"k": 1}
    assert (await content(engine, club, "profile", "p", "text"))[1] == "a whole record"
    with pytest.raises(NotFound):
        await content(engine, club, "note", "made", "text")


async def test_nothing_is_read_for_types_without_hooks(
    engine: Engine, club: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def read(*_: object) -> JsonValue:
        raise AssertionError("nobody asks for it")

    monkeypatch.setattr(DocumentPool, "view", read)
    cards = Writer(engine, "b", "board", "b", "cards")
    changes = [
        cards.change("create", name="x"),
        cards.change("update", cards=cards.offer(lambda root: root.update({"k": 1}))),
    ]
    assert await cards.push(*changes) == ["applied", "applied"]


async def test_no_document_is_read_while_the_database_is_held(
    engine: Engine, club: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law 12: whoever reads it may hang."""
    a = Writer(engine, "a")
    await a.push(a.change("create", text=a.types("x")))
    view, reads = DocumentPool.view, 0

    async def free(*arguments: Any) -> JsonValue:
        nonlocal reads
        async with engine.store.transaction(replicas=[], scopes=["main"]):
            reads += 1
        return await view(*arguments)

    monkeypatch.setattr(DocumentPool, "view", free)
    assert await a.push(a.change("update", title="beside what was read"), a.change("update", text=a.types("y")))
    assert reads == 2


async def test_where_the_document_cannot_be_read_its_changes_wait_in_the_quarantine(
    engine: Engine, club: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, other = Writer(engine, "a"), Writer(engine, "b", id="m")
    await a.push(a.change("create", text=a.types("x")))

    async def broken(pool: object, key: DocumentKey, *_: object) -> JsonValue:
        raise DocumentUnreadable.of(key, "it is broken.")

    with monkeypatch.context() as patched:
        patched.setattr(DocumentPool, "view", broken)
        assert await a.push(a.change("update", title="x")) == ["document_unreadable"]
        assert await other.push(other.change("create", title="x")) == ["applied"]
    assert await a.push(a.change("update", title="y")) == ["applied"]


async def test_more_than_there_is_room_for_is_shown_change_by_change(
    engine: Engine, club: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (hook_documents, "syncd.engine.documents", "syncd.engine.group_run"):
        monkeypatch.setattr(f"{module}.MOST_BYTES" if isinstance(module, str) else f"{module.__name__}.MOST_BYTES", 120)
    a = Writer(engine, "a")
    changes = [a.change("create", text=a.types("x" * 50))]
    changes += [a.change("update", text=a.types("x")) for _ in range(5)]
    assert await a.push(*changes) == ["applied"] * 6
    assert [len(str(text)) for text, _ in club.sights] == [50, 51, 52, 53, 54, 55]
    cards = Writer(engine, "b", "board", "b", "cards")
    await cards.push(cards.change("create", cards=cards.offer(lambda root: root.update({"k": "x" * 500}))))
    assert await a.push(a.change("update", title="fine")) == ["applied"]
    others = [Writer(engine, f"o{i}", "board", f"b{i}", "cards") for i in range(3)]
    for other in others:
        await other.push(other.change("create", cards=other.offer(lambda root: root.update({"k": "x" * 100}))))
    assert await a.push(a.change("update", title="boards")) == ["hook_failed"]
    assert await a.push(a.change("update", title="fine again")) == ["applied"]
