"""What happens on open connections when somebody's rights change, or his time is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from aiohttp import WSMsgType

from syncd.api.outlet import Outlet
from syncd.engine.connection import Connection
from syncd.engine.principal import Caller, Principal
from syncd.store.protocol import Commit
from tests.access.talk import Talk
from tests.access.world import World, world
from tests.support.accounts import ANN, club_with_accounts
from tests.support.engine import NOON_MS

M1 = "match:m1"
OLGA = Principal(Caller.USER, "olga")


@pytest.fixture
async def club(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as built:
        yield built


async def touch(club: World, match: str = M1, **fields: object) -> None:
    replica = f"toucher-{len(club.numbers)}"
    # Later than whatever it takes the place of.
    club.clock.advance(1)
    await club.push("operator", replica, club.change(replica, match, "update", "event", "goal1", **fields))


async def test_whoever_is_turned_away_hears_it_at_once_and_nothing_after_it(club: World) -> None:
    async with Talk(club, "sam") as sam, Talk(club, "vera") as vera:
        await sam.subscribe(M1)
        await vera.subscribe(M1)
        await club.server.parts.memberships.revoke(OLGA, M1, "sam")
        assert await sam.receive() == {"type": "gone", "scopes": [M1]}
        await touch(club, kind="foul")
        assert (await vera.receive())["type"] == "delta"
        await sam.say(type="ping")
        assert await sam.receive() == {"type": "pong"}
        assert await sam.subscribe(M1) == {"gone": True}


async def test_nothing_that_was_committed_after_it_is_shown_while_it_is_looked_at(
    club: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher, may_look = club.server.parts.watcher, asyncio.Event()
    look_again = watcher.look_again

    async def look_late(connection: Connection, principal: Principal) -> list[str]:
        await may_look.wait()
        return await look_again(connection, principal)

    monkeypatch.setattr(watcher, "look_again", look_late)
    async with Talk(club, "sam") as sam, Talk(club, "vera") as vera:
        for talk in (sam, vera):
            await talk.subscribe(M1)
            await talk.subscribe(f"user:{talk.who}")
        await club.server.parts.memberships.revoke(OLGA, M1, "sam")
        await club.server.parts.memberships.grant(Principal(Caller.USER, "zoe"), "match:m2", "vera", "viewer")
        await touch(club, kind="foul")
        # What stands in one's own scope is the news itself, and nobody's to take away.
        for talk in (sam, vera):
            assert (await talk.receive())["scope"] == f"user:{talk.who}"
        may_look.set()
        assert await sam.receive() == {"type": "gone", "scopes": [M1]}
        assert await vera.receive() == {"type": "pull", "scopes": [M1]}
        await touch(club, kind="goal")
        assert (await vera.receive())["scope"] == M1
        await sam.say(type="ping")
        assert await sam.receive() == {"type": "pong"}


async def test_what_is_committed_together_with_it_is_not_shown_either(
    club: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by one group commit: the news of both scopes comes in one tick, that of the match first."""
    pusher = club.server.parts.pusher
    publish = pusher.publish
    commits: list[tuple[Commit, Mapping[str, int]]] = []
    async with Talk(club, "sam") as sam:
        await sam.subscribe(M1)
        monkeypatch.setattr(pusher, "publish", lambda commit, heads: commits.append((commit, heads)))
        await touch(club, kind="foul")
        await club.server.parts.memberships.revoke(OLGA, M1, "sam")
        assert len(commits) == 2
        for commit, heads in commits:
            publish(commit, heads)
        assert await sam.receive() == {"type": "gone", "scopes": [M1]}


async def test_whoever_is_turned_away_is_present_no_more(club: World) -> None:
    async with Talk(club, "sam", replica="sam-phone") as sam, Talk(club, "vera") as vera:
        await vera.subscribe(M1)
        await sam.subscribe(M1)
        await sam.say(type="presence", scope=M1, state={"name": "Sam"})
        assert (await vera.receive("presence"))["state"] == {"name": "Sam"}
        await club.server.parts.memberships.revoke(OLGA, M1, "sam")
        assert (await vera.receive("presence"))["state"] is None


async def test_a_role_that_is_raised_says_pull_and_shows_more_from_then_on(club: World) -> None:
    async with Talk(club, "vera") as vera:
        await vera.subscribe(M1)
        await touch(club, rating=1)
        [entry] = (await vera.receive("delta"))["entries"]
        assert "rating" not in entry["fields"]
        await club.server.parts.memberships.grant(OLGA, M1, "vera", "scorer")
        assert await vera.receive() == {"type": "pull", "scopes": [M1]}
        await touch(club, rating=2)
        [entry] = (await vera.receive("delta"))["entries"]
        assert entry["fields"]["rating"] == 2


async def test_a_role_that_is_lowered_says_pull_and_shows_less_from_then_on(club: World) -> None:
    async with Talk(club, "sam") as sam:
        await sam.subscribe(M1)
        await club.server.parts.memberships.grant(OLGA, M1, "sam", "viewer")
        assert await sam.receive() == {"type": "pull", "scopes": [M1]}
        await touch(club, rating=2)
        [entry] = (await sam.receive("delta"))["entries"]
        assert "rating" not in entry["fields"]


async def test_a_right_that_is_taken_while_a_subscription_is_under_way_does_not_slip_past_it(club: World) -> None:
    for _ in range(5):
        async with Talk(club, "sam") as sam:
            await sam.say(type="subscribe", scopes={M1: None})
            await club.server.parts.memberships.revoke(OLGA, M1, "sam")
            standing = (await sam.receive("subscribed"))["scopes"][M1]
            if not standing.get("gone"):
                assert await sam.receive() == {"type": "gone", "scopes": [M1]}
            await touch(club, kind="foul")
            await sam.say(type="ping")
            assert await sam.receive() == {"type": "pong"}
        await club.server.parts.memberships.grant(OLGA, M1, "sam", "scorer")


async def test_a_stream_tells_it_as_well(club: World) -> None:
    headers = {"Authorization": "Bearer sam"}
    async with club.http.get("/sync/v1/stream", params={"scope": M1}, headers=headers) as stream, asyncio.timeout(10):
        await stream.content.readuntil(b"event: welcome")
        await club.server.parts.memberships.revoke(OLGA, M1, "sam")
        told = await stream.content.readuntil(b"\n\n")
        while b"event: gone" not in told:
            told = await stream.content.readuntil(b"\n\n")
        assert b'data: {"type":"gone","scopes":["match:m1"]}' in told


async def test_whoever_is_let_in_hears_of_it_in_his_own_scope(club: World) -> None:
    async with Talk(club, "stan") as stan:
        assert await stan.subscribe(M1) == {"gone": True}
        await stan.subscribe("user:stan")
        await club.server.parts.memberships.grant(OLGA, M1, "stan", "viewer")
        [entry] = (await stan.receive("delta"))["entries"]
        assert (entry["type"], entry["fields"]["of"], entry["fields"]["role"]) == ("membership", M1, "viewer")
        assert await stan.subscribe(M1) == {"pull": True}


async def test_a_socket_is_closed_when_its_token_expires(club: World) -> None:
    club.people.expires_at_ms["sam"] = NOON_MS + 300
    async with Talk(club, "sam") as sam:
        assert await sam.closed() == (4401, "token_expired")


async def test_a_fresh_token_in_another_hello_keeps_it_open(club: World) -> None:
    club.people.expires_at_ms["sam"] = NOON_MS + 2000
    async with Talk(club, "sam") as sam:
        await sam.subscribe(M1)
        club.people.expires_at_ms["sam"] = NOON_MS + 3_600_000
        await sam.say(type="hello", token="sam")
        await sam.receive("welcome")
        await asyncio.sleep(2.2)
        await touch(club, kind="foul")
        assert (await sam.receive("delta"))["scope"] == M1


async def test_another_persons_token_does_not_take_a_socket_over(club: World) -> None:
    async with Talk(club, "sam") as sam:
        await sam.say(type="hello", token="olga")
        assert (await sam.receive())["code"] == "other_account"
        await sam.subscribe(M1)
        await touch(club, rating=3)
        assert (await sam.receive("delta"))["scope"] == M1


async def test_a_stream_ends_when_its_token_expires(club: World) -> None:
    club.people.expires_at_ms["sam"] = NOON_MS + 300
    headers = {"Authorization": "Bearer sam"}
    async with club.http.get("/sync/v1/stream", params={"scope": M1}, headers=headers) as stream, asyncio.timeout(10):
        assert b"event: welcome" in await stream.content.read()


async def test_whoever_is_turned_away_while_his_welcome_waits_is_out_as_well(
    club: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peer that reads nothing holds up what it is sent for as long as it likes."""
    under_way, goes_on = asyncio.Event(), asyncio.Event()
    send = Outlet.send

    async def send_later(outlet: Outlet, body: bytes) -> None:
        under_way.set()
        await goes_on.wait()
        await send(outlet, body)

    monkeypatch.setattr(Outlet, "send", send_later)
    async with club.http.ws_connect("/sync/v1/live") as socket, asyncio.timeout(10):
        await socket.send_json({"type": "hello", "token": "sam"})
        await under_way.wait()
        club.server.parts.visits.end((), {"sam"})
        goes_on.set()
        message = await socket.receive()
        while message.type is WSMsgType.TEXT:
            message = await socket.receive()
        assert (message.type, message.data, message.extra) == (WSMsgType.CLOSE, 4401, "session_ended")
    assert len(club.server.parts.visits) == 0


async def test_a_share_link_closes_while_its_maker_is_suspended_also_where_it_is_open(tmp_path: Path) -> None:
    async with club_with_accounts(tmp_path) as club:
        ann = await club.member(ANN)
        begun = {"n": 1, "scope": M1, "type": "event", "id": "e", "op": "create", "fields": {"match_id": "m1"}}
        await club.ask("POST", "/sync/v1/push", {"replica": "phone", "changes": [begun]}, token=ann.access)
        link = (await club.ask("POST", "/sync/v1/links", {"scope": M1}, token=ann.access)).body["link"]
        pull = {"scopes": {M1: None}}
        assert (await club.ask("POST", "/sync/v1/pull", pull, token=link)).status == 200
        async with club.http.ws_connect("/sync/v1/live") as socket, asyncio.timeout(10):
            await socket.send_json({"type": "hello", "token": link})
            assert (await socket.receive_json())["type"] == "welcome"
            assert (await club.admin("POST", f"users/{ann.id}/suspend")).status == 200
            message = await socket.receive()
            assert (message.type, message.data) == (WSMsgType.CLOSE, 4401)
        answer = await club.ask("POST", "/sync/v1/pull", pull, token=link)
        assert (answer.status, answer.code) == (401, "link_ended")
        assert (await club.admin("POST", f"users/{ann.id}/reinstate")).status == 200
        assert (await club.ask("POST", "/sync/v1/pull", pull, token=link)).status == 200


async def test_changes_of_a_suspended_account_wait_and_count_when_it_is_reinstated(club: World) -> None:
    club.people.suspended.add("sam")
    [outcome] = await club.push(
        "sam", "sam-phone", club.change("sam-phone", M1, "create", "event", "late", match_id="m1")
    )
    assert (outcome["outcome"], outcome["code"]) == ("rejected", "account_suspended")
    club.people.suspended.remove("sam")
    items = {"items": [{"replica": "sam-phone", "n": 1}]}
    response = await club.ask("sam", "POST", "/sync/v1/quarantine/replay", json=items)
    [result] = (await response.json())["results"]
    assert (result["result"], result["outcome"]["outcome"]) == ("replayed", "applied")


async def test_a_replay_is_made_with_the_rights_of_whoever_asks_for_it(club: World) -> None:
    """Else whoever was turned away would come in again through the quarantine."""
    queue = [club.change("sam-phone", M1, "create", "event", f"q{i}", match_id="m1") for i in range(20)]
    await club.server.parts.memberships.revoke(OLGA, M1, "sam")
    outcomes = await club.push("sam", "sam-phone", *queue)
    assert {outcome["code"] for outcome in outcomes} == {"forbidden"}
    listed = await (await club.ask("sam", "GET", "/sync/v1/quarantine")).json()
    assert [line["change"]["id"] for line in listed["changes"]] == [f"q{i}" for i in range(20)]
    items = {"items": [{"replica": "sam-phone", "n": 1}]}
    told = []
    for who in ("sam", "operator"):
        response = await club.ask(who, "POST", "/sync/v1/quarantine/replay", json=items)
        told += [result["result"] for result in (await response.json())["results"]]
    assert told == ["rejected", "replayed"]


async def test_what_somebody_else_has_replayed_in_vain_its_author_may_try_himself(club: World) -> None:
    await club.push("sam", "sam-phone", club.change("sam-phone", M1, "create", "event", "odd", match_id="m1", kind=3))
    items = {"items": [{"replica": "sam-phone", "n": 1}]}
    codes = []
    for who in ("operator", "sam"):
        response = await club.ask(who, "POST", "/sync/v1/quarantine/replay", json=items)
        codes += [result["outcome"]["code"] for result in (await response.json())["results"]]
    assert codes == ["invalid_field", "invalid_field"]


async def test_a_socket_is_closed_when_its_token_alone_is_revoked(tmp_path: Path) -> None:
    async with club_with_accounts(tmp_path) as house, house.http.ws_connect("/sync/v1/live") as socket:
        ann = await house.member()
        token = house.server.parts.issuer.issue(ann.id, session=ann.session)
        await socket.send_json({"type": "hello", "token": token.token})
        assert (await socket.receive_json(timeout=10))["type"] == "welcome"
        await house.admin("POST", "tokens/revoke", {"id": token.id, "expires_at_ms": token.expires_at_ms})
        while socket.close_code is None:
            await socket.receive(timeout=10)
        assert socket.close_code == 4401
