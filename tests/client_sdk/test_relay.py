"""Updates of documents that come with a delta are shown without a question to the server; anything else is fetched."""

from __future__ import annotations

import base64
import copy
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from pycrdt import Doc, Text

from client_sdk import Client, Document, Unreachable
from client_sdk.document_rows import DocumentKey
from client_sdk.feed import Feed
from client_sdk.messages import Delta, Relayed, decode_delta
from client_sdk.replica import Replica
from conflict_rules import Change, Outcome, Stamp
from conflict_rules.crdt import marker_of, update_of
from conflict_rules.wire import encode_state
from syncd.app import open_app
from tests.client_sdk.club_notes import Note, club_notes
from tests.client_sdk.conftest import OpenClient
from tests.client_sdk.make import Parts, page
from tests.client_sdk.make import delta as plain_delta
from tests.client_sdk.make import state as plain_state
from tests.client_sdk.scripted_documents import SCOPE, ScriptedClub
from tests.sizes import SIZES
from tests.support.lossy_network import LossyNetwork, lossy_network
from tests.support.scripted_server import ScriptedServer, scripted_server
from tests.support.served import Served, served
from tests.support.until import until

CLUB: dict[str, Any] = {"app": club_notes, "scopes": [SCOPE]}
KEY = DocumentKey("note", "n1", "body")
STEPS = 30


class Club:
    """A real server, and a network to it that counts."""

    def __init__(self, server: Served, network: LossyNetwork) -> None:
        self.server = server
        self.network = network

    @property
    def asked(self) -> int:
        """How often documents were asked for through the network."""
        return sum(request.what == "documents" for request in self.network.requests)


@pytest.fixture
async def club(tmp_path: Path) -> AsyncIterator[Club]:
    async with AsyncExitStack() as undo:
        server = await undo.enter_async_context(served(tmp_path / "server.db", club_notes))
        yield Club(server, await undo.enter_async_context(lossy_network(server.port)))


async def both(club: Club, open_client: OpenClient, **options: Any) -> tuple[Client, Client]:
    """A phone beside the server, and a laptop behind the network, which watches."""
    phone = await open_client("phone", club.server.url, **CLUB)
    laptop = await open_client("laptop", club.network.url, **CLUB, **options)
    for client in (phone, laptop):
        await client.synced(20)
        await until(lambda client=client: client.status.state == "live")  # type: ignore[misc]
    return phone, laptop


async def a_note(client: Client) -> Document:
    """A fresh note's document."""
    await client.collection(Note).put(Note(id="n1", club="a"))
    return await client.document(Note, "n1", field="body")


async def add(doc: Document, text: str) -> None:
    await doc.edit(lambda body: body.append(text))


async def says(doc: Document, text: str) -> None:
    """Return once a document says this."""
    await until(lambda: str(doc) == text)


class TestLive:
    """Two devices and a real server."""

    @pytest.mark.parametrize("encoding", ["json", "msgpack"])
    async def test_an_edit_shows_on_another_device_and_nothing_is_asked_for(
        self, club: Club, open_client: OpenClient, encoding: str
    ) -> None:
        phone, laptop = await both(club, open_client, encoding=encoding)
        mine = await a_note(phone)
        await phone.synced(20)
        theirs = await laptop.document(Note, "n1", field="body")
        told: list[str] = []
        theirs.on_change(lambda change: told.append("mine" if change.mine else str(theirs)))
        for letter in "नमस्ते 😀":
            before = str(mine)
            await add(mine, letter)
            await says(theirs, before + letter)
        assert told[-1] == "नमस्ते 😀"
        assert "mine" not in told
        assert club.asked == 0

    async def test_a_document_that_nobody_has_open_is_told_with_its_content(
        self, club: Club, open_client: OpenClient
    ) -> None:
        phone, laptop = await both(club, open_client)
        watched = laptop.watch(SCOPE)
        mine = await a_note(phone)
        await phone.synced(20)
        await add(mine, "content")
        async for delta in watched:
            bodies = [state.fields["body"] for state in delta.states if state.fields.get("body")]
            if bodies:
                assert bodies == ["content"]
                break
        note = await laptop.collection(Note).get("n1")
        assert note is not None
        assert note.body == "content"
        assert club.asked == 0

    async def test_both_write_and_their_own_updates_come_back_as_nothing_new(
        self, club: Club, open_client: OpenClient
    ) -> None:
        phone, laptop = await both(club, open_client)
        mine = await a_note(phone)
        await add(mine, "-")
        await phone.synced(20)
        theirs = await laptop.document(Note, "n1", field="body")
        await says(theirs, "-")
        for letter in "abcdefgh":
            await theirs.edit(lambda text, letter=letter: text.insert(0, letter))
            await until(lambda letter=letter: str(mine).startswith(letter))  # type: ignore[misc]
            await add(mine, letter)
            await until(lambda letter=letter: str(theirs).endswith(letter))  # type: ignore[misc]
        assert str(mine) == str(theirs) == "hgfedcba-abcdefgh"
        await laptop.synced(20)
        assert not laptop.status.pending
        assert str(theirs) == "hgfedcba-abcdefgh"
        assert club.asked == 0

    async def test_what_came_is_there_after_a_restart_without_a_network(
        self, club: Club, open_client: OpenClient
    ) -> None:
        phone, laptop = await both(club, open_client)
        mine = await a_note(phone)
        await phone.synced(20)
        theirs = await laptop.document(Note, "n1", field="body")
        await add(mine, "kept")
        await says(theirs, "kept")
        await laptop.close()
        again = await open_client("laptop", **CLUB)
        assert str(await again.document(Note, "n1", field="body")) == "kept"
        assert club.asked == 0

    async def test_who_missed_one_fetches_it_and_goes_on_live(self, club: Club, open_client: OpenClient) -> None:
        phone, laptop = await both(club, open_client)
        mine = await a_note(phone)
        await phone.synced(20)
        theirs = await laptop.document(Note, "n1", field="body")
        await add(mine, "a")
        await says(theirs, "a")
        assert club.asked == 0
        await laptop.pause()
        await add(mine, "b")
        await phone.synced(20)
        await laptop.resume()
        await says(theirs, "ab")
        missed = club.asked
        assert missed >= 1
        await until(lambda: laptop.status.state == "live")
        await add(mine, "c")
        await says(theirs, "abc")
        assert club.asked == missed

    async def test_what_is_too_large_for_a_delta_is_fetched(self, club: Club, open_client: OpenClient) -> None:
        phone, laptop = await both(club, open_client)
        mine = await a_note(phone)
        await phone.synced(20)
        theirs = await laptop.document(Note, "n1", field="body")
        large = "x" * 100_000
        await add(mine, large)
        await says(theirs, large)
        assert club.asked == 1
        await add(mine, "!")
        await says(theirs, large + "!")
        assert club.asked == 1

    async def test_a_new_life_comes_as_well(self, club: Club, open_client: OpenClient) -> None:
        phone, laptop = await both(club, open_client)
        mine = await a_note(phone)
        await phone.synced(20)
        theirs = await laptop.document(Note, "n1", field="body")
        await add(mine, "first")
        await says(theirs, "first")
        await phone.collection(Note).delete("n1")
        await phone.synced(20)
        await phone.collection(Note).restore("n1")
        await phone.synced(20)
        again = await phone.document(Note, "n1", field="body")
        await add(again, " and second")
        await until(lambda: str(theirs) == "first and second")
        assert club.asked == 0

    async def test_a_server_without_them_is_not_asked_for_any(self, open_client: OpenClient) -> None:
        async with scripted_server() as scripted:
            ScriptedClub(scripted, club_notes)
            await open_client("phone", scripted.url, **CLUB)
            await until(lambda: bool(scripted.seen("subscribe")))
            assert all("documents" not in frame for frame in scripted.seen("subscribe"))


class Telling(ScriptedClub):
    """Keeps the delta of every change that took effect, as it would go out."""

    def __init__(self, scripted: ScriptedServer) -> None:
        super().__init__(scripted, club_notes)
        self.frames: list[dict[str, Any]] = []

    def _merge(self, change: Change) -> Outcome:
        version = self.version
        outcome = super()._merge(change)
        if self.version != version:
            state = self.states[change.type, change.id]
            documents = []
            for name, value in change.fields.items():
                marker = marker_of(state.fields.get(name))
                if marker is not None:
                    update = base64.b64encode(update_of(name, value)).decode()
                    place = {"type": change.type, "id": change.id, "field": name, "since": marker.since}
                    documents.append({**place, "after": marker.seq - 1, "seq": marker.seq, "updates": [update]})
            frame = {"type": "delta", "scope": SCOPE, "after": f"c{version}", "upto": f"c{self.version}"}
            self.frames.append({**frame, "entries": [encode_state(state)], "documents": documents})
        return outcome


def grouped(frames: list[dict[str, Any]]) -> dict[str, Any]:
    """Frames that follow each other, about one document, as one."""
    runs = [copy.deepcopy(run) for frame in frames for run in frame["documents"]]
    documents = runs[:1]
    for run in runs[1:]:
        assert run["after"] == documents[0]["seq"]
        documents[0]["seq"] = run["seq"]
        documents[0]["updates"] += run["updates"]
    return {**frames[-1], "after": frames[0]["after"], "documents": documents}


class Typist:
    """Somebody elsewhere, who types into the club's note letter by letter."""

    def __init__(self, club: ScriptedClub) -> None:
        self.club = club
        self.n = 0
        self.doc: Any = Doc()
        self.doc["body"] = Text()
        self._change("create", {"club": "a", "title": "t"})

    def types(self, letter: str, at: int = 0) -> None:
        before = self.doc.get_state()
        self.doc["body"].insert(at, letter)
        update = base64.b64encode(self.doc.get_update(before)).decode()
        self._change("update", {"body": {"update": update}})

    def _change(self, op: str, fields: dict[str, Any]) -> None:
        self.n += 1
        change = {"n": self.n, "scope": SCOPE, "type": "note", "id": "n1", "op": op, "base": 0, "fields": fields}
        self.club.push({"replica": "other", "changes": [{**change, "stamp": str(Stamp(self.n, 0, "other"))}]})


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedServer]:
    async with scripted_server() as server:
        yield server


class TestOnTheWay:
    """What a network makes of frames."""

    @pytest.fixture
    async def telling(self, scripted: ScriptedServer) -> Telling:
        return Telling(scripted)

    async def tell(self, scripted: ScriptedServer, *frames: dict[str, Any]) -> None:
        for frame in frames:
            await scripted.sockets[-1].send_json(frame)

    async def listening(
        self, scripted: ScriptedServer, telling: Telling, open_client: OpenClient
    ) -> tuple[Client, Document, Typist]:
        """A device that holds the note with one letter in it, and follows live."""
        typist = Typist(telling)
        typist.types("a")
        laptop = await open_client("laptop", scripted.url, **CLUB)
        await laptop.synced(20)
        await until(lambda: laptop.status.state == "live")
        telling.frames.clear()
        scripted.requests.clear()
        return laptop, await laptop.document(Note, "n1", field="body"), typist

    async def test_frames_in_order_and_in_groups_are_all_that_is_needed(
        self, scripted: ScriptedServer, telling: Telling, open_client: OpenClient
    ) -> None:
        _, doc, typist = await self.listening(scripted, telling, open_client)
        for letter in "bcdefgh":
            typist.types(letter)
        await self.tell(scripted, *telling.frames[:2], grouped(telling.frames[2:6]), telling.frames[6])
        await says(doc, "hgfedcba")
        assert not scripted.seen("documents")

    async def test_updates_for_who_holds_something_else_are_left_alone(
        self, scripted: ScriptedServer, telling: Telling, open_client: OpenClient
    ) -> None:
        _, doc, typist = await self.listening(scripted, telling, open_client)
        typist.types("b")
        typist.types("c")
        first, second = telling.frames
        late = copy.deepcopy({**second, "after": first["after"]})
        await self.tell(scripted, late)
        await says(doc, "cba")
        [asked] = scripted.seen("documents")
        assert asked["documents"][0]["seq"] == 1

    @pytest.mark.parametrize("wrong", [{"since": 77}, {"after": 5, "seq": 6}, {"after": 0, "seq": 1}])
    async def test_updates_of_another_life_or_place_are_left_alone(
        self, scripted: ScriptedServer, telling: Telling, open_client: OpenClient, wrong: dict[str, int]
    ) -> None:
        _, doc, typist = await self.listening(scripted, telling, open_client)
        typist.types("b")
        [frame] = copy.deepcopy(telling.frames)
        bogus = base64.b64encode(b"\x00\x00").decode()
        frame["documents"][0] |= {**wrong, "updates": [bogus]}
        await self.tell(scripted, frame)
        await says(doc, "ba")
        assert len(scripted.seen("documents")) == 1

    async def test_a_late_frame_and_one_that_comes_twice_change_nothing(
        self, scripted: ScriptedServer, telling: Telling, open_client: OpenClient
    ) -> None:
        _, doc, typist = await self.listening(scripted, telling, open_client)
        for letter in "bcd":
            typist.types(letter)
        first, second, third = telling.frames
        await self.tell(scripted, first, second, first, second, third, first)
        await says(doc, "dcba")
        typist.types("e")
        await self.tell(scripted, telling.frames[-1])
        await says(doc, "edcba")

    @pytest.mark.parametrize("seed", range(SIZES.document_histories))
    async def test_in_any_order_with_repeats_and_losses_all_of_it_is_there_in_the_end(
        self, scripted: ScriptedServer, telling: Telling, open_client: OpenClient, seed: int
    ) -> None:
        dice = random.Random(seed)
        laptop, doc, typist = await self.listening(scripted, telling, open_client)
        sent = 0
        for step in range(STEPS):
            if dice.random() < 0.3:
                await doc.edit(lambda text: text.insert(dice.randint(0, len(text)), "न"))
            typist.types("abcdef"[step % 6])
            if dice.random() < 0.4:
                fresh, sent = telling.frames[sent:], len(telling.frames)
                if len(fresh) > 2 and dice.random() < 0.5 and all(len(frame["documents"]) == 1 for frame in fresh):
                    fresh = [grouped(fresh[:2]), *fresh[2:]]
                fresh += dice.choices(telling.frames[:sent], k=dice.randint(0, 2))
                if dice.random() < 0.5:
                    dice.shuffle(fresh)
                await self.tell(scripted, *fresh[dice.random() < 0.1 :])
        await laptop.synced(20)
        await says(doc, telling.say())
        assert len(str(doc)) == str(doc).count("न") + 1 + STEPS
        await laptop.close()
        again = await open_client("laptop", **CLUB)
        assert str(await again.document(Note, "n1", field="body")) == telling.say()

    async def test_who_knows_no_documents_takes_the_states_and_nothing_else(
        self, scripted: ScriptedServer, telling: Telling, open_client: OpenClient
    ) -> None:
        typist = Typist(telling)
        typist.types("a")
        laptop = await open_client("laptop", scripted.url, scopes=[SCOPE])
        await laptop.synced(20)
        await until(lambda: laptop.status.state == "live")
        telling.frames.clear()
        typist.types("b")
        watched = laptop.watch(SCOPE)
        await self.tell(scripted, *telling.frames)
        async for delta in watched:
            assert [marker_of(state.fields["body"]) is not None for state in delta.states] == [True]
            break
        assert not scripted.seen("documents")


RAW = {
    "type": "delta",
    "scope": SCOPE,
    "after": "c1",
    "upto": "c2",
    "entries": [],
    "documents": [{**KEY._asdict(), "since": 1, "after": 2, "seq": 3, "updates": ["AAA="]}],
}


def test_they_are_read() -> None:
    assert decode_delta(RAW).documents == [Relayed(*KEY, 1, 2, [b"\x00\x00"])]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [{"seq": 4}, {"after": -1, "seq": 0}, {"updates": ["%"]}, {"updates": "AAA="}, {"since": None}, {"field": 3}],
)
def test_what_is_not_understood_is_not_taken(wrong: dict[str, Any]) -> None:
    raw: Any = copy.deepcopy(RAW)
    raw["documents"][0] |= wrong
    with pytest.raises(Unreachable):
        decode_delta(raw)


async def test_what_waits_for_the_answer_to_a_push_is_bounded(tmp_path: Path) -> None:
    replica = await Replica.open(tmp_path / "phone.db", open_app(), lambda: 1, lambda: None)
    try:
        await replica.follow(["main"])
        intake = Parts(replica).intake
        taken: list[Delta] = []

        async def apply(delta: Delta) -> bool:
            taken.append(delta)
            return await Parts(replica).intake.apply_delta(delta)

        assert await intake.apply_page("main", None, replica.id, page(plain_state(1, v=1), cursor="c1"))
        intake.apply_delta = apply  # type: ignore[method-assign]
        feed = Feed(replica, intake, lambda scopes: None)
        feed.hold(["main"])
        for version in range(2, 40):
            delta = plain_delta(f"c{version - 1}", f"c{version}", plain_state(version, v=version))
            run = Relayed("note", "x", "v", 1, version, [b"x" * 65_000])
            await feed.offer(Delta(delta.scope, delta.after, delta.upto, delta.states, [run]))
        await feed.release(["main"])
        assert len(taken) == 38, "no state is lost"
        assert sum(bool(delta.documents) for delta in taken) == 16
    finally:
        await replica.close()
