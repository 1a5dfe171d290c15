"""Invariant 8: when access is taken away, the replica is told and purges; what was typed and not sent is kept."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from client_sdk import Client, Timing
from syncd.engine.principal import Caller, Principal
from tests.client_sdk.conftest import OpenClient
from tests.client_sdk.members import MATCH, Event, club, event, grant, ids, member, quarantined, revoke
from tests.support.scripted_server import nothing_new, problem, reply, scripted_server
from tests.support.served import Served
from tests.support.until import until


class TestWhileAway:
    async def test_a_member_removed_while_offline_with_twenty_queued_changes(
        self, club_server: Served, olga: Client, open_client: OpenClient, tmp_path: Path
    ) -> None:
        sam = await member(open_client, club_server, "sam")
        told: list[str] = []
        refused: list[str | None] = []
        sam.on_gone(told.append)
        sam.on_rejected(lambda change, outcome: refused.append(outcome.code))
        await sam.pause()
        events = sam.collection(Event)
        for index in range(19):
            await events.put(event(f"s{index}", kind="save"))
        await events.update("g1", kind="own goal")
        await revoke(club_server, "sam")
        await sam.resume()
        await sam.synced(10)
        assert await events.all() == []
        assert await events.get("g1") is None
        assert (told, sam.status.gone) == ([MATCH], (MATCH,))
        assert (sam.status.pending, refused) == (0, ["forbidden"] * 20)
        assert len(await sam.rejected()) == sam.status.rejected == 20
        assert await quarantined(club_server, "sam") == ["forbidden"] * 20
        assert await sam.export_outbox(tmp_path / "kept.jsonl") == 20
        lines = [json.loads(line) for line in (tmp_path / "kept.jsonl").read_text().splitlines()[1:]]
        assert {(line["state"], line["code"]) for line in lines} == {("rejected", "forbidden")}
        assert lines[-1]["change"]["fields"] == {"kind": "own goal"}
        assert await ids(olga) == ["g1"]

    async def test_what_is_not_sent_is_out_of_sight_and_in_the_outbox_also_after_a_restart(
        self, club_server: Served, olga: Client, open_client: OpenClient, tmp_path: Path
    ) -> None:
        sam = await member(open_client, club_server, "sam")
        await sam.pause()
        await sam.collection(Event).put(event("s1"))
        await revoke(club_server, "sam")
        assert sam._replica is not None
        await lose(sam, MATCH)
        for _ in range(2):
            assert await sam.collection(Event).all() == []
            assert [change.id for change in sam.outbox()] == ["s1"]
            assert (sam.status.pending, sam.status.gone) == (1, (MATCH,))
            assert await sam.export_outbox(tmp_path / "kept.jsonl") == 1
            await sam.close()
            sam = await open_client("sam", None, app=club, scopes=[])

    async def test_let_in_again_before_anything_was_sent_shows_and_counts_all_of_it(
        self, club_server: Served, olga: Client, open_client: OpenClient
    ) -> None:
        sam = await member(open_client, club_server, "sam")
        await sam.pause()
        await sam.collection(Event).put(event("s1"))
        change = await sam.collection(Event).update("g1", kind="own goal")
        await lose(sam, MATCH)
        await sam.resume()
        await sam.synced(10)
        assert (await change.outcome()).code is None
        assert [(each.id, each.kind) for each in await sam.collection(Event).all()] == [
            ("g1", "own goal"),
            ("s1", "goal"),
        ]
        assert sam.status.gone == ()
        assert await sam.check(MATCH, 10)

    async def test_nothing_of_the_scope_is_left_in_the_tables(
        self, club_server: Served, olga: Client, open_client: OpenClient
    ) -> None:
        sam = await member(open_client, club_server, "sam")
        document = await sam.document(Event, "g1", field="report")
        await until(lambda: document.current)
        await olga.collection(Event).put(event("g2", player="Bea"))
        await olga.collection(Event).delete("g2")
        await olga.synced(10)
        await sam.synced(10)
        await revoke(club_server, "sam")
        await until(lambda: str(document) == "")
        assert sam._replica is not None
        store = sam._replica.store
        for table in ("resources", "last_living", "documents", "document_updates", "document_echoes"):
            assert await store._rows(f"SELECT * FROM {table}") == [], table


class TestWhileConnected:
    async def test_is_emptied_within_a_second_and_everybody_who_looks_is_told(
        self, club_server: Served, olga: Client, open_client: OpenClient
    ) -> None:
        sam = await member(open_client, club_server, "sam")
        watch = sam.watch(MATCH)
        seen: list[object] = []
        told: list[str] = []
        sam.collection(Event).on_change(lambda change: seen.append((change.id, change.resource)))
        sam.on_gone(told.append)
        await until(lambda: sam.status.state == "live")
        began = time.monotonic()
        await revoke(club_server, "sam")
        delta = await asyncio.wait_for(anext(watch), 5)
        assert time.monotonic() - began < 1
        assert [(state.id, state.deleted is not None, state.fields) for state in delta.states] == [("g1", True, {})]
        assert (seen, told) == ([("g1", None)], [MATCH])
        assert await sam.collection(Event).all() == []

    async def test_the_rest_stays_live_synced_and_comparable(
        self, club_server: Served, olga: Client, open_client: OpenClient
    ) -> None:
        await grant(club_server, "sam", "viewer", "match:m2")
        sam = await member(open_client, club_server, "sam", scopes=[MATCH, "match:m2"])
        await revoke(club_server, "sam")
        await until(lambda: sam.status.gone == (MATCH,))
        await sam.synced(10)
        await until(lambda: sam.status.state == "live")
        assert await sam.check("match:m2", 10)
        assert await sam.check(MATCH, 10), "the server shows nothing of it, and nothing is here"
        assert (list(sam.scopes), sam.status.last_error) == ([MATCH, "match:m2"], None)

    async def test_is_asked_for_again_on_a_nudge_and_not_in_a_loop(
        self, club_server: Served, olga: Client, open_client: OpenClient
    ) -> None:
        sam = await member(open_client, club_server, "sam")
        await revoke(club_server, "sam")
        await until(lambda: sam.status.gone == (MATCH,))
        assert sam._transport is not None
        pulls: list[set[str]] = []
        pull = sam._transport.pull

        async def counted(replica: str, cursors: Any, *more: Any, **named: Any) -> Any:
            pulls.append(set(cursors))
            return await pull(replica, cursors, *more, **named)

        sam._transport.pull = counted  # type: ignore[method-assign]
        await sam.follow("match:m2")
        await until(lambda: sam.status.gone == (MATCH, "match:m2"))
        assert [scopes for scopes in pulls if MATCH in scopes] == []
        await grant(club_server, "sam", "viewer")
        sam.nudge()
        await until(lambda: sam.status.gone == ("match:m2",))
        await sam.synced(10)
        assert await ids(sam) == ["g1"]

    async def test_a_callback_that_fails_holds_up_nothing_and_one_that_has_ended_is_not_told(
        self, club_server: Served, olga: Client, open_client: OpenClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        sam = await member(open_client, club_server, "sam")
        told: list[str] = []

        def fail(scope: str) -> None:
            raise RuntimeError("of the program's own")

        sam.on_gone(fail)
        sam.on_gone(told.append)
        forget = sam.on_gone(lambda scope: told.append("never"))
        forget()
        forget()
        await revoke(club_server, "sam")
        await until(lambda: told == [MATCH])
        assert "a callback for scopes that are gone failed" in caplog.text


class TestAskedForAgain:
    @pytest.mark.parametrize(("poll_s", "again"), [(600.0, False), (0.05, True)])
    async def test_by_the_slow_poll_only_while_others_are_asked_for_often(
        self, open_client: OpenClient, poll_s: float, again: bool
    ) -> None:
        timing = Timing(first_retry_s=0.01, longest_retry_s=0.02, poll_s=poll_s, poll_without_live_s=0.01)
        async with scripted_server() as server:
            server.live = problem(503, "overloaded")
            server.answer["pull"] = all_but_bad_are_there
            phone = await open_client("phone", server.url, scopes=["bad", "good"], timing=timing)

            def asked(scope: str) -> int:
                return sum(scope in body["scopes"] for body in server.seen("pull"))

            await server.pulse.until(lambda: asked("good") >= 20 and (asked("bad") > 1 or not again))
            assert again or asked("bad") == 1
            assert asked("bad") < asked("good")
            assert phone.status.gone == ("bad",)
            phone.set_token("another")
            before = asked("bad")
            await server.pulse.until(lambda: asked("bad") > before)


class TestRoles:
    async def test_what_a_higher_role_sees_appears_and_vanishes_with_it(
        self, club_server: Served, olga: Client, open_client: OpenClient
    ) -> None:
        vera = await member(open_client, club_server, "vera")
        events = vera.collection("event")
        assert "rating" not in (await events.get("g1") or {})
        for role, rating in (("scorer", 7), ("viewer", None), ("owner", 7)):
            watch = vera.watch(MATCH)
            await grant(club_server, "vera", role)
            await asyncio.wait_for(anext(watch), 10)
            assert (await events.get("g1") or {}).get("rating") == rating
            await vera.synced(10)
            assert await vera.check(MATCH, 10)
        assert vera.status.repaired == 0

    async def test_of_what_a_lower_role_does_not_see_nothing_is_left_in_the_file(
        self, club_server: Served, olga: Client, open_client: OpenClient
    ) -> None:
        await olga.collection(Event).put(event("g2", rating=3))
        sam = await member(open_client, club_server, "sam")
        tactics = await sam.document(Event, "g1", field="tactics")
        report = await sam.document(Event, "g1", field="report")
        await until(lambda: (str(tactics), str(report)) == ("by surprise", "a fine goal"))
        await olga.collection(Event).delete("g2")
        await olga.synced(10)
        await sam.synced(10)
        assert sam._replica is not None
        store = sam._replica.store
        assert await store.last_living("event", "g2") is not None
        await grant(club_server, "sam", "viewer")
        await until(lambda: str(tactics) == "")
        await sam.synced(10)
        assert str(report) == "a fine goal"
        assert await store.last_living("event", "g2") is None
        for table in ("documents", "document_updates", "document_echoes"):
            assert set(await store._rows(f"SELECT field FROM {table}")) <= {("report",)}, table
        assert [row for row in await store.resources(None, None) if "rating" in row.body or "tactics" in row.body] == []
        assert await sam.check(MATCH, 10)

    async def test_what_is_left_out_of_a_model_is_not_said_of_fields_that_few_may_set(
        self, club_server: Served, olga: Client, open_client: OpenClient
    ) -> None:
        sam = await member(open_client, club_server, "sam")
        events = sam.collection(Event)
        made = await events.put(event("s1"))
        assert "rating" not in made.change.fields
        assert (await made.outcome(10)).code is None
        again = await events.get("g1")
        assert again is not None
        again.kind = "own goal"
        changed = await events.put(again)
        assert changed.change.fields == {"kind": "own goal"}
        own = await olga.collection(Event).put(event("o1", rating=None))
        assert own.change.fields["rating"] is None, "whoever says it says it"

    async def test_a_field_that_a_role_may_not_set_is_refused_and_leaves_the_view(
        self, club_server: Served, olga: Client, open_client: OpenClient
    ) -> None:
        sam = await member(open_client, club_server, "sam")
        told: list[tuple[str | None, str | None]] = []
        sam.on_rejected(lambda change, outcome: told.append((outcome.code, outcome.field)))
        change = await sam.collection(Event).update("g1", rating=9)
        assert (await change.outcome(10)).code == "forbidden_field"
        assert told == [("forbidden_field", "rating")]
        assert (await sam.collection(Event).get("g1")).rating == 7  # type: ignore[union-attr]

    async def test_a_share_link_reads_and_what_is_put_with_it_is_kept(
        self, club_server: Served, olga: Client, open_client: OpenClient
    ) -> None:
        made = await club_server.parts.links.make(Principal(Caller.USER, "olga"), MATCH)
        link = await open_client("link", club_server.url, app=club, token=made.text, scopes=[MATCH])
        await link.synced(10)
        assert await link.collection("event").get("g1") == {
            "id": "g1",
            "match_id": "m1",
            "kind": "goal",
            "likes": 0,
            "score": None,
            "report": "a fine goal",
        }
        assert await link.check(MATCH, 10)
        await link.collection("event", scope=MATCH).put({"id": "l1", "match_id": "m1"})
        await until(lambda: link.status.last_error_code == "read_only")
        assert link.status.pending == 1
        assert "sign in to send it" in (link.status.last_error or "")


class TestFounding:
    async def test_what_begins_a_scope_stays_in_sight_while_the_server_does_not_know_it(
        self, club_server: Served, open_client: OpenClient
    ) -> None:
        olga = await open_client("olga", club_server.url, app=club, token="olga", scopes=[MATCH])
        told: list[str] = []
        await until(lambda: olga.status.gone == (MATCH,))
        await olga.close()
        olga = await open_client("phone", club_server.url, app=club, token="olga", scopes=[])
        await olga.pause()
        olga.on_gone(told.append)
        seen: list[object] = []
        olga.collection(Event).on_change(lambda change: seen.append(change.resource))
        await olga.collection(Event).put(event("g1"))
        await lose(olga, MATCH)
        assert await ids(olga) == ["g1"]
        await olga.resume()
        await olga.synced(10)
        await until(lambda: olga.status.state == "live")
        assert (len(seen), told, olga.status.gone) == (1, [], ())
        assert await olga.check(MATCH, 10)

    async def test_what_may_not_begin_it_is_refused_and_then_the_scope_is_gone(
        self, club_server: Served, olga: Client, open_client: OpenClient
    ) -> None:
        stan = await open_client("stan", club_server.url, app=club, token="stan", scopes=[])
        told: list[str] = []
        stan.on_gone(told.append)
        change = await stan.collection(Event).put(event("x"))
        assert (await change.outcome(10)).code == "forbidden"
        await until(lambda: told == [MATCH])
        assert (stan.status.gone, await ids(stan)) == ((MATCH,), [])


def all_but_bad_are_there(request: Any) -> web.Response:
    pages = json.loads(nothing_new(request).body)["scopes"]  # type: ignore[arg-type]
    return reply(scopes={**pages, **({"bad": {"gone": True}} if "bad" in pages else {})})


async def lose(client: Client, scope: str) -> None:
    """What happens when the server says that a scope is gone."""
    assert client._loop is not None
    await client._loop._pull._intake.lose([scope])
