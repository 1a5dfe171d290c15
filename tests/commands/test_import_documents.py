"""What an import makes of documents: their oldest part comes with the resource, and each further one after it."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import pytest
from pycrdt import Doc, Text

from conflict_rules import Kind, Outcome, Stamp, State
from conflict_rules.crdt import Marker
from conflict_rules.documents.document import Document
from conflict_rules.state import Mark, Origin
from conflict_rules.values import JsonValue
from syncd.app import App, Resource, rules
from syncd.commands.import_ import import_file
from syncd.commands.output import Output
from syncd.documents.limits import PoolLimits
from syncd.documents.pool import DocumentPool
from syncd.engine.document_reader import DocumentReader
from syncd.engine.history import History
from syncd.store.protocol import DocumentKey
from tests.commands.conftest import Run
from tests.commands.make import Line, note, write_export
from tests.support.engine import open_engine

app = App("club")

BODY = {"since": 21, "seq": 5, "updates": ["AA==", "AQ==", "Ag=="]}
BOARD = {"since": 30, "seq": 1, "updates": ["Aw=="]}


@app.resource(scope="main", rule=rules.merge)
class Report(Resource):
    body: Annotated[str, rules.crdt] = ""


class Peer:
    """A server that takes everything, or refuses every change of `refuses`, and has `held` in its scope."""

    def __init__(self, *held: State, refuses: str = "", max_changes: int = 1000, max_bytes: int = 1 << 20) -> None:
        self.held = held
        self.refuses = refuses
        self.max_changes = max_changes
        self.max_bytes = max_bytes
        self.pushes: list[list[Mapping[str, Any]]] = []

    def whole_record(self, type_name: str) -> bool:
        return type_name == "profile"

    async def states(self, scope: str) -> AsyncIterator[State]:
        for state in self.held:
            yield state

    async def push(self, replica: str, changes: Sequence[Mapping[str, JsonValue]]) -> Sequence[Outcome]:
        self.pushes.append([*changes])
        refused = Outcome(Kind.REJECTED, code="document_too_large", message="it is too large")
        return [refused if change["id"] == self.refuses else Outcome(Kind.APPLIED, 9) for change in changes]

    @property
    def told(self) -> list[tuple[str, str, int, dict[str, JsonValue]]]:
        """Op, id, number and fields of every change, in order."""
        return [(each["op"], each["id"], each["n"], each["fields"]) for push in self.pushes for each in push]


def held(id: str, fields: dict[str, JsonValue], *, type: str = "note") -> State:
    mark = Mark(40, Stamp(1, 0, "r"))
    return State("main", type, id, 40, fields, dict.fromkeys(fields, mark), Origin("r", 1))


def document(line: Line, **documents: object) -> Line:
    return {**line, "documents": documents}


def update(text: str) -> JsonValue:
    return {"update": text}


@pytest.fixture
def take(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    async def imported(peer: Peer, *lines: Line) -> tuple[int, list[dict[str, Any]]]:
        code = await import_file(write_export(tmp_path / "in.jsonl", *lines), peer, Output(as_json=True))
        return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return imported


async def test_a_new_resource_brings_the_oldest_part_of_each_and_the_others_follow(take: Any) -> None:
    peer = Peer()
    code, [facts] = await take(peer, document(note("x", title="Derby"), body=BODY, board=BOARD), note("y", n=1))
    assert (code, facts["created"], facts["updated"]) == (0, 2, 0)
    assert peer.told == [
        ("create", "x", 1, {"title": "Derby", "body": update("AA=="), "board": update("Aw==")}),
        ("update", "x", 2, {"body": update("AQ==")}),
        ("update", "x", 3, {"body": update("Ag==")}),
        ("create", "y", 4, {"n": 1}),
    ]


async def test_into_the_database_that_it_comes_from_nothing_is_brought_again(take: Any) -> None:
    peer = Peer(held("x", {"title": "Derby", "body": Marker(21, 5).value()}))
    code, [facts] = await take(peer, document(note("x", title="Derby"), body=BODY))
    assert (code, facts["unchanged"], peer.pushes) == (0, 1, [])


@pytest.mark.parametrize("marker", [Marker(21, 6), Marker(20, 5), None])
async def test_what_may_be_another_document_takes_every_part_and_merges_it(take: Any, marker: Marker | None) -> None:
    body = {} if marker is None else {"body": marker.value()}
    peer = Peer(held("x", {"title": "Derby", **body}))
    code, [facts] = await take(peer, document(note("x", title="Derby"), body=BODY))
    assert (code, facts["updated"]) == (0, 1)
    assert peer.told == [
        ("update", "x", n, {"body": update(text)}) for n, text in enumerate(["AA==", "AQ==", "Ag=="], 1)
    ]


async def test_a_field_that_differs_goes_with_the_first_part(take: Any) -> None:
    peer = Peer(held("x", {"title": "Match", "n": 1, "body": Marker(1, 1).value()}))
    await take(peer, document(note("x", title="Derby", n=1), body=BOARD))
    assert peer.told == [("update", "x", 1, {"title": "Derby", "body": update("Aw==")})]


async def test_a_whole_record_brings_no_document_that_it_only_holds(take: Any) -> None:
    peer = Peer(held("x", {"title": "Match", "n": 1, "body": Marker(1, 1).value()}, type="profile"))
    lines = [{**note("x", title=title), "type": "profile"} for title in ("Derby", "Final")]
    await take(peer, document(lines[0], board=BOARD), lines[1])
    assert peer.told == [
        ("update", "x", 1, {"title": "Derby", "n": 1, "board": update("Aw==")}),
        ("update", "x", 2, {"title": "Final", "n": 1}),
    ]


async def test_a_line_whose_parts_are_refused_is_reported_once(take: Any) -> None:
    peer = Peer(refuses="x", max_changes=2)
    code, [*refused, facts] = await take(peer, document(note("x", title="Derby"), body=BODY), note("y", n=1))
    assert (code, facts["created"], facts["refused"]) == (1, 1, 1)
    assert [(each["event"], each["line"], each["code"]) for each in refused] == [("refused", 2, "document_too_large")]
    assert [len(push) for push in peer.pushes] == [2, 2]


async def test_of_a_line_with_a_part_that_is_too_large_nothing_is_sent(take: Any) -> None:
    peer = Peer(max_bytes=3000)
    large = {"since": 1, "seq": 2, "updates": ["AA==", "A" * 4000]}
    code, [refused, _] = await take(peer, document(note("x", title="Derby"), body=large))
    assert (code, refused["code"], peer.pushes) == (1, "too_large", [])


async def test_a_snapshot_that_is_too_large_for_one_change_goes_in_parts(take: Any) -> None:
    written = "Asha scores, " * 20_000
    doc: Doc[Any] = Doc({"body": Text(written)})
    peer = Peer(max_bytes=100_000)
    large = {"since": 1, "seq": 7, "updates": [base64.b64encode(doc.get_update()).decode()]}
    code, [facts] = await take(peer, document(note("x", title="Derby"), body=large))
    assert (code, facts["created"], facts["refused"]) == (0, 1, 0)
    assert [op for op, *_ in peer.told] == ["create"] + ["update"] * (len(peer.told) - 1)
    assert all(len(json.dumps(push)) < 100_000 for push in peer.pushes)
    copy = Document("text", "body")
    for _, _, _, fields in peer.told:
        part = fields["body"]
        assert isinstance(part, dict)
        assert not copy.offer(base64.b64decode(str(part["update"]))).waits
    assert copy.view() == written


def test_an_export_with_a_large_document_is_imported_into_another_database(run: Run) -> None:
    """What an app may hold, an export may be moved with: whatever a server takes of one update."""
    written = "".join(f"{number}: Asha scores. " for number in range(50_000))

    async def plant() -> None:
        pool = DocumentPool()
        try:
            async with open_engine(Path("old.db"), app=app, documents=pool) as engine:
                doc: Doc[Any] = Doc({"body": Text()})
                device = engine.replica("a")
                await device.create("x", _type="report")
                for start in range(0, len(written), 150_000):
                    before = doc.get_state()
                    doc["body"].insert(start, written[start : start + 150_000])
                    update = base64.b64encode(doc.get_update(before)).decode()
                    outcome = await device.update("x", 0, _type="report", body={"update": update})
                    assert outcome["outcome"] in ("applied", "merged")
                await engine.pusher.close()
                async with engine.store.snapshot() as snapshot:
                    stored = await snapshot.document(DocumentKey("report", "x", "body"))
                assert stored is not None
                assert len(stored.snapshot) > PoolLimits().update_bytes, "in one piece no server would take it"
        finally:
            await pool.close()

    async def read() -> object:
        pool = DocumentPool()
        try:
            async with open_engine(Path("new.db"), app=app, documents=pool) as engine:
                reader = DocumentReader(app, engine.store, pool, History(engine.store, app))
                return (await reader.view(DocumentKey("report", "x", "body")))[1]
        finally:
            await pool.close()

    asyncio.run(plant())
    assert run("export", "--database", "old.db", "--output", "club.jsonl").code == 0
    done = run("import", "club.jsonl", "--database", "new.db", "--app", f"{__name__}:app")
    assert done.code == 0, done
    assert asyncio.run(read()) == written
