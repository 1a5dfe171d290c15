"""A long queue: the next message is on its way while the answer to the last one is taken in, and never one too many."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from client_sdk import Client
from tests.client_sdk.conftest import OpenClient
from tests.support.scripted_server import ScriptedServer, applied, problem, reply, scripted_server
from tests.support.served import Served
from tests.support.until import until

WAITING = 250
"""Three messages."""


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedServer]:
    async with scripted_server() as server:
        yield server


async def with_a_queue(open_client: OpenClient, url: str, **options: Any) -> Client:
    """A client on which 250 changes wait; it does not send them yet."""
    client = await open_client("phone", url, **options)
    await client.pause()
    notes = client.collection("note")
    for number in range(WAITING):
        await notes.put({"id": f"n{number}", "v": number})
    return client


def numbers(scripted: ScriptedServer) -> list[tuple[int, int]]:
    """The first and the last number of each message that came."""
    return [(body["changes"][0]["n"], body["changes"][-1]["n"]) for body in scripted.seen("push")]


def version_of(client: Client) -> int:
    """How far the client has the scope."""
    assert client._replica is not None
    return client._replica.scopes["main"].version


def while_the_first_answer_is_taken_in(client: Client, monkeypatch: pytest.MonkeyPatch, step: Any) -> None:
    """Let the first answer wait for `step` before it goes into the file."""
    assert client._loop is not None
    settlement = client._loop._push._settlement
    settle = settlement.settle

    async def wait_and_settle(*arguments: Any) -> bool:
        monkeypatch.undo()
        await step()
        return await settle(*arguments)

    monkeypatch.setattr(settlement, "settle", wait_and_settle)


async def test_server_and_replica_work_at_once(
    scripted: ScriptedServer, open_client: OpenClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await with_a_queue(open_client, scripted.url)
    met: list[int] = []

    async def until_the_next_has_come() -> None:
        await until(lambda: len(scripted.seen("push")) == 2)
        met.append(client.status.pending)

    while_the_first_answer_is_taken_in(client, monkeypatch, until_the_next_has_come)
    await client.resume()
    await client.synced()
    assert met == [WAITING], "nothing of the first was in the file when the second came"
    assert numbers(scripted) == [(1, 100), (101, 200), (201, 250)]


async def test_nothing_is_sent_behind_an_answer_that_may_change_what_waits(
    scripted: ScriptedServer, open_client: OpenClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_rejected(request: Any) -> Any:
        first, *others = request["changes"]
        outcomes = [{"n": first["n"], "outcome": "rejected", "version": 0, "code": "no", "message": "no"}]
        outcomes += [{"n": each["n"], "outcome": "applied", "version": each["n"]} for each in others]
        return reply(replica=request["replica"], settled=request["changes"][-1]["n"], outcomes=outcomes)

    scripted.answers["push"].append(one_rejected)
    client = await with_a_queue(open_client, scripted.url)
    met: list[int] = []

    async def look() -> None:
        await asyncio.sleep(0.05)
        met.append(len(scripted.seen("push")))

    while_the_first_answer_is_taken_in(client, monkeypatch, look)
    await client.resume()
    await client.synced()
    assert met == [1]
    assert (client.status.rejected, client.status.pending) == (1, 0)


async def test_what_was_sent_ahead_of_a_failure_is_sent_again(
    scripted: ScriptedServer, open_client: OpenClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file could not take the first answer: the second message may be at the server, and is sent once more."""
    client = await with_a_queue(open_client, scripted.url)

    async def fail() -> None:
        await until(lambda: len(scripted.seen("push")) == 2)
        raise ZeroDivisionError("a fault")

    while_the_first_answer_is_taken_in(client, monkeypatch, fail)
    await client.resume()
    await client.synced()
    assert numbers(scripted)[:2] == [(1, 100), (101, 200)]
    assert numbers(scripted)[2:] == [(1, 100), (101, 200), (201, 250)]
    assert client.status.pending == 0


@pytest.mark.parametrize("how", ["paused", "failing"])
async def test_what_was_sent_ahead_is_given_up_however_the_taking_in_ends(
    server: Served, open_client: OpenClient, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The answer is in the file; then a delta that waited is applied, and that fails, or the client is paused in it."""
    client = await with_a_queue(open_client, server.url)
    loop = client._loop
    assert loop is not None
    feed, intake, settlement = loop._feed, loop._push._intake, loop._push._settlement
    settle, push, met = settlement.settle, loop._transport.push, asyncio.Event()

    async def push_once_deltas_flow(*arguments: Any) -> Any:
        await until(lambda: loop._live.watches_all() and not loop._pull.due() and not +feed._pulls)
        return await push(*arguments)

    async def settle_once_one_waits(*arguments: Any) -> bool:
        await until(lambda: bool(feed._waiting.get("main")))
        return await settle(*arguments)

    async def stuck(delta: Any) -> bool:
        assert loop._push._ahead is not None
        monkeypatch.undo()
        met.set()
        if how == "failing":
            raise ZeroDivisionError("a fault")
        await asyncio.Event().wait()
        return False

    monkeypatch.setattr(loop._transport, "push", push_once_deltas_flow)
    monkeypatch.setattr(settlement, "settle", settle_once_one_waits)
    monkeypatch.setattr(intake, "apply_delta", stuck)
    await client.resume()
    await asyncio.wait_for(met.wait(), 10)
    if how == "paused":
        await client.pause()
        assert not [task for task in asyncio.all_tasks() if task.get_name() == "push"]
        assert not +feed._pushes
        await client.resume()
    await client.synced()
    assert client.status.pending == 0
    assert not +feed._pushes
    other = await open_client("other", server.url)
    handle = await other.collection("note").put({"id": "last", "v": -1})
    version = (await handle.outcome()).version
    # It comes by itself: nothing is pulled before half a minute has passed.
    await until(lambda: version_of(client) >= version)
    assert await client.collection("note").get("last") is not None


@pytest.mark.parametrize("code", ["internal_error", "store_unavailable"])
async def test_a_message_that_fails_behind_one_that_did_not_is_sent_again(
    scripted: ScriptedServer, open_client: OpenClient, code: str
) -> None:
    scripted.answers["push"].extend([applied, problem(503 if code == "store_unavailable" else 500, code)])
    client = await with_a_queue(open_client, scripted.url)
    await client.resume()
    await client.synced()
    assert numbers(scripted) == [(1, 100), (101, 200), (101, 200), (201, 250)]


async def test_a_message_that_the_server_will_not_read_is_halved_as_any_other(
    scripted: ScriptedServer, open_client: OpenClient
) -> None:
    def unless_it_holds_150(request: Any) -> Any:
        if any(each["n"] == 150 and each["op"] == "create" for each in request["changes"]):
            return problem(400, "invalid_message")(request)
        return applied(request)

    scripted.answer["push"] = unless_it_holds_150
    client = await with_a_queue(open_client, scripted.url)
    await client.resume()
    await client.synced()
    assert (client.status.rejected, client.status.pending) == (1, 0)
    settled = [each["n"] for body in scripted.seen("push") for each in body["changes"]]
    assert set(settled) == set(range(1, WAITING + 1))


async def test_a_client_that_is_closed_meanwhile_ends_at_once_and_goes_on_later(
    scripted: ScriptedServer, open_client: OpenClient
) -> None:
    client = await with_a_queue(open_client, scripted.url)
    scripted.answers["push"].append(applied)
    await client.resume()
    await until(lambda: len(scripted.seen("push")) == 1)
    scripted.hangs.add("push")
    async with asyncio.timeout(5):
        await client.close()
    scripted.hangs.clear()
    again = await open_client("phone", scripted.url)
    await again.synced()
    assert again.status.pending == 0


async def test_nothing_is_lost_or_doubled_at_a_real_server_and_deltas_flow_in_between(
    server: Served, open_client: OpenClient
) -> None:
    other = await open_client("other", server.url)
    await other.synced()
    client = await with_a_queue(open_client, server.url)
    await client.resume()
    await client.synced()
    await other.synced()
    notes = await client.collection("note").all()
    assert sorted(note["v"] for note in notes) == list(range(WAITING))
    assert [dict(note) for note in await other.collection("note").all()] == [dict(note) for note in notes]
    assert await client.check("main")
