"""Undo of documents: one ordinary edit that leads back to what a document said, found by a worker."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from pycrdt import Array, Doc, Map, Text

from conflict_rules import JsonValue
from syncd.app import App, Resource, rules
from syncd.documents.pool import DocumentPool
from syncd.engine.document_reader import DocumentReader
from syncd.engine.history import History
from syncd.errors import DocumentUnreadable, InvalidMessage, NotFound
from syncd.store.protocol import DocumentKey
from tests.support.engine import Engine, Replica, open_engine

app = App("club")
ROOTS: dict[str, Callable[[], Any]] = {"text": Text, "cards": Map, "rows": Array}


@app.resource(scope="main", rule=rules.merge)
class Note(Resource):
    title: str = ""
    text: Annotated[str, rules.crdt] = ""
    cards: Annotated[dict[str, Any], rules.crdt] = {}  # noqa: RUF012
    rows: Annotated[list[Any], rules.crdt] = []  # noqa: RUF012


@app.resource(scope="main", rule=rules.merge, deletes="update_wins")
class Plan(Resource):
    title: str = ""
    text: Annotated[str, rules.crdt] = ""


@app.resource(scope="main", rule=rules.lww)
class Profile(Resource):
    name: str = ""
    town: str = ""
    text: Annotated[str, rules.crdt] = ""


class Desk:
    """A device that writes what it is told to, one document for each field."""

    def __init__(self, engine: Engine, name: str = "a", type: str = "note") -> None:
        self.engine, self.replica, self.type = engine, Replica(engine, name), type
        self.docs: dict[str, Any] = {}
        self.created = False

    async def push(self, op: str, /, **fields: Any) -> dict[str, Any]:
        version = (await self.engine.states()).get("n", {}).get("version", 0)
        (outcome,) = await self.replica.push(self.replica.change(op, "n", version, _type=self.type, **fields))
        assert outcome["outcome"] == "applied", outcome
        return outcome

    async def edit(self, field: str, edit: Callable[[Any], object], **fields: Any) -> dict[str, Any]:
        doc = self.docs.setdefault(field, Doc({field: ROOTS[field]()}))
        before = doc.get_state()
        edit(doc[field])
        update = {"update": base64.b64encode(doc.get_update(before)).decode()}
        op, self.created = ("update" if self.created else "create"), True
        return await self.push(op, **{field: update}, **fields)

    async def types(self, letters: str, **fields: Any) -> dict[str, Any]:
        return await self.edit("text", lambda text: text.insert(len(text), letters), **fields)

    async def undo(self, **to: Any) -> list[str]:
        """Ask for what leads back, and push it as it was told; the names of the fields in it."""
        told: Any = await history(self.engine).undo(self.type, "n", **to)
        change = told["change"]
        await self.push(change["op"], **change.get("fields", {}))
        return sorted(change.get("fields", {}))

    async def says(self, field: str = "text") -> JsonValue:
        key = DocumentKey(self.type, "n", field)
        return (await DocumentReader(app, self.engine.store, self.engine.documents, history(self.engine)).view(key))[1]


def history(engine: Engine) -> History:
    return History(engine.store, app, engine.documents)


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    pool = DocumentPool()
    try:
        async with open_engine(tmp_path / "db", app=app, documents=pool) as engine:
            yield engine
    finally:
        await pool.close()


async def test_a_text_goes_back_to_what_it_said_at_a_version_and_forth_again(engine: Engine) -> None:
    desk = Desk(engine)
    await desk.types("नेपाल 😀")
    await desk.edit("text", lambda text: text.clear())
    await desk.types("something else")
    assert await desk.undo(version=1) == ["text"]
    assert await desk.says() == "नेपाल 😀"
    assert await desk.undo(version=3) == ["text"]
    assert await desk.says() == "something else"
    lines: Any = await history(engine).page("note", "n")
    assert [line["outcome"] for line in lines["changes"]] == ["applied"] * 5, "kept like any other"


async def test_what_both_say_stays_as_it_is_so_that_edits_made_meanwhile_find_their_place(engine: Engine) -> None:
    desk, other = Desk(engine), Desk(engine, "b")
    await desk.types("one two")
    other.docs["text"] = Doc({"text": Text()})
    other.docs["text"].apply_update(desk.docs["text"].get_update())
    other.created = True
    await desk.types(" three")
    told: Any = await history(engine).undo("note", "n", version=1)
    await other.edit("text", lambda text: text.insert(4, "and a half "))
    await desk.push("update", **told["change"]["fields"])
    assert await desk.says() == "one and a half two"


@pytest.mark.parametrize(
    ("field", "edits", "first"),
    [
        (
            "cards",
            [
                lambda root: root.update({"plain": 1, "deep": Map({"text": Text("kept"), "list": Array([1, 2, 3])})}),
                lambda root: root["deep"]["text"].insert(4, " and more"),
                lambda root: root["deep"]["list"].pop(1),
                lambda root: root.pop("plain"),
                lambda root: root.update({"new": True}),
            ],
            {"plain": 1, "deep": {"text": "kept", "list": [1, 2, 3]}},
        ),
        (
            "rows",
            [
                lambda root: root.extend([1, "two", Map({"three": 3})]),
                lambda root: root.pop(0),
                lambda root: root.insert(1, None),
                lambda root: root[2].update({"three": 4}),
            ],
            [1, "two", {"three": 3}],
        ),
    ],
)
async def test_maps_and_lists_go_back_with_all_that_is_in_them(
    engine: Engine, field: str, edits: list[Callable[[Any], object]], first: JsonValue
) -> None:
    desk = Desk(engine)
    said: list[JsonValue] = []
    for edit in edits:
        await desk.edit(field, edit)
        said.append(await desk.says(field))
    assert said[0] == first
    for version, wanted in enumerate(said[:-1], 1):
        await desk.undo(version=version)
        assert await desk.says(field) == wanted


async def test_one_change_is_taken_back_with_all_that_it_brought(engine: Engine) -> None:
    desk = Desk(engine)
    await desk.types("first", title="one")
    await desk.types(" second", title="two")
    assert await desk.undo(change=("a", 2)) == ["text", "title"]
    assert (await engine.fields())["n"]["title"] == "one"
    assert await desk.says() == "first"


async def test_a_document_that_was_not_there_yet_is_empty_again(engine: Engine) -> None:
    desk = Desk(engine)
    desk.created = True
    await desk.push("create", title="one")
    await desk.types("typed")
    assert await desk.undo(change=("a", 2)) == ["text"]
    assert await desk.says() == ""


@pytest.mark.parametrize("type", ["note", "profile"])
async def test_other_fields_go_back_and_leave_the_document_alone(engine: Engine, type: str) -> None:
    desk = Desk(engine, type=type)
    name = {"note": "title", "profile": "name"}[type]
    await desk.types("typed", **{name: "one"})
    await desk.push("update", **{name: "two"}, **({"town": "x"} if type == "profile" else {}))
    await desk.types(" more")
    fields = await desk.undo(change=("a", 2))
    assert "text" not in fields
    assert (await engine.fields())["n"][name] == "one"
    assert await desk.says() == "typed more"
    await desk.push("update", **{name: "three"})
    told: Any = await history(engine).undo(type, "n", version=1, field=name)
    assert "text" not in told["change"]["fields"]


async def test_a_delete_is_taken_back_with_its_documents(engine: Engine) -> None:
    desk = Desk(engine)
    await desk.types("typed ", title="one")
    await desk.types("twice")
    await desk.edit("cards", lambda cards: cards.update({"k": 1}))
    await desk.push("delete")
    with pytest.raises(NotFound):
        await desk.says()
    assert await desk.undo(version=3) == ["cards", "text", "title"]
    assert (await desk.says(), await desk.says("cards")) == ("typed twice", {"k": 1})
    assert (await engine.fields())["n"]["title"] == "one"
    # Of a life that has ended, too.
    assert await desk.undo(version=1) == ["cards", "text"]
    assert (await desk.says(), await desk.says("cards")) == ("typed ", {})


async def test_where_edits_win_over_deletes_the_document_comes_back_as_it_lay_there(engine: Engine) -> None:
    desk = Desk(engine, type="plan")
    await desk.types("typed", title="one")
    await desk.push("delete")
    assert await desk.undo(version=1) == []
    assert await desk.says() == "typed"


async def test_there_is_nothing_to_undo_where_it_says_the_same_by_another_way(engine: Engine) -> None:
    desk = Desk(engine)
    await desk.types("same")
    await desk.types("!")
    await desk.edit("text", lambda text: text.__delitem__(slice(4, 5)))
    with pytest.raises(InvalidMessage, match="says the same"):
        await history(engine).undo("note", "n", version=1)


async def test_long_texts_that_have_nothing_in_common_are_replaced_as_a_whole(engine: Engine) -> None:
    desk = Desk(engine)
    await desk.types("ab" * 10_000)
    await desk.edit("text", lambda text: text.clear())
    await desk.types("ba cd" * 4_000)
    await desk.undo(version=1)
    assert await desk.says() == "ab" * 10_000


async def test_it_is_explained_by_what_it_says_and_each_edit_is_a_part_of_it(engine: Engine) -> None:
    desk = Desk(engine)
    await desk.types("one", title="x")
    await desk.types(" two")
    told: Any = await history(engine).explain("note", "n")
    (text, title) = told["fields"]
    assert (text["field"], text["value"], text["rule"]) == ("text", "one two", "crdt")
    assert text["set_by"]["n"] == 2
    assert "edits are merged" in text["because"]
    assert [(each["n"], each["fate"]) for each in text["candidates"]] == [(1, "part")]
    assert title["value"] == "x"


async def test_it_is_explained_also_where_it_cannot_be_read(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(engine)
    await desk.types("one", title="x")

    async def broken(pool: object, key: DocumentKey, *_: object) -> JsonValue:
        raise DocumentUnreadable.of(key, "it is broken.")

    monkeypatch.setattr(DocumentPool, "view", broken)
    told: Any = await history(engine).explain("note", "n")
    assert [each["value"] for each in told["fields"]] == [{"document": {"since": 1, "seq": 1}}, "x"]
