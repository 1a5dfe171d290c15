"""Bodies made to be expensive: too large, too deep, too wide, and bombs; against one server, which stays as it is."""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
import time
import zlib
from collections.abc import AsyncIterator

import msgpack
import pytest
import pytest_asyncio

from tests.support.attack import PULL, PUSH, Target, create, under_attack
from tests.support.memory_of import peak_bytes
from tests.support.raw_http import request_bytes, send_raw

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 1 << 20
LIMIT = MIB
"""`max_body_bytes`, by default."""
ROOM = 128 * MIB
"""That the server may need besides, at most, whatever comes: a bomb unfolds to eight times as much."""
BOMB = 1024 * MIB
PACKED = {"Content-Type": "application/msgpack", "Accept": "application/json"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def target(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Target]:
    async with under_attack(tmp_path_factory.mktemp("bodies") / "club.db") as target:
        await target.assert_in_good_health()
        before = peak_bytes(target.process.pid)
        yield target
        assert peak_bytes(target.process.pid) - before < ROOM


def gzip_bomb(size: int) -> bytes:
    """`size` blanks, as gzip members go: about a thousandth of it."""
    packer = zlib.compressobj(9, wbits=31)
    return b"".join([packer.compress(b" " * MIB) for _ in range(size // MIB)]) + packer.flush()


def zstd_bomb(size: int) -> bytes:
    packer = zstd.ZstdCompressor(level=3)
    return b"".join([packer.compress(b" " * MIB) for _ in range(size // MIB)]) + packer.flush()


class TestTooLarge:
    """More than `max_body_bytes`."""

    @pytest.mark.parametrize("path", [PUSH, PULL, "/sync/v1/documents", "/sync/v1/conflicts/settle"])
    async def test_announced_it_is_refused_before_it_comes(self, target: Target, path: str) -> None:
        head = request_bytes(b"", path).replace(b"Content-Length: 0", b"Content-Length: 10000000000")
        answer = await send_raw(target.process.host_and_port, head)
        assert (answer.status, answer.problem["code"]) == (413, "too_large")
        await target.assert_in_good_health()

    async def test_in_chunks_it_is_refused_on_the_way(self, target: Target) -> None:
        head = request_bytes(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
        answer = await send_raw(target.process.host_and_port, head + chunk * 40)
        assert (answer.status, answer.problem["code"]) == (413, "too_large")
        await target.assert_in_good_health()

    @pytest.mark.parametrize("size", ["10000000000000000", "f" * 15, "7fffffffffffffff"])
    async def test_a_chunk_that_says_it_is_huge_is_not_believed(self, target: Target, size: str) -> None:
        head = request_bytes(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        answer = await send_raw(target.process.host_and_port, head + f"{size}\r\n".encode() + b" " * (LIMIT + 65_536))
        assert (answer.status, answer.problem["code"]) in (
            (413, "too_large"),
            (400, "malformed_http"),
            (400, "invalid_body"),
        )
        await target.assert_in_good_health()

    async def test_a_hundred_at_once_are_refused_all(self, target: Target) -> None:
        body = b" " * (2 * LIMIT)
        answers = await asyncio.gather(*(target.send(PUSH, body) for _ in range(100)))
        assert {(status, answer["code"]) for status, answer in answers} == {(413, "too_large")}
        await target.assert_in_good_health()


class TestBombs:
    """A few bytes that unfold to many."""

    @pytest.mark.parametrize("encoding", ["gzip", "zstd"])
    async def test_it_is_not_unfolded_beyond_the_limit(self, target: Target, encoding: str) -> None:
        bomb = gzip_bomb(BOMB) if encoding == "gzip" else zstd_bomb(BOMB)
        assert len(bomb) < 1.1 * LIMIT
        bomb = bomb if len(bomb) <= LIMIT else gzip_bomb(BOMB // 2)
        started = time.monotonic()
        status, answer = await target.send(
            PUSH, bomb, {"Content-Type": "application/json", "Content-Encoding": encoding}
        )
        assert (status, answer["code"]) == (413, "too_large")
        assert time.monotonic() - started < 10
        await target.assert_in_good_health()

    @pytest.mark.parametrize("encoding", ["gzip", "zstd"])
    async def test_a_bomb_within_a_bomb_is_unfolded_once(self, target: Target, encoding: str) -> None:
        pack = gzip.compress if encoding == "gzip" else zstd.compress
        nested = pack(pack(gzip_bomb(64 * MIB)))
        status, answer = await target.send(
            PUSH, nested, {"Content-Type": "application/json", "Content-Encoding": encoding}
        )
        assert status == 400
        assert answer["code"] in ("invalid_utf8", "invalid_json")
        both = {"Content-Type": "application/json", "Content-Encoding": f"{encoding}, {encoding}"}
        assert (await target.send(PUSH, nested, both))[1]["code"] == "unsupported_media_type"
        await target.assert_in_good_health()

    @pytest.mark.parametrize("encoding", ["gzip", "zstd"])
    async def test_members_that_are_each_small_enough_are_not_joined(self, target: Target, encoding: str) -> None:
        pack = gzip.compress if encoding == "gzip" else zstd.compress
        members = pack(b" " * (LIMIT // 2)) * 900
        headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
        status, answer = await target.send(PUSH, members[:LIMIT], headers)
        assert (status, answer["code"]) == (400, "invalid_encoding")
        await target.assert_in_good_health()

    async def test_a_window_larger_than_any_body_is_not_set_up(self, target: Target) -> None:
        options = {zstd.CompressionParameter.window_log: 27, zstd.CompressionParameter.content_size_flag: 0}
        packer = zstd.ZstdCompressor(options=options)
        body = packer.compress(b" " * MIB) + packer.flush()
        headers = {"Content-Type": "application/json", "Content-Encoding": "zstd"}
        status, answer = await target.send(PUSH, body, headers)
        assert (status, answer["code"]) == (400, "invalid_encoding")

    @pytest.mark.parametrize("cut", [1, 10, 100, 500])
    async def test_one_that_breaks_off_is_refused(self, target: Target, cut: int) -> None:
        for encoding, bomb in (("gzip", gzip_bomb(MIB // 2 * 2)), ("zstd", zstd_bomb(MIB))):
            headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
            status, answer = await target.send(PUSH, bomb[:-cut] or bomb[:1], headers)
            assert (status, answer["code"]) in ((400, "invalid_encoding"), (413, "too_large"))

    @pytest.mark.parametrize("unit", [b"[", b"[]", b"{}", b'{"a":', b'[{"":'])
    async def test_one_of_brackets_is_answered_and_others_are_meanwhile(self, target: Target, unit: bytes) -> None:
        bomb = zstd.compress(unit * ((LIMIT - 1) // len(unit)))
        assert len(bomb) < 1000
        headers = {"Content-Type": "application/json", "Content-Encoding": "zstd"}
        attacks = [asyncio.create_task(target.send(PUSH, bomb, headers)) for _ in range(4)]
        await target.assert_in_good_health()
        for status, answer in await asyncio.gather(*attacks):
            assert (status, answer["code"]) == (400, "invalid_json")


class TestDeepAndWide:
    """What is small to send and large to hold."""

    @pytest.mark.parametrize("depth", [33, 65, 1000, 10_000, 400_000])
    async def test_in_json_it_touches_its_own_change_only(self, target: Target, depth: int) -> None:
        replica = target.new_replica()
        deep = b"[" * depth + b"]" * depth
        envelope = json.dumps(
            {
                "replica": replica,
                "changes": [
                    create(1, f"deep-{depth}", "deep", fields={"v": "HERE"}),
                    create(2, f"good-{depth}", "deep"),
                ],
            }
        ).encode()
        status, answer = await target.send(PUSH, envelope.replace(b'"HERE"', deep))
        assert status == 200
        assert [(each["outcome"], each.get("code")) for each in answer["outcomes"]] == [
            ("rejected", "too_deep"),
            ("applied", None),
        ]

    @pytest.mark.parametrize("depth", [33, 65, 500])
    async def test_in_message_pack_too(self, target: Target, depth: int) -> None:
        replica = target.new_replica()
        envelope = msgpack.packb(
            {"replica": replica, "changes": [create(1, f"deeper-{depth}", "deep", fields={"v": "HERE"})]}
        )
        status, answer = await target.send(PUSH, envelope.replace(b"\xa4HERE", b"\x91" * depth + b"\x90"), PACKED)
        assert (status, answer["outcomes"][0]["code"]) == (200, "too_deep")

    @pytest.mark.parametrize(
        "body",
        [
            b"\x91" * (LIMIT - 1) + b"\x90",
            b"\x81\xa0" * (LIMIT // 2 - 1) + b"\x90",
            b"\xdd\xff\xff\xff\xff" * 1000,
            b"\xdf\xff\xff\xff\xff" * 1000,
            b"\xdb\xff\xff\xff\xff",
            b"\xc6\xff\xff\xff\xff" + b"x" * 100,
            b"\xdd" + (LIMIT - 8).to_bytes(4, "big") + b"\x90" * (LIMIT - 8),
            b"\xdd" + (LIMIT - 8).to_bytes(4, "big") + b"\x80" * (LIMIT - 8),
        ],
        ids=lambda body: body[:6].hex(),
    )
    async def test_message_pack_that_promises_more_than_it_brings_is_refused(self, target: Target, body: bytes) -> None:
        status, answer = await target.send(PUSH, body, PACKED)
        assert status == 400
        assert answer["code"] in ("invalid_msgpack", "invalid_message")
        await target.assert_in_good_health()

    @pytest.mark.parametrize(
        "value",
        [
            b"[" + b"[]," * 300_000 + b"[]]",
            b"[" + b"0," * 500_000 + b"0]",
            b"{" + b",".join(b'"%d":0' % n for n in range(90_000)) + b"}",
            b"1" * 1_000_000,
            b"-0." + b"1" * 1_000_000,
            b"1e" + b"9" * 1_000_000,
            b'"' + b"\\u0041" * 150_000 + b'"',
        ],
        ids=lambda value: repr(value[:12]),
    )
    async def test_a_field_as_large_as_a_body_is_kept_if_what_it_says_is_small_and_else_refused_by_itself(
        self, target: Target, value: bytes
    ) -> None:
        replica = target.new_replica()
        envelope = json.dumps(
            {"replica": replica, "changes": [create(1, f"wide-{replica}", "wide", fields={"v": "HERE"})]}
        ).encode()
        status, answer = await target.send(PUSH, envelope.replace(b'"HERE"', value))
        assert status == 200, answer
        fits = value.startswith((b"-0.", b'"'))
        assert answer["outcomes"][0]["outcome"] == ("applied" if fits else "rejected")
        await target.assert_in_good_health()
