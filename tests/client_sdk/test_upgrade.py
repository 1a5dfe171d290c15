"""What waits on a device across versions of the app: shown in the words of the newest, sent as it was made, kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from client_sdk import Client, Timing
from client_sdk.outbox import Entry
from conflict_rules import Change, Kind, Op, Stamp
from syncd.app import App, Intent, Veto
from syncd.errors import AppError
from tests.client_sdk.conftest import QUICK, OpenClient
from tests.support.scripted_server import applied, reply, scripted_server
from tests.support.served import served
from tests.support.until import until
from tests.support.walking_club import v1, v2, v3

without_upgrades = App("walking_club", version=3)
without_upgrades.resource(scope="main")(v3.Walk)
without_upgrades.resource(scope="main")(v3.Note)


@pytest.fixture
async def queue(tmp_path: Path) -> None:
    """`phone.db`, with changes made under version 1 and never sent."""
    async with Client(None, replica=tmp_path / "phone.db", app=v1.club) as phone:
        walks = phone.collection(v1.Walk)
        await walks.put(v1.Walk(id="dunes", title="Dunes", miles=10, mood="sunny"))
        await walks.update("dunes", miles=20)
        await walks.put(v1.Walk(id="moor", title="Moor", miles=1))
        await walks.delete("moor")
        await phone.collection(v1.Memo).put(v1.Memo(id="rain", text="rain"))


def refused_for(code: str) -> Any:
    """Nothing is settled, for the sake of another version."""

    def answer(request: Any) -> web.Response:
        outcomes = [
            {"n": each["n"], "outcome": "retry_later", "version": 0, "code": code, "message": "a sentence"}
            for each in request["changes"]
        ]
        return reply(replica=request["replica"], settled=0, outcomes=outcomes)

    return answer


@pytest.mark.usefixtures("queue")
class TestAfterTheAppWasUpdatedHere:
    async def test_what_waits_shows_in_the_words_of_the_new_version(self, open_client: OpenClient) -> None:
        phone = await open_client("phone", app=v3.club)
        (dunes,) = await phone.collection(v3.Walk).all()
        assert (dunes.name, dunes.km, dunes.open_to_guests) == ("Dunes", 32.19, False)
        assert [note.text for note in await phone.collection(v3.Note).all()] == ["rain"]
        assert phone.status.pending == 5

    async def test_it_is_sent_as_it_was_made(self, open_client: OpenClient) -> None:
        async with scripted_server() as server:
            phone = await open_client("phone", server.url, app=v3.club)
            await phone.collection(v3.Walk).put(v3.Walk(id="heath", name="Heath", km=3, open_to_guests=True))
            await phone.synced()
            sent = [change for push in server.seen("push") for change in push["changes"]]
        assert [change["schema"] for change in sent] == [1, 1, 1, 1, 1, 3]
        assert sent[0]["fields"] == {"title": "Dunes", "miles": 10.0, "mood": "sunny"}
        assert (sent[4]["type"], sent[5]["fields"]["name"]) == ("memo", "Heath")

    async def test_an_edit_over_it_is_made_under_the_new_version(self, tmp_path: Path, open_client: OpenClient) -> None:
        async with served(tmp_path / "server.db", v3.club) as server:
            phone = await open_client("phone", server.url, app=v3.club)
            change = await phone.collection(v3.Walk).update("dunes", name="Dunes by night")
            await phone.collection(v3.Note).update("rain", text="hail")
            await phone.synced()
            assert (await change.outcome()).kind is Kind.APPLIED
            family = await open_client("family", server.url, app=v3.club)
            await family.synced()
            (dunes,) = await family.collection(v3.Walk).all()
            assert (dunes.name, dunes.km) == ("Dunes by night", 32.19)
            assert [note.text for note in await family.collection(v3.Note).all()] == ["hail"]
            assert await phone.check("main")

    async def test_nothing_flickers_when_it_is_settled(self, tmp_path: Path, open_client: OpenClient) -> None:
        async with served(tmp_path / "server.db", v3.club) as server:
            phone = await open_client("phone", server.url, app=v3.club)
            told: list[Any] = []
            phone.collection(v3.Walk).on_change(told.append)
            await phone.synced()
            assert told == [], "the server made of it what was shown already"

    async def test_what_the_new_version_refuses_does_not_show_and_is_rejected_with_the_sentence(
        self, tmp_path: Path, open_client: OpenClient
    ) -> None:
        club = App("walking_club", version=2)
        club.resource(scope="main")(v1.Walk)

        @club.upgrade(from_version=1, type="memo")
        def no_memos(change: Intent) -> Intent:
            raise Veto("memos have ended", code="memos_ended")

        async with served(tmp_path / "server.db", club) as server:
            phone = await open_client("phone", None, app=club)
            assert await phone.collection("walk").count() == 1
            assert [change.type for change in phone.outbox()] == ["walk"] * 4 + ["memo"]
            await phone.close()
            phone = await open_client("phone", server.url, app=club)
            await phone.synced()
            ((change, outcome),) = await phone.rejected()
            assert (change.type, outcome.code, outcome.message) == ("memo", "memos_ended", "memos have ended")

    async def test_an_outbox_carried_over_from_an_older_version_is_read_the_same_way(
        self, tmp_path: Path, open_client: OpenClient
    ) -> None:
        async with Client(None, replica=tmp_path / "phone.db", app=v1.club) as phone:
            assert await phone.export_outbox(tmp_path / "rescued.jsonl") == 5
        async with served(tmp_path / "server.db", v3.club) as server:
            other = await open_client("other", server.url, app=v3.club)
            seen: list[Any] = []
            other.collection(v3.Note).on_change(seen.append)
            await other.import_outbox(tmp_path / "rescued.jsonl")
            assert [change.resource.text for change in seen] == ["rain"]
            assert {change.schema for change in other.outbox()} == {1}
            await other.synced()
            assert [walk.km for walk in await other.collection(v3.Walk).all()] == [32.19]

    async def test_it_does_not_open_with_upgrades_that_lead_nowhere(self, tmp_path: Path) -> None:
        club = App("walking_club", version=3)
        club.upgrade(from_version=1)(lambda change: change)
        with pytest.raises(AppError, match="none from version 2"):
            await Client(None, replica=tmp_path / "phone.db", app=club).__aenter__()

    async def test_what_no_upgrade_reaches_shows_as_it_was_made(self, open_client: OpenClient) -> None:
        phone = await open_client("phone", app=without_upgrades)
        (dunes,) = await phone.collection("walk").all()
        assert dunes == {"id": "dunes", "title": "Dunes", "miles": 20.0, "mood": "sunny"}


async def test_what_a_newer_version_left_here_shows_as_it_was_made(tmp_path: Path, open_client: OpenClient) -> None:
    async with Client(None, replica=tmp_path / "phone.db", app=v3.club) as phone:
        await phone.collection(v3.Walk).put(v3.Walk(id="dunes", name="Dunes", km=3, open_to_guests=True))
    phone = await open_client("phone", app=v2.club)
    assert await phone.collection("walk").all() == [{"id": "dunes", "name": "Dunes", "km": 3.0, "open_to_guests": True}]


async def test_an_app_that_is_behind_keeps_what_it_does_not_know(tmp_path: Path, open_client: OpenClient) -> None:
    """Invariant 10: the confirmed state of version 3 on a phone of version 1, edited there, and back."""
    async with served(tmp_path / "server.db", v3.club) as server:
        family = await open_client("family", server.url, app=v3.club)
        await family.collection(v3.Walk).put(v3.Walk(id="dunes", name="Dunes", km=3, open_to_guests=True))
        await family.collection(v3.Member).put(v3.Member(id="ann", first_name="Ann", last_name="Lee", town="Hull"))
        await family.synced()
        phone = await open_client("phone", server.url, app=v1.club)
        await phone.synced()
        (dunes,) = await phone.collection(v1.Walk).all()
        assert (dunes.title, dunes.model_extra) == (None, {"name": "Dunes", "km": 3.0, "open_to_guests": True})
        await phone.collection(v1.Walk).update("dunes", miles=10)
        await phone.collection(v1.Member).update("ann", town="York")
        await phone.synced()
        await family.synced()
        dunes, ann = await family.collection("walk").get("dunes"), await family.collection("member").get("ann")
        assert dunes == {"id": "dunes", "name": "Dunes", "km": 16.09, "open_to_guests": True}
        assert ann == {"id": "ann", "first_name": "Ann", "last_name": "Lee", "town": "York"}


@pytest.mark.usefixtures("queue")
class TestWhileTheServerRunsAnotherVersion:
    @pytest.mark.parametrize("code", ["upgrade_required", "server_outdated"])
    async def test_the_queue_is_kept_and_the_status_says_why(self, open_client: OpenClient, code: str) -> None:
        async with scripted_server() as server:
            server.answer["push"] = refused_for(code)
            phone = await open_client("phone", server.url, app=v1.club)
            await until(lambda: phone.status.last_error_code == code)
            assert (phone.status.last_error, phone.status.pending) == ("a sentence", 5)
            assert phone.status.connected

    async def test_it_is_left_alone_however_much_is_written_and_pulled_meanwhile(self, open_client: OpenClient) -> None:
        async with scripted_server() as server:
            server.answer["push"] = refused_for("upgrade_required")
            eager = Timing(first_retry_s=0.01, longest_retry_s=0.05, poll_s=0.05, poll_without_live_s=0.05)
            phone = await open_client("phone", server.url, app=v1.club, timing=eager)
            await until(lambda: phone.status.last_error_code is not None)
            pulls = len(server.seen("pull"))
            for n in range(20):
                await phone.collection(v1.Memo).put(v1.Memo(text=str(n)))
            # With these timings a failure of any other kind is tried again sooner than the next pull.
            await until(lambda: len(server.seen("pull")) > pulls + 5)
            assert len(server.seen("push")) == 1
            server.answer["push"] = applied
            phone.nudge()
            await phone.synced()

    async def test_it_is_tried_again_by_itself_after_a_while(self, open_client: OpenClient) -> None:
        async with scripted_server() as server:
            server.answers["push"].append(refused_for("server_outdated"))
            soon = Timing(first_retry_s=QUICK.first_retry_s, longest_retry_s=QUICK.longest_retry_s, other_version_s=0.1)
            phone = await open_client("phone", server.url, app=v1.club, timing=soon)
            await phone.synced()
            assert phone.status.last_error_code is None

    async def test_what_is_too_old_waits_while_news_still_comes(self, tmp_path: Path, open_client: OpenClient) -> None:
        async with served(tmp_path / "server.db", without_upgrades) as server:
            phone = await open_client("phone", server.url, app=v1.club)
            await until(lambda: phone.status.last_error_code == "upgrade_required")
            family = await open_client("family", server.url, app=without_upgrades)
            await family.collection(v3.Note).put(v3.Note(id="hail", text="hail"))
            async for delta in phone.watch("main"):
                assert [state.id for state in delta.states] == ["hail"]
                break
            assert phone.status.pending == 5

    async def test_an_update_of_the_app_here_sends_the_queue_in_words_that_the_server_reads(
        self, tmp_path: Path, open_client: OpenClient
    ) -> None:
        async with served(tmp_path / "server.db", without_upgrades) as server:
            phone = await open_client("phone", server.url, app=v1.club)
            await until(lambda: phone.status.last_error_code == "upgrade_required")
            await phone.close()
            phone = await open_client("phone", server.url, app=v3.club)
            handle = await phone.change(1)
            await phone.synced()
            assert (await handle.outcome()).kind is Kind.APPLIED
            assert (phone.status.last_error_code, phone.status.rejected) == (None, 0)
            family = await open_client("family", server.url, app=without_upgrades)
            await family.synced()
            assert [walk.km for walk in await family.collection(v3.Walk).all()] == [32.19]
            assert await phone.check("main")

    async def test_what_the_updated_app_refuses_does_not_stop_the_queue_either(
        self, tmp_path: Path, open_client: OpenClient
    ) -> None:
        """The server would say the same of it, but it does not even read that version any more."""
        club = App("walking_club", version=3)
        club.resource(scope="main")(v3.Walk)
        club.upgrade(from_version=1)(lambda change: change.renamed("title", "name").without("mood"))

        @club.upgrade(from_version=2)
        def no_memos(change: Intent) -> Intent | None:
            walk = change.converted("miles", v3.in_km).renamed("miles", "km").with_default("open_to_guests", False)
            return walk if walk.type == "walk" and walk.id != "moor" else None

        async with served(tmp_path / "server.db", without_upgrades) as server:
            phone = await open_client("phone", server.url, app=club)
            await phone.collection("walk").put({"id": "heath", "name": "Heath", "km": 2.0, "open_to_guests": True})
            await phone.synced()
            rejected = [(change.type, change.id, outcome.code) for change, outcome in await phone.rejected()]
            assert rejected == [
                ("walk", "moor", "obsolete"),
                ("walk", "moor", "obsolete"),
                ("memo", "rain", "obsolete"),
            ]
            assert sorted(str(walk["id"]) for walk in await phone.collection("walk").all()) == ["dunes", "heath"]
            assert await phone.check("main")

    async def test_a_server_that_is_updated_gets_the_queue_without_anybody_s_doing(
        self, tmp_path: Path, open_client: OpenClient
    ) -> None:
        async with served(tmp_path / "server.db", v1.club) as server:
            phone = await open_client("new_phone", server.url, app=v3.club)
            await phone.collection(v3.Note).put(v3.Note(id="hail", text="hail"))
            await until(lambda: phone.status.last_error_code == "server_outdated")
            await server.stop()
            await until(lambda: not phone.status.connected)
            await server.start(v3.club)
            await phone.synced()
            await until(lambda: phone.status.last_error_code is None)


def test_a_change_that_is_made_anew_keeps_the_version_it_was_made_under() -> None:
    made = Change("old", 7, "main", "memo", "rain", Op.CREATE, Stamp(5, 0, "old"), 0, {"text": "rain"})
    entry = Entry.of(3, made, 0, v3.club.upgrades.lift)
    anew = entry.made_anew("new", 1, 0)
    assert (anew.change.schema, anew.change.type, anew.change.replica) == (1, "memo", "new")
    assert anew.meaning is not None
    assert (anew.key, anew.meaning.replica, anew.meaning.n) == (("note", "rain"), "new", 1)
