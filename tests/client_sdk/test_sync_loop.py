"""The loop against answers that a good server would rarely give: it says what is wrong, and never falls silent."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from client_sdk import Client, Closed, NoServer, SyncState, Timing
from conflict_rules import Kind
from tests.client_sdk.conftest import OpenClient
from tests.support.scripted_server import (
    ScriptedServer,
    applied,
    nothing_new,
    problem,
    reply,
    scripted_server,
)
from tests.support.served import served
from tests.support.until import until


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedServer]:
    async with scripted_server() as server:
        yield server


def html(request: Any) -> web.Response:
    """What a hotel's network answers to everything."""
    return web.Response(text="<html>Welcome! Please log in.</html>", content_type="text/html")


def drop(request: Any) -> web.Response:
    raise ConnectionResetError


FAILURES = {
    "a server error": problem(500, "internal_error"),
    "a full disk": problem(503, "store_unavailable"),
    "too many requests": problem(429, "rate_limited"),
    "a captive portal": html,
    "a wrong path": problem(404, "not_found"),
    "a missing token": problem(401, "unauthenticated"),
    "half an answer": lambda request: reply(replica=request.get("replica")),
    "an answer to somebody else": lambda request: reply(replica="other", settled=1, outcomes=[], scopes={}),
    "an answer that settles nothing": lambda request: reply(
        replica=request.get("replica"), settled=0, outcomes=[], scopes={}
    ),
    "a list": lambda request: web.json_response([1, 2, 3]),
    "deep nesting": lambda request: web.Response(text="[" * 100_000, content_type="application/json"),
    "a broken connection": drop,
}


@pytest.mark.filterwarnings("ignore")  # aiohttp's server warns of a handler that drops the connection
@pytest.mark.parametrize("what", ["push", "pull"])
@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())
async def test_one_failure_is_not_followed_by_silence(
    scripted: ScriptedServer, open_client: OpenClient, what: str, failure: Any
) -> None:
    client = await open_client("phone", scripted.url)
    await client.synced()
    scripted.answers[what].append(failure)
    handle = await client.collection("note").put({"id": "x"})
    assert (await handle.outcome()).kind is Kind.APPLIED
    await client.synced()
    assert client.status.pending == 0
    assert not scripted.answers[what], "the failure was met"
    await until(lambda: client.status.last_error is None)


@pytest.mark.parametrize("step", ["settle", "apply_page", "learn_time"])
async def test_a_fault_of_the_sdk_itself_is_not_followed_by_silence_either(
    scripted: ScriptedServer, open_client: OpenClient, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await open_client("phone", scripted.url)
    await client.synced()
    assert client._loop is not None
    push = client._loop._push
    victim = push._settlement if step == "settle" else push._intake
    failed = asyncio.Event()

    async def fail(*arguments: object) -> None:
        monkeypatch.undo()
        failed.set()
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(victim, step, fail)
    handle = await client.collection("note").put({"id": "x"})
    await client.synced()
    assert failed.is_set()
    assert handle.settled


async def test_a_hundred_failures_in_a_row_are_not_followed_by_silence_either(
    scripted: ScriptedServer, open_client: OpenClient
) -> None:
    client = await open_client("phone", scripted.url, timing=Timing(first_retry_s=0.0001, longest_retry_s=0.001))
    scripted.answers["push"].extend([problem(500, "internal_error")] * 100)
    handle = await client.collection("note").put({"id": "x"})
    assert (await handle.outcome()).kind is Kind.APPLIED
    assert len(scripted.seen("push")) == 101


async def test_the_status_says_what_is_wrong_for_as_long_as_it_is(
    scripted: ScriptedServer, open_client: OpenClient
) -> None:
    scripted.answer["push"] = problem(503, "store_unavailable", "the disk is full")
    client = await open_client("phone", scripted.url)
    await client.collection("note").put({"id": "x"})
    await until(lambda: client.status.last_error == "the disk is full")
    scripted.answer["push"] = applied
    await until(lambda: client.status.last_error is None)


async def test_a_new_write_ends_the_back_off_of_a_push(scripted: ScriptedServer, open_client: OpenClient) -> None:
    """No timer helps here: the next attempt by itself would come after minutes."""
    slow = Timing(first_retry_s=0.01, longest_retry_s=600, timeout_s=5)
    client = await open_client("phone", scripted.url, timing=slow)
    await client.synced()
    await _fail_until_backed_off(client, scripted)
    attempts = len(scripted.seen("push"))
    handle = await client.collection("note").put({"id": "y"})
    await handle.outcome()
    assert len(scripted.seen("push")) == attempts + 1


async def test_a_nudge_ends_every_back_off(scripted: ScriptedServer, open_client: OpenClient) -> None:
    slow = Timing(first_retry_s=0.01, longest_retry_s=600, timeout_s=5)
    client = await open_client("phone", scripted.url, timing=slow)
    await client.synced()
    await _fail_until_backed_off(client, scripted)
    client.nudge()
    await until(lambda: client.status.pending == 0)


async def test_a_new_contact_with_the_server_ends_the_back_off_of_a_push(
    scripted: ScriptedServer, open_client: OpenClient
) -> None:
    slow = Timing(first_retry_s=0.01, longest_retry_s=600, timeout_s=5)
    client = await open_client("phone", scripted.url, timing=slow)
    await until(lambda: client.status.state is SyncState.LIVE)
    await client.synced()
    await _fail_until_backed_off(client, scripted)
    await scripted.sockets[-1].close()
    await until(lambda: client.status.pending == 0)


async def test_a_failure_after_the_server_came_back_is_soon_made_good(
    scripted: ScriptedServer, open_client: OpenClient
) -> None:
    """What failed while there was no signal does not lengthen the waits once there is one."""
    slow = Timing(first_retry_s=0.01, longest_retry_s=600, timeout_s=5)
    client = await open_client("phone", scripted.url, timing=slow)
    await until(lambda: client.status.state is SyncState.LIVE)
    await client.synced()
    await _fail_until_backed_off(client, scripted)
    scripted.answers["push"].extend([problem(500, "internal_error")] * 2)
    await scripted.sockets[-1].close()
    await until(lambda: client.status.pending == 0)


async def test_a_connection_that_was_good_makes_the_next_wait_short_again(
    scripted: ScriptedServer, open_client: OpenClient
) -> None:
    slow = Timing(first_retry_s=0.001, longest_retry_s=600, timeout_s=5)
    client = await open_client("phone", scripted.url, timing=slow, dice=Highest())
    for breaks in range(1, 16):
        await until(lambda breaks=breaks: len(scripted.sockets) == breaks and client.status.state is SyncState.LIVE)
        await scripted.sockets[-1].close()


class Highest(random.Random):
    """Always throws the most."""

    def uniform(self, a: float, b: float) -> float:
        return b


async def _fail_until_backed_off(client: Client, scripted: ScriptedServer) -> None:
    """Leaves push in a back-off of minutes; then the server is well again."""
    scripted.answer["push"] = problem(500, "internal_error")
    loop = client._loop
    assert loop is not None
    await client.collection("note").put({"id": "x"})
    waits: list[float] = []
    original = loop._dice.uniform
    loop._dice.uniform = lambda a, b: waits.append(b) or (b if b < 0.05 else 600.0)  # type: ignore[method-assign, func-returns-value]
    await until(lambda: bool(waits) and waits[-1] >= 0.05)
    loop._dice.uniform = original  # type: ignore[method-assign]
    scripted.answer["push"] = applied


async def test_retry_after_is_waited_out_also_when_there_are_new_writes(
    scripted: ScriptedServer, open_client: OpenClient
) -> None:
    client = await open_client("phone", scripted.url)
    await client.synced()
    scripted.answers["push"].append(problem(503, "store_unavailable", retry_after=1))
    started = time.monotonic()
    await client.collection("note").put({"id": "x"})
    await until(lambda: len(scripted.seen("push")) == 1)
    handle = await client.collection("note").put({"id": "y"})
    client.nudge()
    await handle.outcome()
    assert time.monotonic() - started >= 1
    assert len(scripted.seen("push")) == 2


async def test_a_new_token_is_used_at_once(scripted: ScriptedServer, open_client: OpenClient) -> None:
    scripted.answer["push"] = problem(401, "unauthenticated", "a token is needed")
    slow = Timing(first_retry_s=0.01, longest_retry_s=600, timeout_s=5)
    client = await open_client("phone", scripted.url, timing=slow, token="old")
    await _denied(client)
    scripted.answer["push"] = lambda request: (
        applied(request)
        if scripted.tokens[-1] == "Bearer new"
        else problem(401, "unauthenticated", "a token is needed")(request)
    )
    client.set_token("new")
    await until(lambda: client.status.pending == 0)
    await until(lambda: client.status.last_error is None)


async def _denied(client: Client) -> None:
    await client.collection("note").put({"id": "x"})
    await until(lambda: client.status.last_error == "a token is needed")


async def test_the_real_server_says_that_a_token_is_needed(tmp_path: Any, open_client: OpenClient) -> None:
    async with served(tmp_path / "server.db", token="a-token-of-some-length") as server:
        client = await open_client("phone", server.url, token="wrong")
        handle = await client.collection("note").put({"id": "x"})
        await until(lambda: "token" in (client.status.last_error or ""))
        assert client.status.state is SyncState.OFFLINE
        client.set_token("a-token-of-some-length")
        assert (await handle.outcome()).kind is Kind.APPLIED
        await until(lambda: client.status.state is SyncState.LIVE)


async def test_push_does_not_wait_for_pull(scripted: ScriptedServer, open_client: OpenClient) -> None:
    """No pull-before-push gate: those deadlock."""
    scripted.answer["pull"] = problem(500, "internal_error")
    client = await open_client("phone", scripted.url)
    handle = await client.collection("note").put({"id": "x"})
    assert (await handle.outcome()).kind is Kind.APPLIED


async def test_pull_does_not_wait_for_push(scripted: ScriptedServer, open_client: OpenClient) -> None:
    scripted.answer["push"] = problem(500, "internal_error")
    client = await open_client("phone", scripted.url)
    await client.collection("note").put({"id": "mine"})
    state = {
        "type": "note",
        "id": "theirs",
        "version": 1,
        "origin": ["s", 1],
        "fields": {"v": 1},
        "marks": [[1, "0193a6c0f2e1.0000.s"]],
    }
    page = {"resources": [state], "cursor": "c1", "settled": 0, "more": False}
    scripted.answer["pull"] = lambda request: reply(scopes={"main": page})
    watch = client.watch("main")
    assert [each.id for each in (await anext(watch)).states] == ["theirs"]
    assert client.status.pending == 1


async def test_without_live_connections_everything_still_syncs(
    scripted: ScriptedServer, open_client: OpenClient
) -> None:
    """Some proxies let no WebSocket through."""
    scripted.live = problem(403, "forbidden")
    client = await open_client("phone", scripted.url)
    handle = await client.collection("note").put({"id": "x"})
    await handle.outcome()
    pulls = len(scripted.seen("pull"))
    await until(lambda: len(scripted.seen("pull")) > pulls + 2)
    await client.synced()


async def test_a_hint_to_pull_is_followed(scripted: ScriptedServer, open_client: OpenClient) -> None:
    client = await open_client("phone", scripted.url)
    await until(lambda: client.status.state is SyncState.LIVE)
    await client.synced()
    pulls = len(scripted.seen("pull"))
    await scripted.sockets[-1].send_json({"type": "pull", "scopes": ["main"]})
    await until(lambda: len(scripted.seen("pull")) == pulls + 1)
    await scripted.sockets[-1].send_json(
        {"type": "delta", "scope": "main", "after": "elsewhere", "upto": "further", "entries": []}
    )
    await until(lambda: len(scripted.seen("pull")) == pulls + 2)


async def test_nonsense_on_the_live_connection_ends_it_and_a_new_one_is_made(
    scripted: ScriptedServer, open_client: OpenClient
) -> None:
    client = await open_client("phone", scripted.url)
    await until(lambda: client.status.state is SyncState.LIVE)
    await scripted.sockets[-1].send_str("{")
    await until(lambda: len(scripted.sockets) == 2 and client.status.state is SyncState.LIVE)


async def test_pings_and_messages_of_later_servers_are_taken_calmly(
    scripted: ScriptedServer, open_client: OpenClient
) -> None:
    client = await open_client("phone", scripted.url)
    await until(lambda: client.status.state is SyncState.LIVE)
    await scripted.sockets[-1].send_json({"type": "presence", "who": ["somebody"]})
    await scripted.sockets[-1].send_json({"type": "error", "code": "bad", "message": "no"})
    await scripted.sockets[-1].send_json({"type": "ping"})
    await until(lambda: bool(scripted.seen("pong")))
    assert len(scripted.sockets) == 1


class TestPoison:
    """Invariant 6: what the server will not even read is found, kept with the reason, and blocks nothing."""

    @staticmethod
    def refuse(word: str) -> Any:
        def answer(request: Any) -> web.Response:
            if any(word in each.get("fields", {}).values() for each in request["changes"]):
                return problem(400, "invalid_message", f"{word} cannot be read")(request)
            return applied(request)

        return answer

    async def test_the_culprit_is_found_and_the_rest_of_its_batch_is_applied(
        self, scripted: ScriptedServer, open_client: OpenClient
    ) -> None:
        scripted.answer["push"] = self.refuse("poison")
        client = await open_client("phone", None)
        notes = client.collection("note")
        for i in range(20):
            await notes.put({"id": f"n{i}", "v": "poison" if i == 13 else i})
        await client.close()
        client = await open_client("phone", scripted.url)
        await client.synced()
        ((change, outcome),) = await client.rejected()
        assert (change.id, outcome.code, outcome.message) == ("n13", "invalid_message", "poison cannot be read")
        assert client.status.pending == 0
        settled = [each["n"] for push in scripted.seen("push") for each in push["changes"] if "poison" not in str(push)]
        assert sorted(settled) == list(range(1, 21)), "no gap where the culprit was, and nothing settled twice"
        assert await client.collection("note").get("n13") is None

    async def test_a_group_with_a_culprit_is_rejected_as_a_whole(
        self, scripted: ScriptedServer, open_client: OpenClient
    ) -> None:
        scripted.answer["push"] = self.refuse("poison")
        client = await open_client("phone", scripted.url)
        notes = client.collection("note")
        async with client.group():
            left = await notes.put({"id": "left", "v": 1})
            right = await notes.put({"id": "right", "v": "poison"})
        good = await notes.put({"id": "good", "v": 1})
        assert (await left.outcome()).kind is (await right.outcome()).kind is Kind.REJECTED
        assert (await good.outcome()).kind is Kind.APPLIED
        assert [note["id"] for note in await notes.all()] == ["good"]

    async def test_no_change_is_blamed_for_a_server_that_refuses_everything(
        self, scripted: ScriptedServer, open_client: OpenClient
    ) -> None:
        scripted.answer["push"] = problem(400, "invalid_replica", "this replica cannot be")
        unhurried = Timing(first_retry_s=0.5, longest_retry_s=0.5)
        client = await open_client("phone", scripted.url, timing=unhurried)
        handle = await client.collection("note").put({"id": "x"})
        await until(lambda: "refuses every message" in (client.status.last_error or ""))
        assert await client.rejected() == []
        assert client.status.pending == 1
        scripted.answer["push"] = applied
        assert (await handle.outcome()).kind is Kind.APPLIED

    async def test_the_real_server_rejects_what_is_too_large_for_it(
        self, tmp_path: Any, open_client: OpenClient
    ) -> None:
        async with served(tmp_path / "server.db", max_body_bytes=4096, max_changes=5) as server:
            client = await open_client("phone", server.url)
            notes = client.collection("note")
            big = await notes.put({"id": "big", "text": "x" * 5_000})
            small = [await notes.put({"id": f"n{i}", "text": "x" * 500}) for i in range(12)]
            assert (await big.outcome()).code == "too_large"
            assert [(await each.outcome()).kind for each in small] == [Kind.APPLIED] * 12
            await client.synced()
            assert len(await notes.all()) == 12


async def test_a_change_whose_answer_was_lost_stays_in_doubt_until_it_is_answered(
    scripted: ScriptedServer, open_client: OpenClient
) -> None:
    """A refusal of a later attempt says nothing of the first one."""
    client = await open_client("phone", scripted.url)
    await client.synced()
    scripted.answers["push"].append(problem(500, "internal_error"))
    scripted.answer["push"] = problem(400, "invalid_message")
    handle = await client.collection("note").put({"id": "x"})
    outbox = client._opened().outbox
    await until(lambda: outbox.in_doubt("main"))
    await until(lambda: "refuses every message" in (client.status.last_error or ""))
    assert outbox.in_doubt("main")
    scripted.answer["push"] = applied
    await handle.outcome()
    assert not outbox.in_doubt("main")


async def test_a_change_that_was_refused_at_once_is_in_no_doubt(
    scripted: ScriptedServer, open_client: OpenClient
) -> None:
    scripted.answer["push"] = problem(400, "invalid_message")
    client = await open_client("phone", scripted.url, timing=Timing(first_retry_s=600, longest_retry_s=600))
    await client.collection("note").put({"id": "x"})
    await until(lambda: "refuses every message" in (client.status.last_error or ""))
    assert not client._opened().outbox.in_doubt("main")


class TestOtherNumbers:
    """Law 3: what is answered `id_reuse` goes on under another id, and so does whoever waits for it."""

    @staticmethod
    def reused(request: Any) -> web.Response:
        outcomes = [{"n": each["n"], "outcome": "rejected", "code": "id_reuse"} for each in request["changes"]]
        return reply(replica=request["replica"], settled=0, outcomes=outcomes)

    async def test_a_handle_follows_its_change(self, scripted: ScriptedServer, open_client: OpenClient) -> None:
        client = await open_client("phone", scripted.url)
        await client.synced()
        before = client.replica_id
        scripted.answers["push"].append(self.reused)
        handle = await client.collection("note").put({"id": "x"})
        await client.synced()
        async with asyncio.timeout(5):
            assert (await handle.outcome()).kind is Kind.APPLIED
        assert handle.replica == client.replica_id != before
        assert handle.n == 1

    async def test_a_pull_asks_for_the_id_under_which_something_is_still_pending(
        self, scripted: ScriptedServer, open_client: OpenClient
    ) -> None:
        """Law 4 speaks of one id; the newest has nothing on its way yet."""
        client = await open_client("phone")
        for name in ("reused", "later"):
            await client.collection("note").put({"id": name})
        old = client.replica_id
        await client.close()

        def half(request: Any) -> web.Response:
            first, second = request["changes"]
            outcomes = [
                {"n": second["n"], "outcome": "retry_later"},
                {"n": first["n"], "outcome": "rejected", "code": "id_reuse"},
            ]
            return reply(replica=request["replica"], settled=9, outcomes=outcomes)

        scripted.answers["push"].append(half)
        scripted.answer["push"] = problem(500, "internal_error")
        client = await open_client("phone", scripted.url)
        await until(lambda: client.replica_id != old)
        assert {change.replica for change in client.outbox()} == {old, client.replica_id}
        await client.follow("other")
        await until(lambda: any("other" in pull["scopes"] for pull in scripted.seen("pull")))
        assert scripted.seen("pull")[-1]["replica"] == old


class TestPause:
    async def test_nothing_is_sent_until_it_ends(self, scripted: ScriptedServer, open_client: OpenClient) -> None:
        client = await open_client("phone", scripted.url)
        await client.synced()
        await client.pause()
        assert client.status.state is SyncState.PAUSED
        before = len(scripted.requests)
        handle = await client.collection("note").put({"id": "x"})
        client.nudge()
        synced = asyncio.create_task(client.synced())
        await asyncio.sleep(0.1)  # nothing is to happen, so there is no event to wait for
        assert len(scripted.requests) == before
        assert not synced.done()
        await client.resume()
        await synced
        assert handle.settled

    async def test_it_may_be_begun_and_ended_twice(self, scripted: ScriptedServer, open_client: OpenClient) -> None:
        client = await open_client("phone", scripted.url)
        await client.pause()
        await client.pause()
        await client.resume()
        await client.resume()
        await client.synced()


async def _close_quickly(client: Client) -> None:
    started = time.monotonic()
    await client.close()
    assert time.monotonic() - started < 1


class TestClosing:
    async def test_is_quick_in_the_middle_of_a_request(self, scripted: ScriptedServer, open_client: OpenClient) -> None:
        scripted.hangs = {"push", "pull"}
        client = await open_client("phone", scripted.url)
        await client.collection("note").put({"id": "x"})
        await until(lambda: bool(scripted.seen("push")) and bool(scripted.seen("pull")))
        await _close_quickly(client)

    async def test_is_quick_in_a_back_off(self, scripted: ScriptedServer, open_client: OpenClient) -> None:
        scripted.answer["push"] = problem(503, "store_unavailable", retry_after=60)
        client = await open_client("phone", scripted.url)
        await client.collection("note").put({"id": "x"})
        await until(lambda: client.status.last_error is not None)
        await _close_quickly(client)

    async def test_is_quick_offline(self, open_client: OpenClient) -> None:
        client = await open_client("phone", "http://127.0.0.1:9")
        await client.collection("note").put({"id": "x"})
        await until(lambda: client.status.last_error is not None)
        await _close_quickly(client)

    async def test_ends_whatever_waits(self, scripted: ScriptedServer, open_client: OpenClient) -> None:
        scripted.answer["push"] = problem(500, "internal_error")
        client = await open_client("phone", scripted.url)
        handle = await client.collection("note").put({"id": "x"})
        waiting = [asyncio.create_task(handle.outcome()), asyncio.create_task(client.synced())]
        watch = client.watch("main")
        await until(lambda: client.status.last_error is not None)
        await client.close()
        await client.close()
        for task in waiting:
            with pytest.raises(Closed):
                await task
        assert [delta async for delta in watch] == []
        with pytest.raises(Closed):
            _ = client.status


async def test_without_a_url_nobody_waits_for_ever(open_client: OpenClient) -> None:
    client = await open_client("phone")
    await client.collection("note").put({"id": "x"})
    assert client.status.state is SyncState.OFFLINE
    assert client.status.pending == 1
    with pytest.raises(NoServer, match="without a url"):
        await client.synced()


async def test_the_age_of_the_oldest_change_is_told(scripted: ScriptedServer, open_client: OpenClient) -> None:
    now_ms = 1_763_640_000_000
    client = await open_client("phone", now_ms=lambda: now_ms)
    assert client.status.oldest_ms is None
    await client.collection("note").put({"id": "x"})
    now_ms += 5_000
    await client.collection("note").put({"id": "y"})
    assert client.status.oldest_ms == 5_000


async def test_a_page_that_never_ends_does_not_spin(scripted: ScriptedServer, open_client: OpenClient) -> None:
    stuck = {"resources": [], "cursor": "c0", "settled": 0, "more": True}
    scripted.answer["pull"] = lambda request: reply(scopes={"main": stuck})
    client = await open_client("phone", scripted.url, timing=Timing(first_retry_s=30, longest_retry_s=30))
    await until(lambda: client.status.last_error is not None)
    await asyncio.sleep(0.05)
    assert len(scripted.seen("pull")) <= 3
    scripted.answer["pull"] = nothing_new


class TestScopesThatAreRefused:
    async def test_too_many_at_once_are_asked_for_in_smaller_numbers(
        self, scripted: ScriptedServer, open_client: OpenClient
    ) -> None:
        scripted.answer["pull"] = lambda request: (
            problem(413, "too_large")(request) if len(request["scopes"]) > 2 else nothing_new(request)
        )
        client = await open_client("phone", scripted.url, scopes=[f"desk:{i}" for i in range(9)])
        await client.synced()

    async def test_one_bad_name_holds_up_none_of_the_others(
        self, scripted: ScriptedServer, open_client: OpenClient
    ) -> None:
        scripted.answer["pull"] = lambda request: (
            problem(400, "invalid_scope")(request) if "bad" in request["scopes"] else nothing_new(request)
        )
        client = await open_client("phone", scripted.url, scopes=["bad", "good", "main"])
        for name in ("good", "main"):
            await until(lambda name=name: {name} in [set(request["scopes"]) for request in scripted.seen("pull")])
        await until(lambda: client.status.last_error == "no")
