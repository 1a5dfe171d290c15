"""Who sends a byte now and then, or reads none: bounded in time, in connections and in memory."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.attack import PULL, PUSH, Target, create, under_attack
from tests.support.memory_of import resident_bytes
from tests.support.raw_http import request_bytes, send_raw
from tests.support.raw_socket import frame, raw_socket
from tests.support.until import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 1 << 20
SHORT = {
    "SYNCD_IDLE_TIMEOUT_S": "0.5",
    "SYNCD_BODY_TIMEOUT_S": "1",
    "SYNCD_HELLO_TIMEOUT_S": "0.5",
    "SYNCD_HEARTBEAT_S": "1",
    "SYNCD_COMMENT_S": "0.5",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def target(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Target]:
    async with under_attack(tmp_path_factory.mktemp("slow") / "club.db", environment=SHORT) as target:
        await target.assert_in_good_health()
        yield target


def connections(pid: int) -> int:
    """Sockets that the server has open."""
    folder = Path(f"/proc/{pid}/fd")
    links = []
    for name in os.listdir(folder):
        try:
            links.append(os.readlink(folder / name))
        except FileNotFoundError:
            continue
    return sum(link.startswith("socket:") for link in links)


async def drip(address: tuple[str, int], data: bytes, every_s: float, at_most_s: float = 15) -> tuple[float, bytes]:
    """Send a byte at a time; how long the server listened, and what it answered."""
    reader, writer = await asyncio.open_connection(*address)
    started = time.monotonic()
    answer = asyncio.create_task(reader.read())
    try:
        for byte in data:
            if answer.done() or time.monotonic() - started > at_most_s:
                break
            writer.write(bytes([byte]))
            await asyncio.wait([answer], timeout=every_s)
        async with asyncio.timeout(at_most_s):
            received = await answer
    except ConnectionError:
        received = b""
    finally:
        answer.cancel()
        writer.transport.abort()
    return time.monotonic() - started, received


class TestSenders:
    """A byte now and then."""

    async def test_a_head_must_be_there_in_time_however_busy_it_looks(self, target: Target) -> None:
        head = b"POST /sync/v1/push HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: y\r\n" * 1000
        took_s, _ = await drip(target.process.host_and_port, head, every_s=0.1)
        assert took_s < 8
        await target.assert_in_good_health()

    async def test_a_body_too_and_it_is_told_so(self, target: Target) -> None:
        head, _, body = request_bytes(b"{" + b" " * 1000).partition(b"\r\n\r\n")
        reader, writer = await asyncio.open_connection(*target.process.host_and_port)
        writer.write(head + b"\r\n\r\n")
        async with asyncio.timeout(15):
            answer = asyncio.create_task(reader.read(65_536))
            for byte in body:
                if answer.done():
                    break
                writer.write(bytes([byte]))
                await asyncio.wait([answer], timeout=0.1)
            told = await answer
        writer.transport.abort()
        assert told.startswith(b"HTTP/1.1 408")
        assert b'"too_slow"' in told
        await target.assert_in_good_health()

    async def test_chunks_too(self, target: Target) -> None:
        head = request_bytes(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        reader, writer = await asyncio.open_connection(*target.process.host_and_port)
        writer.write(head)
        async with asyncio.timeout(15):
            answer = asyncio.create_task(reader.read(65_536))
            while not answer.done():
                writer.write(b"1\r\n \r\n")
                await asyncio.wait([answer], timeout=0.1)
            assert (await answer).startswith(b"HTTP/1.1 408")
        writer.transport.abort()

    async def test_three_hundred_of_them_keep_nobody_else_waiting(self, target: Target) -> None:
        slow = [
            asyncio.create_task(drip(target.process.host_and_port, request_bytes(b"{}") * 3, every_s=0.2, at_most_s=3))
            for _ in range(300)
        ]
        started = time.monotonic()
        for _ in range(10):
            await target.assert_in_good_health()
        assert time.monotonic() - started < 10
        await asyncio.gather(*slow, return_exceptions=True)

    async def test_a_socket_must_say_hello_in_time_however_it_babbles(self, target: Target) -> None:
        async with raw_socket(target.process.host_and_port, hello=False) as babbler:
            for byte in frame(b'{"type": "hello"}' + b" " * 100):
                try:
                    await babbler.send(bytes([byte]))
                except ConnectionError:
                    break
                await asyncio.sleep(0.02)
            assert await babbler.close_code() in (0, 4408)

    async def test_a_socket_that_stops_in_the_middle_of_a_frame_is_dropped(self, target: Target) -> None:
        async with raw_socket(target.process.host_and_port) as half:
            await half.send(frame(b"x" * 1000)[:500])
            assert await half.close_code() in (0, 1006, 1011)


class TestReaders:
    """Who asks for much and reads nothing."""

    async def filled(self, target: Target) -> None:
        for page in range(16):
            changes = [create(n, f"p{page}-{n}", "large", fields={"text": "x" * 60_000}) for n in range(1, 13)]
            for outcome in await target.push(f"large-{page}", changes):
                assert outcome["outcome"] == "applied"

    @pytest.mark.parametrize("how", ["pull", "pipelined", "stream"])
    async def test_he_is_dropped_and_what_waited_for_him_too(self, target: Target, how: str) -> None:
        await self.filled(target)
        resident = []
        for _ in range(4):
            await self.wave(target, how)
            resident.append(resident_bytes(target.process.pid))
        # What one wave took up, the next finds free again, if not at once: what is kept for good, each takes up anew.
        assert min(after - before for before, after in pairwise(resident)) < 32 * MIB
        await target.assert_in_good_health()

    async def wave(self, target: Target, how: str) -> None:
        """Forty who ask and do not read, until the server has dropped them."""
        pid = target.process.pid
        connected = connections(pid)
        pull = request_bytes(b'{"scopes": {"large": null}, "limit_bytes": 1048576}', PULL).replace(
            b"Connection: close\r\n", b""
        )
        stream = b"GET /sync/v1/stream?scope=large HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        requests = {"pull": pull, "pipelined": pull * 20, "stream": stream}[how]
        deaf = []
        for _ in range(40):
            raw = socket.socket()
            # As little as can be: what the kernel takes up, the server need not hold.
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            raw.connect(target.process.host_and_port)
            raw.sendall(requests)
            deaf.append(raw)
        try:
            await until(lambda: connections(pid) > connected + 30)
            if how == "stream":
                await self.told_of_much(target)
            await until(lambda: connections(pid) <= connected + 2)
        finally:
            for raw in deaf:
                raw.close()

    async def told_of_much(self, target: Target) -> None:
        replica = target.new_replica()
        for n in range(1, 200):
            await target.push(replica, [create(n, f"{replica}-{n}", "large", fields={"text": "y" * 60_000})])

    async def test_one_who_reads_slowly_and_steadily_gets_all_of_it(self, target: Target) -> None:
        await self.filled(target)
        reader, writer = await asyncio.open_connection(*target.process.host_and_port, limit=16_384)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        last = request_bytes(b'{"scopes": {"large": null}, "limit_bytes": 1048576}', PULL)
        # More than the kernel takes up by itself.
        writer.write(last.replace(b"Connection: close\r\n", b"") * 9 + last)
        received = 0
        started = time.monotonic()
        while chunk := await reader.read(65_536):
            received += len(chunk)
            await asyncio.sleep(0.01)
        writer.transport.abort()
        assert received > 10 * MIB * 0.9
        assert time.monotonic() - started > 1


async def test_a_connection_that_only_stands_there_is_closed(target: Target) -> None:
    started = time.monotonic()
    await send_raw(target.process.host_and_port, b"")
    assert time.monotonic() - started < 5


async def test_a_push_after_all_of_it_is_applied(target: Target) -> None:
    status, _ = await target.send(PUSH, b'{"replica": "last", "changes": []}')
    assert status == 200
