"""Floods over live sockets: of pings, fragments, lies about lengths, bad frames, and sockets; read or not read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import WSServerHandshakeError

from tests.support.attack import Target, under_attack
from tests.support.memory_of import resident_bytes
from tests.support.raw_socket import BINARY, CONTINUATION, PING, PONG, TEXT, frame, raw_socket

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 1 << 20
FRAME_LIMIT = 256 * 1024
ROOM = 32 * MIB


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def target(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Target]:
    """Without limits of how often, as on one's own machine: what is bounded here is bounded for everybody."""
    async with under_attack(tmp_path_factory.mktemp("frames") / "club.db") as target:
        await target.assert_in_good_health()
        yield target


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def limited(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Target]:
    settings = {
        "SYNCD_RATE_LIMITING": "on",
        "SYNCD_RATE_LIMITS": "frames=50/second,partner=100000/minute,push.user=100000/minute",
        "SYNCD_MAX_ADDRESS_SOCKETS": "20",
    }
    path = tmp_path_factory.mktemp("limited") / "club.db"
    async with under_attack(path, environment=settings) as target:
        yield target


def pings(count: int) -> bytes:
    return frame(b"x" * 125, PING) * count


class TestFloods:
    """More than can be answered."""

    @pytest.mark.parametrize("kind", ["websocket", "json"])
    async def test_of_pings_whose_answers_nobody_reads_is_not_taken_any_more(self, target: Target, kind: str) -> None:
        before = resident_bytes(target.process.pid)
        flood = pings(500) if kind == "websocket" else frame(b'{"type": "ping"}') * 3000
        async with raw_socket(target.process.host_and_port) as socket:
            taken = await socket.send_until_refused(flood, 256 * MIB, patience_s=2)
            assert taken < 256 * MIB
            assert resident_bytes(target.process.pid) - before < ROOM
            await target.assert_in_good_health()

    async def test_of_pings_whose_answers_are_read_is_answered_each(self, target: Target) -> None:
        async with raw_socket(target.process.host_and_port) as socket:
            await socket.send(pings(2000))
            async with asyncio.timeout(20):
                answers = [await socket.receive() for _ in range(2000)]
        assert set(answers) == {(PONG, b"x" * 125)}

    async def test_of_pongs_and_of_empty_fragments_takes_no_room(self, target: Target) -> None:
        before = resident_bytes(target.process.pid)
        async with raw_socket(target.process.host_and_port) as socket:
            await socket.send(frame(b"x" * 125, PONG) * 20_000)
            await socket.send(frame(b"", TEXT, final=False))
            for _ in range(50):
                await socket.send(frame(b"", CONTINUATION, final=False) * 2000)
            await socket.send(frame(b'{"type": "ping"}', CONTINUATION))
            assert b"pong" in (await asyncio.wait_for(socket.receive(), 20))[1]
        assert resident_bytes(target.process.pid) - before < ROOM

    async def test_of_fragments_that_never_end_is_cut_at_the_size_of_a_frame(self, target: Target) -> None:
        async with raw_socket(target.process.host_and_port) as socket:
            await socket.send(frame(b'"', TEXT, final=False))
            sent = 0
            try:
                while sent < 4 * FRAME_LIMIT:
                    await socket.send(frame(b"x", CONTINUATION, final=False) * 4096)
                    sent += 4096
            except ConnectionError:
                pass
            assert await socket.close_code() in (0, 1009)
        await target.assert_in_good_health()

    async def test_of_bad_frames_is_answered_twenty_times(self, target: Target) -> None:
        async with raw_socket(target.process.host_and_port) as socket:
            await socket.send(frame(b"{") * 5000)
            assert await socket.close_code() == 1008
        await target.assert_in_good_health()

    @pytest.mark.parametrize("unit", [b"[", b"[]", b'{"a":'])
    @pytest.mark.parametrize("opcode", [TEXT, BINARY])
    async def test_of_brackets_holds_nobody_else_up(self, target: Target, unit: bytes, opcode: int) -> None:
        wide = unit * (FRAME_LIMIT // len(unit) - 1) if opcode == TEXT else b"\x90" * (FRAME_LIMIT - 1)
        async with raw_socket(target.process.host_and_port) as socket:
            await socket.send(frame(wide, opcode) * 20)
            await target.assert_in_good_health()
            assert await socket.close_code(30) == 1008


class TestLies:
    """Heads of frames that say what is not so."""

    @pytest.mark.parametrize("announced", [FRAME_LIMIT + 1, 1 << 31, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
    async def test_a_frame_that_says_it_is_huge_is_not_waited_for(self, target: Target, announced: int) -> None:
        async with raw_socket(target.process.host_and_port) as socket:
            await socket.send(frame(b"x" * 1000, announced=announced))
            assert await socket.close_code() in (1002, 1009)
        await target.assert_in_good_health()

    @pytest.mark.parametrize(
        "data",
        [
            bytes([0x80 | 3, 0x80, 0, 0, 0, 0]),
            bytes([0xC1, 0x80, 0, 0, 0, 0]),
            bytes([0xF1, 0x80, 0, 0, 0, 0]),
            frame(b"x", CONTINUATION),
            frame(b"x", TEXT, final=False) + frame(b"x", TEXT),
            frame(b"x" * 126, PING),
            frame(b"x", PING, final=False),
            frame(b"\x03", 8),
            frame(b"\x00\x01", 8),
        ],
        ids=lambda data: data[:8].hex(),
    )
    async def test_what_the_protocol_does_not_have_closes_the_socket(self, target: Target, data: bytes) -> None:
        async with raw_socket(target.process.host_and_port) as socket:
            await socket.send(data)
            assert await socket.close_code() in (1002, 1007)
        await target.assert_in_good_health()

    async def test_half_a_frame_and_a_rude_end_leave_nothing_behind(self, target: Target) -> None:
        for size in range(1, 20):
            async with raw_socket(target.process.host_and_port) as socket:
                await socket.send(frame(b'{"type": "ping"}')[:size])
        await target.assert_in_good_health()


class TestLimits:
    """Where rates are switched on."""

    async def test_frames_too_fast_get_one_error_and_the_socket_closes(self, limited: Target) -> None:
        async with raw_socket(limited.process.host_and_port) as socket:
            await socket.send(frame(b'{"type": "ping"}') * 5000)
            seen: list[dict[str, object]] = []
            async with asyncio.timeout(20):
                while (received := await socket.receive())[0] == TEXT:
                    seen.append(json.loads(received[1]))
            assert int.from_bytes(received[1][:2], "big") == 4429
            assert [each["code"] for each in seen if each["type"] == "error"] == ["rate_limited"]
            assert seen[-1]["type"] == "error"
        await limited.assert_in_good_health()

    async def test_sockets_beyond_the_limit_are_refused_and_the_others_go_on(self, limited: Target) -> None:
        sockets = []
        for _ in range(20):
            sockets.append(await limited.http.ws_connect("/sync/v1/live"))  # noqa: PERF401  # one after the other
        for _ in range(5):
            with pytest.raises(WSServerHandshakeError, match="429"):
                await limited.http.ws_connect("/sync/v1/live")
        await sockets[0].send_json({"type": "hello"})
        assert (await sockets[0].receive_json(timeout=5))["type"] == "welcome"
        for socket in sockets:
            await socket.close()
        await limited.assert_in_good_health()
