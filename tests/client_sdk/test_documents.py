"""Documents on a device: edited offline, kept, sent, brought, undone, and made anew after a refusal."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pycrdt import Doc, Text

from client_sdk import Client, Closed, Document, DocumentUnreadable, NotHere, Unfit, document_loading
from conflict_rules import Change, InvalidValue, Outcome
from conflict_rules.crdt import update_of
from conflict_rules.documents.text_positions import BeyondTheText, InsideCharacter
from conflict_rules.documents.yjs_update import read_update
from tests.client_sdk.club_notes import Note, club_notes
from tests.client_sdk.conftest import OpenClient
from tests.client_sdk.scripted_documents import SCOPE, ScriptedClub
from tests.support.scripted_server import ScriptedServer, problem, scripted_server
from tests.support.until import until

CLUB: dict[str, Any] = {"app": club_notes, "scopes": [SCOPE]}


async def a_note(client: Client, field: str = "body") -> Document:
    """A fresh note, and one of its documents."""
    await client.collection(Note).put(Note(id="n1", club="a", title="training"))
    return await client.document(Note, "n1", field=field)


def updates_of(client: Client, field: str = "body") -> list[bytes]:
    """What waits to be sent for a document."""
    return [update_of(field, change.fields[field]) for change in client.outbox() if field in change.fields]


def keystrokes(text: str, field: str = "body") -> list[bytes]:
    """An update for each letter, as somebody typed them elsewhere."""
    doc: Doc[Any] = Doc()
    doc[field] = typed = Text()
    made: list[bytes] = []
    subscription = doc.observe(lambda event: made.append(event.update))
    for letter in text:
        typed += letter
    doc.unobserve(subscription)
    return made


@pytest.fixture
async def phone(open_client: OpenClient) -> Client:
    """A replica without a network."""
    return await open_client("phone", **CLUB)


class TestEditing:
    async def test_an_edit_shows_at_once_and_waits_in_the_outbox(self, phone: Client) -> None:
        doc = await a_note(phone)
        change = await doc.edit(lambda text: text.insert(0, "नमस्ते"))
        assert change is not None
        assert str(doc) == "नमस्ते"
        assert [each.n for each in phone.outbox()] == [1, change.n]
        assert set(change.change.fields) == {"body"}

    async def test_what_was_edited_is_there_after_a_restart(self, phone: Client, open_client: OpenClient) -> None:
        doc = await a_note(phone)
        await doc.edit(lambda text: text.insert(0, "kept"))
        await phone.close()
        again = await open_client("phone", **CLUB)
        assert str(await again.document(Note, "n1", field="body")) == "kept"

    async def test_each_opening_edits_under_a_yjs_client_id_of_its_own(
        self, phone: Client, open_client: OpenClient
    ) -> None:
        doc = await a_note(phone)
        await doc.edit(lambda text: text.insert(0, "a"))
        await phone.close()
        again = await open_client("phone", **CLUB)
        await (await again.document(Note, "n1", field="body")).edit(lambda text: text.append("b"))
        first, second = (read_update(update).ranges.keys() for update in updates_of(again))
        assert not first & second

    async def test_edits_that_were_never_sent_are_one_change(self, phone: Client) -> None:
        doc = await a_note(phone)
        changes = [await doc.edit(lambda text, letter=letter: text.append(letter)) for letter in "abcdef"]
        assert {change.n for change in changes if change is not None} == {2}
        [update] = updates_of(phone)
        assert len(read_update(update).structs) == 1

    async def test_what_edits_joined_delete_is_theirs_alone(
        self, club: ScriptedClub, scripted: ScriptedServer, open_client: OpenClient
    ) -> None:
        phone = await open_client("phone", scripted.url, **CLUB)
        doc = await a_note(phone)
        for letter in "abcdefgh":
            await doc.edit(lambda text, letter=letter: text.insert(0, f"{letter} typed and deleted "))
        await phone.synced(10)
        for _ in range(7):
            await doc.edit(lambda text: text.delete(0, 1))
            await doc.edit(lambda text: text.delete(1, 1))
        await phone.synced(10)
        await phone.pause()
        await doc.edit(lambda text: text.insert(0, "new"))
        await doc.edit(lambda text: text.delete(0, 1))
        await doc.edit(lambda text: text.delete(5, 2))
        [update] = updates_of(phone)
        deleted = read_update(update).deletes
        assert sum(end - start for ranges in deleted.values() for start, end in ranges) == 3
        await phone.resume()
        await phone.synced(10)
        laptop = await open_client("laptop", scripted.url, **CLUB)
        await laptop.synced(10)
        assert str(await laptop.document(Note, "n1", field="body")) == str(doc)

    async def test_they_are_one_after_another_where_something_else_was_done_in_between(self, phone: Client) -> None:
        doc = await a_note(phone)
        await doc.edit(lambda text: text.append("a"))
        await phone.collection(Note).update("n1", title="match")
        await doc.edit(lambda text: text.append("b"))
        assert [sorted(change.fields) for change in phone.outbox()[1:]] == [["body"], ["title"], ["body"]]

    async def test_an_edit_that_changes_nothing_is_none(self, phone: Client) -> None:
        doc = await a_note(phone)
        assert await doc.edit(lambda text: text.insert(0, "")) is None
        assert await doc.edit(lambda text: None) is None
        assert len(phone.outbox()) == 1

    async def test_an_edit_that_fails_half_way_leaves_nothing(self, phone: Client) -> None:
        doc = await a_note(phone)
        await doc.edit(lambda text: text.append("before"))

        def fails(text: Any) -> None:
            text.append("half")
            raise RuntimeError("in the middle")

        with pytest.raises(RuntimeError, match="in the middle"):
            await doc.edit(fails)
        assert str(doc) == "before"
        await doc.edit(lambda text: text.append(", after"))
        assert str(doc) == "before, after"

    async def test_an_edit_cannot_wait(self, phone: Client) -> None:
        doc = await a_note(phone)

        async def waits(text: Any) -> None:
            await asyncio.sleep(0)

        with pytest.raises(Unfit, match="not a coroutine"):
            await doc.edit(waits)

    async def test_outside_of_an_edit_nothing_can_be_changed(self, phone: Client) -> None:
        doc = await a_note(phone)
        with pytest.raises(Unfit, match="inside of an edit"):
            doc.text.insert(0, "x")

    async def test_two_tasks_that_edit_at_once_both_count(self, phone: Client) -> None:
        doc = await a_note(phone)
        await asyncio.gather(*(doc.edit(lambda text, letter=letter: text.append(letter)) for letter in "abcdefgh"))
        assert sorted(str(doc)) == list("abcdefgh")

    async def test_a_deleted_resource_has_no_document_to_edit(self, phone: Client) -> None:
        doc = await a_note(phone)
        await phone.collection(Note).delete("n1")
        with pytest.raises(NotHere, match="was deleted"):
            await doc.edit(lambda text: text.append("x"))
        with pytest.raises(NotHere):
            await phone.document(Note, "n1", field="body")

    async def test_a_restore_brings_the_document_back(self, phone: Client) -> None:
        doc = await a_note(phone)
        await doc.edit(lambda text: text.append("minutes"))
        await phone.collection(Note).delete("n1")
        await phone.collection(Note).restore("n1")
        assert str(await phone.document(Note, "n1", field="body")) == "minutes"

    async def test_a_closed_document_says_so(self, phone: Client) -> None:
        async with await a_note(phone) as doc:
            pass
        with pytest.raises(Closed):
            doc.to_json()


class TestWhichDocument:
    async def test_a_field_that_is_none_is_refused_with_a_sentence(self, phone: Client) -> None:
        await a_note(phone)
        with pytest.raises(Unfit, match="is no document"):
            await phone.document(Note, "n1", field="title")

    async def test_where_there_are_several_the_field_is_to_be_named(self, phone: Client) -> None:
        await a_note(phone)
        with pytest.raises(Unfit, match="body, board, plan"):
            await phone.document("note", "n1")

    async def test_the_kind_is_the_declared_one(self, phone: Client) -> None:
        doc = await a_note(phone)
        with pytest.raises(Unfit, match="is a text, not a map"):
            _ = doc.map

    async def test_a_resource_that_is_not_here_has_none(self, phone: Client) -> None:
        with pytest.raises(NotHere):
            await phone.document(Note, "nobody", field="body")


class TestPlacesInAText:
    @pytest.mark.parametrize(
        ("unit", "at", "gives"),
        [("code_points", 2, "a😀Xb"), ("utf16", 3, "a😀Xb"), ("bytes", 5, "a😀Xb")],
    )
    async def test_offsets_count_what_they_say(self, phone: Client, unit: Any, at: int, gives: str) -> None:
        doc = await a_note(phone)
        await doc.edit(lambda text: text.insert(0, "a😀b"))
        await doc.edit(lambda text: text.insert(at, "X", unit=unit))
        assert str(doc) == gives

    @pytest.mark.parametrize(("unit", "at"), [("utf16", 2), ("bytes", 2), ("bytes", 4)])
    async def test_an_offset_inside_of_a_character_is_refused(self, phone: Client, unit: Any, at: int) -> None:
        doc = await a_note(phone)
        await doc.edit(lambda text: text.insert(0, "a😀b"))
        with pytest.raises(InsideCharacter, match="lies inside of '😀'"):
            await doc.edit(lambda text: text.insert(at, "X", unit=unit))
        assert str(doc) == "a😀b"

    async def test_an_offset_beyond_the_text_is_refused(self, phone: Client) -> None:
        doc = await a_note(phone)
        with pytest.raises(BeyondTheText):
            await doc.edit(lambda text: text.delete(0, 1))

    async def test_deleting_and_replacing_count_the_same(self, phone: Client) -> None:
        doc = await a_note(phone)
        await doc.edit(lambda text: text.insert(0, "नेपाली 👨‍👩‍👧 ok"))
        await doc.edit(lambda text: text.delete(7, 6))
        assert str(doc) == "नेपाली ok"
        await doc.edit(lambda text: text.replace(7, 2, "ठीक"))
        assert str(doc) == "नेपाली ठीक"
        assert (doc.text.length(), doc.text.length("utf16"), doc.text.length("bytes")) == (10, 10, 28)


class TestMapsAndLists:
    async def test_values_and_what_is_nested(self, phone: Client) -> None:
        board = await a_note(phone, "board")

        def lay_out(root: Any) -> None:
            root["open"] = True
            root["count"] = 3
            columns = root.new_array("columns")
            card = columns.new_map(0)
            card.new_text("title", "कार्ड").append("!")
            columns.append("end")

        await board.edit(lay_out)
        assert board.to_json() == {"open": True, "count": 3, "columns": [{"title": "कार्ड!"}, "end"]}
        await board.edit(lambda root: root["columns"][0]["title"].insert(0, "1 "))
        assert board.map["columns"][0].to_json() == {"title": "1 कार्ड!"}
        assert list(board.map) == ["columns", "count", "open"]

    async def test_a_list(self, phone: Client) -> None:
        plan = await a_note(phone, "plan")

        def fill(root: Any) -> None:
            for item in ("warm-up", {"minutes": 10}, None):
                root.append(item)
            root.insert(1, "run")
            del root[-1]

        await plan.edit(fill)
        assert plan.to_json() == ["warm-up", "run", {"minutes": 10}]
        assert [plan.array[0], len(plan.array)] == ["warm-up", 3]

    @pytest.mark.parametrize("value", [float("nan"), 1 << 63, "\ud800", object(), {1: 2}])
    async def test_a_value_that_not_everybody_can_keep_is_refused(self, phone: Client, value: Any) -> None:
        board = await a_note(phone, "board")
        with pytest.raises(InvalidValue):
            await board.edit(lambda root: root.__setitem__("x", value))
        assert board.to_json() == {}


class TestUndo:
    async def test_one_edit_is_one_step(self, phone: Client) -> None:
        doc = await a_note(phone)
        await doc.edit(lambda text: text.append("one "))
        await doc.edit(lambda text: text.append("two"))
        await doc.undo()
        assert str(doc) == "one "
        await doc.undo()
        assert (str(doc), doc.can_undo) == ("", False)
        assert await doc.undo() is None
        await doc.redo()
        await doc.redo()
        assert (str(doc), doc.can_redo) == ("one two", False)

    async def test_what_others_wrote_stays(self, phone: Client) -> None:
        doc = await a_note(phone)
        theirs: Doc[Any] = Doc()
        theirs["body"] = Text("theirs ")
        await doc.apply(theirs.get_update())
        await doc.edit(lambda text: text.append("mine"))
        assert str(doc) == "theirs mine"
        await doc.undo()
        assert (str(doc), doc.can_undo) == ("theirs ", False)


class TestWhatIsToldAndShown:
    async def test_callbacks_are_told_what_changed_in_code_points(self, phone: Client) -> None:
        doc = await a_note(phone)
        told: list[Any] = []
        forget = doc.on_change(told.append)
        await doc.edit(lambda text: text.append("😀 fine"))
        await doc.edit(lambda text: text.replace(2, 4, "good"))
        forget()
        await doc.edit(lambda text: text.append("."))
        assert [(each.mine, each.delta) for each in told] == [
            (True, [{"insert": "😀 fine"}]),
            (True, [{"retain": 2}, {"delete": 4}, {"insert": "good"}]),
        ]

    async def test_collections_and_views_show_the_content(self, phone: Client) -> None:
        doc = await a_note(phone)
        notes = phone.collection(Note)
        changes: list[Any] = []
        notes.on_change(lambda change: changes.append(change.resource.body if change.resource else None))
        await doc.edit(lambda text: text.append("minutes of the meeting"))
        found = await notes.get("n1")
        assert found is not None
        assert (found.title, found.body, found.board) == ("training", "minutes of the meeting", {})
        assert await phone.view("digest", SCOPE) == {"n1": "minutes of the meeti"}
        assert changes == ["minutes of the meeting"]
        assert (await phone.collection("note").all())[0]["body"] == "minutes of the meeting"

    async def test_a_put_leaves_documents_alone_and_cannot_set_them(self, phone: Client) -> None:
        doc = await a_note(phone)
        await doc.edit(lambda text: text.append("as it is"))
        notes = phone.collection(Note)
        note = await notes.get("n1")
        assert note is not None
        await notes.put(note.model_copy(update={"title": "match"}))
        assert phone.outbox()[-1].fields == {"title": "match"}
        with pytest.raises(InvalidValue, match="not put but edited"):
            await notes.put(note.model_copy(update={"body": "something else"}))

    async def test_no_process_loads_pycrdt_that_opens_no_document(self) -> None:
        code = (
            "import sys, client_sdk, client_sdk.blocking; "
            "sys.exit(any(name.startswith(('pycrdt', '_pycrdt')) for name in sys.modules))"
        )
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
        assert await process.wait() == 0


class TestManyPending:
    @pytest.mark.parametrize("created_offline", [True, False], ids=["never sent", "confirmed"])
    async def test_an_edit_looks_at_none_of_the_pending_ones_again(
        self,
        created_offline: bool,
        club: ScriptedClub,
        scripted: ScriptedServer,
        open_client: OpenClient,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        phone = await open_client("phone", None if created_offline else scripted.url, **CLUB)
        doc = await a_note(phone)
        if not created_offline:
            await phone.synced(10)
            await phone.pause()
        await doc.apply_all(keystrokes("." * 300))
        await doc.apply_all(keystrokes("."))
        looked = Counted(monkeypatch)
        for letter in keystrokes("abc"):
            await doc.apply(letter)
        await doc.edit(lambda text: text.insert(0, "d"))
        assert sorted(str(doc).replace(".", "")) == ["a", "b", "c", "d"]
        assert looked.count <= 4 * 3

    async def test_the_base_of_an_edit_is_that_of_the_pending_one_it_is_made_over(
        self, club: ScriptedClub, scripted: ScriptedServer, open_client: OpenClient
    ) -> None:
        phone = await open_client("phone", scripted.url, **CLUB)
        laptop = await open_client("laptop", scripted.url, **CLUB)
        doc = await an_edited_note(phone)
        await phone.synced(10)
        await phone.pause()
        await doc.apply_all(keystrokes("ab"))
        bases = {change.base for change in phone.outbox()}
        await laptop.synced(10)
        theirs = await laptop.document(Note, "n1", field="board")
        await theirs.edit(lambda root: root.new_text("motto"))
        await laptop.synced(10)
        scripted.hangs.add("push")
        await phone.resume()
        await until(lambda: phone._opened().scopes[SCOPE].version > max(bases))
        await doc.apply_all(keystrokes("c"))
        assert [change.base for change in phone.outbox()] == [min(bases)] * 3
        assert await phone.collection(Note).get("n1") is not None


class Counted:
    """How often a change was read for its updates, or laid over a state."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        for name in ("client_sdk.own_updates.own_update", "client_sdk.rebase.apply_change"):
            module, _, function = name.rpartition(".")
            self._count(monkeypatch, name, getattr(sys.modules[module], function))

    def _count(self, monkeypatch: pytest.MonkeyPatch, name: str, original: Any) -> None:
        def counting(*args: Any) -> Any:
            self.count += 1
            return original(*args)

        monkeypatch.setattr(name, counting)


class TestLargeOnes:
    async def test_are_read_beside_the_event_loop_and_edited_in_it(
        self, phone: Client, open_client: OpenClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        doc = await a_note(phone)
        await doc.edit(lambda text: text.insert(0, "small"))
        await phone.close()
        threads: list[threading.Thread] = []
        monkeypatch.setattr("client_sdk.document_loading.load", noting(document_loading.load, threads))
        phone = await open_client("phone", **CLUB)
        doc = await phone.document(Note, "n1", field="body")
        assert set(threads) == {threading.main_thread()}
        await doc.edit(lambda text: text.append("!" * 100_000))
        await phone.close()
        threads.clear()
        phone = await open_client("phone", **CLUB)
        doc = await phone.document(Note, "n1", field="body")
        assert threads
        assert threading.main_thread() not in threads
        told: list[Any] = []
        doc.on_change(lambda change: told.append(change.delta))
        await doc.edit(lambda text: text.insert(0, "not "))
        await doc.undo()
        await doc.redo()
        assert str(doc) == "not small" + "!" * 100_000
        assert len(told) == 3


def noting(load: Any, threads: list[threading.Thread]) -> Any:
    """`load`, and where it runs."""

    def noted(*args: Any) -> Any:
        threads.append(threading.current_thread())
        return load(*args)

    return noted


class TestImports:
    async def test_a_foreign_update_is_merged_and_sent_as_it_is(self, phone: Client) -> None:
        doc = await a_note(phone)
        theirs: Doc[Any] = Doc()
        theirs["body"] = Text("from elsewhere")
        update = theirs.get_update()
        assert await doc.apply(update) is not None
        assert str(doc) == "from elsewhere"
        assert updates_of(phone) == [update]

    async def test_what_came_too_early_waits_here_as_well(self, phone: Client) -> None:
        doc = await a_note(phone)
        for update in reversed(keystrokes("abc")):
            await doc.apply(update)
        assert str(doc) == "abc"

    async def test_many_are_a_change_each_in_one_local_commit(self, phone: Client, open_client: OpenClient) -> None:
        doc = await a_note(phone)
        told: list[bool] = []
        doc.on_change(lambda change: told.append(change.mine))
        made = keystrokes("in one go")
        changes = await doc.apply_all(made)
        assert [change.n for change in changes] == [2, 3, 4, 5, 6, 7, 8, 9, 10]
        assert updates_of(phone) == made
        assert (str(doc), told) == ("in one go", [True])
        await phone.close()
        again = await open_client("phone", **CLUB)
        assert str(await again.document(Note, "n1", field="body")) == "in one go"

    async def test_of_many_all_are_taken_or_none(self, phone: Client) -> None:
        doc = await a_note(phone)
        with pytest.raises(InvalidValue):
            await doc.apply_all([*keystrokes("half"), b"hello"])
        assert (str(doc), updates_of(phone)) == ("", [])
        await doc.edit(lambda text: text.insert(0, "whole"))
        assert str(doc) == "whole"

    async def test_none_at_all_make_no_change(self, phone: Client) -> None:
        doc = await a_note(phone)
        assert await doc.apply_all([]) == []

    @pytest.mark.parametrize("update", [b"", b"hello", b"\x01\x01\x01"])
    async def test_what_is_no_update_is_refused(self, phone: Client, update: bytes) -> None:
        doc = await a_note(phone)
        with pytest.raises(InvalidValue) as refused:
            await doc.apply(update)
        assert refused.value.code == "invalid_document_update"
        assert updates_of(phone) == []


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedServer]:
    """A server that answers what the test says."""
    async with scripted_server() as server:
        yield server


@pytest.fixture
def club(scripted: ScriptedServer) -> ScriptedClub:
    """A server with documents."""
    return ScriptedClub(scripted, club_notes)


async def an_edited_note(client: Client, text: str = "hello") -> Document:
    doc = await a_note(client)
    await doc.edit(lambda body: body.append(text))
    await client.synced(10)
    return doc


class TestSyncing:
    async def test_what_one_writes_the_other_reads(
        self, club: ScriptedClub, scripted: ScriptedServer, open_client: OpenClient
    ) -> None:
        phone = await open_client("phone", scripted.url, **CLUB)
        laptop = await open_client("laptop", scripted.url, **CLUB)
        await an_edited_note(phone)
        await laptop.synced(10)
        theirs = await laptop.document(Note, "n1", field="body")
        assert (str(theirs), theirs.current, club.say()) == ("hello", True, "hello")
        assert [note.body for note in await laptop.collection(Note).all()] == ["hello"]

    async def test_both_edit_offline_and_both_edits_stand(
        self, club: ScriptedClub, scripted: ScriptedServer, open_client: OpenClient
    ) -> None:
        phone = await open_client("phone", scripted.url, **CLUB)
        laptop = await open_client("laptop", scripted.url, **CLUB)
        mine = await an_edited_note(phone, "middle")
        await laptop.synced(10)
        theirs = await laptop.document(Note, "n1", field="body")
        told: list[Any] = []
        mine.on_change(told.append)
        await phone.pause()
        await laptop.pause()
        await mine.edit(lambda text: text.insert(0, "begin "))
        await theirs.edit(lambda text: text.append(" end"))
        for client in (phone, laptop):
            await client.resume()
            await client.synced(10)
        await phone.synced(10)
        assert str(mine) == str(theirs) == club.say() == "begin middle end"
        assert [(each.mine, each.delta) for each in told] == [
            (True, [{"insert": "begin "}]),
            (False, [{"retain": 12}, {"insert": " end"}]),
        ]
        await mine.undo()
        assert str(mine) == "middle end"

    async def test_own_updates_need_not_be_brought_back(
        self, club: ScriptedClub, scripted: ScriptedServer, open_client: OpenClient
    ) -> None:
        phone = await open_client("phone", scripted.url, **CLUB)
        doc = await an_edited_note(phone)
        # No pull of the first subscription is under way that could bring an edit before the answer to its push.
        await until(lambda: phone.status.state == "live")
        for word in (" a", " b", " c"):
            await doc.edit(lambda text, word=word: text.append(word))
            await phone.synced(10)
        assert scripted.seen("documents") == []
        assert str(doc) == club.say() == "hello a b c"
        await phone.close()
        again = await open_client("phone", **CLUB)
        assert str(await again.document(Note, "n1", field="body")) == "hello a b c"

    async def test_until_they_are_brought_back_they_stay_in_sight(
        self, club: ScriptedClub, scripted: ScriptedServer, open_client: OpenClient
    ) -> None:
        phone = await open_client("phone", scripted.url, **CLUB)
        laptop = await open_client("laptop", scripted.url, **CLUB)
        mine = await an_edited_note(phone)
        await laptop.synced(10)
        theirs = await laptop.document(Note, "n1", field="body")
        await theirs.edit(lambda text: text.append(", laptop"))
        await laptop.synced(10)
        scripted.answer["documents"] = problem(503, "busy")
        await mine.edit(lambda text: text.insert(0, "phone, "))
        assert phone._loop is not None
        with pytest.raises(TimeoutError):
            await phone.synced(0.5)
        assert phone.outbox() == []
        assert (str(mine), mine.current) == ("phone, hello", False)
        await phone.close()
        scripted.answer["documents"] = club.documents
        again = await open_client("phone", scripted.url, **CLUB)
        await again.synced(10)
        assert str(await again.document(Note, "n1", field="body")) == "phone, hello, laptop"

    async def test_one_that_has_been_away_gets_what_is_missing(
        self, club: ScriptedClub, scripted: ScriptedServer, open_client: OpenClient
    ) -> None:
        phone = await open_client("phone", scripted.url, **CLUB)
        laptop = await open_client("laptop", scripted.url, **CLUB)
        mine = await an_edited_note(phone)
        await laptop.synced(10)
        await laptop.pause()
        for _ in range(70):
            await mine.edit(lambda text: text.append("."))
            await phone.synced(10)
        club.snapshots_only = True
        await laptop.resume()
        await laptop.synced(10)
        assert str(await laptop.document(Note, "n1", field="body")) == str(mine) == "hello" + "." * 70
        assert "state" in scripted.seen("documents")[-1]["documents"][0]

    async def test_many_updates_are_squashed_in_the_file(
        self, club: ScriptedClub, scripted: ScriptedServer, open_client: OpenClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("client_sdk.local_documents._SQUASH_AFTER", 5)
        phone = await open_client("phone", scripted.url, **CLUB)
        laptop = await open_client("laptop", scripted.url, **CLUB)
        mine = await an_edited_note(phone)
        await laptop.synced(10)
        for _ in range(12):
            await mine.edit(lambda text: text.append("."))
            await phone.synced(10)
            await laptop.synced(10)
        theirs = await laptop.document(Note, "n1", field="body")
        assert str(theirs) == "hello............"
        assert len(await laptop._opened().store.documents.updates(theirs._key)) < 5

    async def test_a_change_on_its_way_keeps_its_bytes(
        self, club: ScriptedClub, scripted: ScriptedServer, open_client: OpenClient
    ) -> None:
        phone = await open_client("phone", scripted.url, **CLUB)
        doc = await an_edited_note(phone)
        scripted.hangs.add("push")
        sent = await doc.edit(lambda text: text.append(" on its way"))
        await scripted.pulse.until_or(lambda: len(scripted.seen("push")) > 2, 1)
        later = await doc.edit(lambda text: text.append(", later"))
        assert sent is not None
        assert later is not None
        assert later.n == sent.n + 1
        await phone.close()
        scripted.hangs.clear()
        again = await open_client("phone", scripted.url, **CLUB)
        await again.synced(10)
        assert club.say() == "hello on its way, later"

    async def test_a_new_life_of_the_resource_begins_an_empty_document(
        self, club: ScriptedClub, scripted: ScriptedServer, open_client: OpenClient
    ) -> None:
        phone = await open_client("phone", scripted.url, **CLUB)
        laptop = await open_client("laptop", scripted.url, **CLUB)
        await an_edited_note(phone)
        await laptop.synced(10)
        theirs = await laptop.document(Note, "n1", field="body")
        await phone.collection(Note).delete("n1")
        await phone.synced(10)
        await phone.collection(Note).restore("n1")
        await (await phone.document(Note, "n1", field="body")).edit(lambda text: text.append(", again"))
        await phone.synced(10)
        await laptop.synced(10)
        assert str(theirs) == club.say() == "hello, again"


class TestARefusedEdit:
    async def test_leaves_the_document_and_what_came_after_it_is_made_anew(
        self, club: ScriptedClub, scripted: ScriptedServer, open_client: OpenClient
    ) -> None:
        phone = await open_client("phone", scripted.url, **CLUB)
        doc = await an_edited_note(phone, "start ")
        refused: list[tuple[Change, Outcome]] = []
        phone.on_rejected(lambda change, outcome: refused.append((change, outcome)))
        await phone.pause()
        await doc.edit(lambda text: text.append("bad "))
        bad = phone.outbox()[-1]
        club.refuse = lambda change: "not_allowed" if change.n == bad.n else None
        await phone.collection(Note).update("n1", title="between")
        await doc.edit(lambda text: text.append("good"))
        await phone.resume()
        await phone.synced(10)
        await phone.synced(10)
        assert [change.n for change, _ in refused] == [bad.n]
        assert str(doc) == club.say() == "start good"
        await doc.edit(lambda text: text.append("!"))
        await phone.synced(10)
        assert str(doc) == club.say() == "start good!"
        laptop = await open_client("laptop", scripted.url, **CLUB)
        await laptop.synced(10)
        assert str(await laptop.document(Note, "n1", field="body")) == "start good!"

    async def test_what_was_not_sent_yet_is_sent_with_other_content(
        self, club: ScriptedClub, scripted: ScriptedServer, open_client: OpenClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("client_sdk.push._AT_ONCE", 1)
        phone = await open_client("phone", scripted.url, **CLUB)
        doc = await an_edited_note(phone, "start ")
        await phone.pause()
        await doc.edit(lambda text: text.append("bad "))
        bad = phone.outbox()[-1]
        await phone.collection(Note).update("n1", title="between")
        good = await doc.edit(lambda text: text.append("good"))
        assert good is not None
        club.refuse = lambda change: "not_allowed" if change.n == bad.n else None
        await phone.resume()
        await phone.synced(10)
        assert str(doc) == club.say() == "start good"
        assert (good.n, phone._opened().row.next_n) == (bad.n + 2, bad.n + 3)
        assert club.document("note", "n1", "body").waiting == ()

    async def test_the_same_goes_for_what_is_nested(
        self, club: ScriptedClub, scripted: ScriptedServer, open_client: OpenClient
    ) -> None:
        phone = await open_client("phone", scripted.url, **CLUB)
        board = await a_note(phone, "board")
        await board.edit(lambda root: root.new_array("columns").append("open"))
        await phone.synced(10)
        await phone.pause()

        def bad(root: Any) -> None:
            root["columns"].insert(0, "bad")
            root["owner"] = "nobody"

        await board.edit(bad)
        refused = phone.outbox()[-1]
        await phone.collection(Note).update("n1", title="between")

        def good(root: Any) -> None:
            root["columns"].append("done")
            root.new_map("colours").new_text("open", "green")

        await board.edit(good)
        club.refuse = lambda change: "not_allowed" if change.n == refused.n else None
        await phone.resume()
        await phone.synced(10)
        await phone.synced(10)
        assert board.to_json() == {"columns": ["open", "done"], "colours": {"open": "green"}}
        assert club.say("n1", "board") == board.to_json()

    async def test_with_a_refused_create_everything_goes(
        self, club: ScriptedClub, scripted: ScriptedServer, open_client: OpenClient
    ) -> None:
        phone = await open_client("phone", scripted.url, **CLUB)
        club.refuse = lambda change: "not_allowed" if change.n <= 2 else None
        await phone.pause()
        doc = await a_note(phone)
        await doc.edit(lambda text: text.append("hello"))
        await phone.resume()
        await phone.synced(10)
        assert await phone.collection(Note).all() == []
        assert [change.n for change, _ in await phone.rejected()] == [1, 2]
        with pytest.raises(NotHere):
            await doc.edit(lambda text: text.append("x"))


class TestAFileThatDoesNotLoad:
    async def test_is_never_an_empty_document_and_is_brought_anew(
        self, club: ScriptedClub, scripted: ScriptedServer, open_client: OpenClient, tmp_path: Path
    ) -> None:
        phone = await open_client("phone", scripted.url, **CLUB)
        await an_edited_note(phone)
        store = phone._opened().store
        async with store.transaction():
            await store._connection.execute("UPDATE document_updates SET bytes = x'0101'")
        await phone.close()
        offline = await open_client("phone", **CLUB)
        with pytest.raises(DocumentUnreadable, match="does not load"):
            await offline.document(Note, "n1", field="body")
        note = await offline.collection("note").get("n1")
        assert note is not None
        assert note["body"] != ""
        await offline.close()
        again = await open_client("phone", scripted.url, **CLUB)
        with pytest.raises(DocumentUnreadable):
            await again.document(Note, "n1", field="body")
        await again.synced(10)
        assert str(await again.document(Note, "n1", field="body")) == "hello"
