"""Refusals of whoever asks, rather than of what he sends: nothing is lost, renumbered or sent under another name."""

from __future__ import annotations

from pathlib import Path

import pytest

from client_sdk import AccountSuspended, Client, Denied, ForeignReplica, OtherAccount, ReadOnly
from tests.client_sdk.conftest import OpenClient
from tests.client_sdk.members import MATCH, Event, club, event, grant, ids, member, quarantined
from tests.support.people import People
from tests.support.scripted_server import problem, scripted_server
from tests.support.served import Served, served
from tests.support.until import until


@pytest.mark.parametrize("kind", [AccountSuspended, ForeignReplica, OtherAccount, ReadOnly])
async def test_each_has_its_class_and_says_what_to_do(open_client: OpenClient, kind: type[Denied]) -> None:
    async with scripted_server() as server:
        server.answer["push"] = problem(403, kind.code, "for a reason")
        phone = await open_client("phone", server.url)
        await phone.collection("note").put({"id": "x"})
        await until(lambda: phone.status.last_error_code == kind.code)
        reason, _, advice = (phone.status.last_error or "").partition("; ")
        assert reason == "for a reason"
        assert advice
        assert [(change.id, change.n) for change in phone.outbox()] == [("x", 1)]
        assert await phone.rejected() == []


async def test_any_other_is_just_denied(open_client: OpenClient) -> None:
    async with scripted_server() as server:
        server.answer["push"] = problem(403, "forbidden", "not you")
        phone = await open_client("phone", server.url)
        await phone.collection("note").put({"id": "x"})
        await until(lambda: phone.status.last_error_code == "denied")
        assert phone.status.pending == 1


async def test_what_one_account_has_made_is_never_sent_under_the_name_of_another(
    club_server: Served, olga: Client, open_client: OpenClient, tmp_path: Path
) -> None:
    await grant(club_server, "vera", "scorer")
    sam = await member(open_client, club_server, "sam")
    await sam.collection(Event).put(event("s1"))
    await sam.synced(10)
    await sam.pause()
    late = await sam.collection(Event).put(event("s2"))
    before = sam.outbox()
    sam.set_token("vera")
    await sam.resume()
    await until(lambda: sam.status.last_error_code == "foreign_replica")
    sam.nudge()
    await sam.check(MATCH, 10)
    assert (sam.outbox(), sam.replica_id) == (before, late.replica)
    assert await sam.export_outbox(tmp_path / "sams.jsonl") == 1
    await olga.synced(10)
    assert await ids(olga) == ["g1", "s1"]
    sam.set_token("sam")
    assert (await late.outcome(10)).code is None
    await until(lambda: sam.status.last_error is None)


async def test_a_queue_that_no_server_has_seen_is_not_taken_from_another_account_either(
    club_server: Served, olga: Client, open_client: OpenClient
) -> None:
    await grant(club_server, "vera", "scorer")
    offline = await open_client("phone", None, app=club, user="sam", scopes=[])
    await offline.collection(Event).put(event("s1"))
    await offline.close()
    sam = await open_client("phone", club_server.url, app=club, user="sam", token="vera", scopes=[])
    await until(lambda: sam.status.last_error_code == "foreign_replica")
    assert [change.n for change in sam.outbox()] == [1]
    sam.set_token("sam")
    await sam.synced(10)
    assert sam.status.rejected == 0
    await olga.synced(10)
    assert await ids(olga) == ["g1", "s1"]


async def test_a_suspended_account_loses_sight_and_nothing_that_it_made(
    tmp_path: Path, open_client: OpenClient
) -> None:
    people = People()
    async with served(tmp_path / "server.db", club, accounts=people) as server:
        olga = await member(open_client, server, "olga", user="olga")
        await olga.collection(Event).put(event("g1"))
        await olga.synced(10)
        await olga.pause()
        await olga.collection(Event).put(event("g2"))
        people.suspended.add("olga")
        await olga.resume()
        await until(lambda: olga.status.last_error_code == "account_suspended" and not olga.status.pending)
        await until(lambda: MATCH in olga.status.gone)
        assert [outcome.code for _, outcome in await olga.rejected()] == ["account_suspended"]
        assert await olga.export_outbox(tmp_path / "kept.jsonl") == 1
        assert "ask whoever runs the server" in (olga.status.last_error or "")
        people.suspended.clear()
        assert await quarantined(server, "olga") == ["account_suspended"]
        olga.nudge()
        await olga.synced(10)
        await until(lambda: olga.status.gone == () and olga.status.last_error is None)
        assert (await ids(olga), olga.memberships()) == (["g1"], {MATCH: "owner"})
