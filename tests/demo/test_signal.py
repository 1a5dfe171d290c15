"""The signal lets through, resets, refuses, and fails between the server's word and the phone's ear."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from syncd.demo.journal import Journal, read_journal
from syncd.demo.signal import Signal

PUSH = {"replica": "r1", "changes": [{"n": 1, "scope": "s", "type": "event", "id": "e1", "op": "create"}]}


@dataclass
class Network:
    """A server that applies everything, a phone's signal in front of it, and the phone's HTTP session."""

    signal: Signal
    journal: Journal
    session: aiohttp.ClientSession
    pushes: list[object] = field(default_factory=list)

    async def push(self) -> dict[str, object]:
        async with self.session.post(f"{self.signal.url}/sync/v1/push", json=PUSH) as response:
            body: dict[str, object] = await response.json()
            return body


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[Network]:
    journal = Journal(tmp_path / "journal.jsonl")
    app = web.Application()
    server = TestServer(app)
    signal = Signal("A", lambda: server.port or 0, journal)
    async with aiohttp.ClientSession() as session:
        network = Network(signal, journal, session)

        async def push(request: web.Request) -> web.Response:
            body = await request.json()
            network.pushes.append(body)
            outcomes = [{"n": change["n"], "outcome": "applied", "version": 7} for change in body["changes"]]
            return web.json_response({"replica": body["replica"], "outcomes": outcomes})

        async def echo(request: web.Request) -> web.WebSocketResponse:
            live = web.WebSocketResponse()
            await live.prepare(request)
            async for message in live:
                await live.send_str(message.data)
            return live

        app.add_routes([web.post("/sync/v1/push", push), web.get("/sync/v1/live", echo)])
        await server.start_server()
        yield network
        await signal.close()
    await server.close()
    journal.close()


async def test_without_signal_the_phone_is_refused(network: Network) -> None:
    with pytest.raises(aiohttp.ClientConnectorError):
        await network.push()
    assert network.pushes == []


async def test_with_signal_a_push_is_answered_and_in_the_journal(network: Network) -> None:
    await network.signal.restore()

    reply = await network.push()

    (entry,) = read_journal(network.journal.path)
    assert reply["outcomes"] == [{"n": 1, "outcome": "applied", "version": 7}]
    assert (entry.phone, entry.replica, entry.n, entry.version, entry.heard) == ("A", "r1", 1, 7, True)


async def test_the_signal_comes_back_on_the_same_port_after_each_cut(network: Network) -> None:
    url = network.signal.url
    for _ in range(3):
        await network.signal.restore()
        await network.push()
        network.signal.cut()
        with pytest.raises(aiohttp.ClientError):
            await network.push()

    assert network.signal.url == url
    assert len(network.pushes) == 3


# At one of these turns asyncio itself drops a connection that its closing server had half accepted, and warns of it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_nobody_slips_through_who_connects_in_the_moment_of_the_cut(network: Network) -> None:
    request = b"POST /sync/v1/push HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b"
    body = json.dumps(PUSH).encode()
    for turns in range(12):
        await network.signal.restore()
        with socket.create_connection(("127.0.0.1", URL(network.signal.url).port or 0)) as phone:
            phone.setblocking(False)
            for _ in range(turns):
                await asyncio.sleep(0)
            network.signal.cut()
            pushes = len(network.pushes)
            with contextlib.suppress(OSError):
                phone.send(request % (len(body), body))
            await asyncio.sleep(0.05)
            assert len(network.pushes) == pushes, f"it got through {turns} turns of the loop before the cut"
    gc.collect()


async def test_a_live_socket_passes_both_ways_until_the_cut_resets_it(network: Network) -> None:
    await network.signal.restore()
    async with network.session.ws_connect(f"{network.signal.url}/sync/v1/live") as socket:
        await socket.send_str("hello")
        assert await socket.receive_str() == "hello"

        network.signal.cut()

        message = await socket.receive()
        assert message.type in (aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSE)


async def test_an_acknowledgement_can_be_lost_on_its_way_and_is_journalled_all_the_same(network: Network) -> None:
    await network.signal.restore()
    lost = network.signal.at_next_acknowledgement(heard=False)

    with pytest.raises(aiohttp.ClientError):
        await network.push()

    (entry,) = read_journal(network.journal.path)
    assert await lost == 1
    assert (entry.n, entry.heard) == (1, False)
    assert not network.signal.up
    assert len(network.pushes) == 1


async def test_something_can_happen_between_the_servers_word_and_the_phones_ear(network: Network) -> None:
    await network.signal.restore()
    journalled: list[int] = []
    done = network.signal.at_next_acknowledgement(
        lambda: journalled.append(len(read_journal(network.journal.path))), heard=True
    )

    reply = await network.push()

    assert await done == 1
    assert journalled == [1]
    assert reply["replica"] == "r1"


async def test_with_the_server_away_the_phone_gets_no_answer_and_the_signal_stays(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    nowhere = Signal("A", lambda: 1, journal)
    await nowhere.restore()
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await session.post(f"{nowhere.url}/sync/v1/push", json=PUSH)
    assert nowhere.up
    await nowhere.close()
    journal.close()
