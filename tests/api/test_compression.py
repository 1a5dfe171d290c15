"""Compressed bodies: smaller answers for who can read them, smaller requests, and no bomb that goes off."""

from __future__ import annotations

import gzip
import json
import os
import time
import tracemalloc
import zlib

import msgpack
import pytest

from syncd.api.compression import MIN_COMPRESSED_BYTES, unpack, zstd
from syncd.errors import InvalidMessage, TooLarge, UnsupportedMedia
from tests.api.conftest import Api, OpenApi, create, problem_of

PUSH, PULL = "/sync/v1/push", "/sync/v1/pull"
JSON = {"Content-Type": "application/json"}
COMPRESS = {"gzip": gzip.compress, "x-gzip": gzip.compress, "GZIP": gzip.compress, "zstd": zstd.compress}
UNPACK = {None: bytes, "gzip": gzip.decompress, "zstd": zstd.decompress}


async def answer(api: Api, accept: str | None, url: str = PULL, **headers: str) -> tuple[str | None, bytes, bytes]:
    """How the answer to a pull of everything is encoded, how it comes, and what it is."""
    if accept is not None:
        headers["Accept-Encoding"] = accept
    response = await api.http.post(
        url,
        json={"scopes": {"main": None}, "limit_bytes": 1 << 20},
        headers=headers,
        skip_auto_headers=["Accept-Encoding"],
        auto_decompress=False,
    )
    assert response.status == 200
    assert "Accept-Encoding" in response.headers["Vary"].split(", ")
    coding = response.headers.get("Content-Encoding")
    raw = await response.read()
    assert int(response.headers["Content-Length"]) == len(raw)
    return coding, raw, UNPACK[coding](raw)


class TestAnswers:
    """What the server sends."""

    @pytest.mark.parametrize(
        ("accept", "coding"),
        [
            (None, None),
            ("", None),
            ("identity", None),
            ("br", None),
            ("deflate", None),
            ("gzip", "gzip"),
            ("GZip", "gzip"),
            ("zstd", "zstd"),
            ("gzip, deflate", "gzip"),
            ("gzip, deflate, br, zstd", "zstd"),
            ("zstd;q=0.5, gzip;q=0.8", "gzip"),
            ("zstd;q=0.8, gzip;q=0.8", "zstd"),
            ("gzip;q=1.0, identity;q=0.5", "gzip"),
            ("gzip;q=0.4, identity;q=0.5", None),
            ("gzip;q=0", None),
            ("gzip;q=0.000, zstd;q=0", None),
            ("*", "gzip"),
            ("*;q=0", None),
            ("gzip;q=0, *", None),
            ("gzip;q=two", None),
            (",;,;q=1,", None),
        ],
    )
    @pytest.mark.parametrize("size", [2_000, 200_000])
    async def test_an_answer_is_compressed_as_the_caller_likes_best(
        self, api: Api, accept: str | None, coding: str | None, size: int
    ) -> None:
        await api.push(create(1, "a", text="goal! " * (size // 6)))
        used, raw, body = await answer(api, accept)
        assert used == coding
        assert json.loads(body)["scopes"]["main"]["resources"][0]["id"] == "a"
        assert (len(raw) < len(body) / 2) is (coding is not None)

    async def test_a_small_answer_is_left_as_it_is(self, api: Api) -> None:
        coding, raw, _ = await answer(api, "zstd, gzip")
        assert (coding, len(raw) < MIN_COMPRESSED_BYTES) == (None, True)

    async def test_message_pack_is_compressed_too(self, api: Api) -> None:
        await api.push(create(1, "a", text="goal! " * 1000))
        coding, _, body = await answer(api, "zstd", Accept="application/msgpack")
        assert coding == "zstd"
        assert msgpack.unpackb(body)["scopes"]["main"]["resources"][0]["id"] == "a"

    async def test_what_cannot_be_made_smaller_comes_back_whole(self, api: Api) -> None:
        text = os.urandom(60_000).hex()
        await api.push(create(1, "a", text=text))
        for accept in ("gzip", "zstd"):
            _, _, body = await answer(api, accept)
            assert json.loads(body)["scopes"]["main"]["resources"][0]["fields"] == {"text": text}


class TestRequests:
    """What the server takes."""

    @pytest.mark.parametrize("encoding", COMPRESS)
    @pytest.mark.parametrize("size", [10, 300_000])
    @pytest.mark.parametrize("packed", [False, True])
    async def test_a_compressed_push_is_read(self, api: Api, encoding: str, size: int, packed: bool) -> None:
        # Random: it is large when compressed, too.
        text = os.urandom(size // 3).hex()
        message = {"replica": "r1", "changes": [create(1, "a", text=text)]}
        body = msgpack.packb(message) if packed else json.dumps(message).encode()
        headers = {
            "Content-Type": "application/msgpack" if packed else "application/json",
            "Accept": JSON["Content-Type"],
        }
        response = await api.http.post(
            PUSH, data=COMPRESS[encoding](body), headers={**headers, "Content-Encoding": encoding}
        )
        assert (await response.json())["outcomes"][0]["outcome"] == "applied"
        page = (await api.pull({"main": None}, limit_bytes=1 << 20))["scopes"]["main"]
        assert page["resources"][0]["fields"] == {"text": text}

    @pytest.mark.parametrize("encoding", ["gzip", "zstd"])
    async def test_a_bomb_is_refused_as_too_large(self, api: Api, encoding: str) -> None:
        bomb = COMPRESS[encoding](b"[" * 50_000_000)
        assert len(bomb) < 64_000
        response = await api.http.post(PUSH, data=bomb, headers={**JSON, "Content-Encoding": encoding})
        await problem_of(response, 413, "too_large")

    @pytest.mark.parametrize("encoding", ["gzip", "zstd"])
    async def test_the_limit_is_of_what_comes_out(self, open_api: OpenApi, encoding: str) -> None:
        api = await open_api(max_body_bytes=2000)
        empty = json.dumps({"scopes": {}}).encode()
        for size, status in ((2000, 200), (2001, 413)):
            body = COMPRESS[encoding](empty.ljust(size))
            async with api.http.post(PULL, data=body, headers={**JSON, "Content-Encoding": encoding}) as response:
                assert response.status == status, size

    @pytest.mark.parametrize("encoding", ["gzip", "zstd"])
    async def test_bad_data_is_refused_with_the_reason(self, api: Api, encoding: str) -> None:
        good = COMPRESS[encoding](json.dumps({"scopes": {}}).encode())
        for bad in (b"", b"{}", good[:-1], good[:10], good + b"x", good + good, b"\x00" + good[1:]):
            response = await api.http.post(PULL, data=bad, headers={**JSON, "Content-Encoding": encoding})
            problem = await problem_of(response, 400, "invalid_encoding")
            assert problem["field"] == "Content-Encoding"

    @pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, zstd", "gzip, gzip", "what ever"])
    async def test_another_encoding_is_not_read(self, api: Api, encoding: str) -> None:
        response = await api.http.post(PULL, data=b"{}", headers={**JSON, "Content-Encoding": encoding})
        problem = await problem_of(response, 415, "unsupported_media_type")
        assert "zstd" in problem["hint"]

    async def test_identity_is_no_encoding(self, api: Api) -> None:
        headers = {**JSON, "Content-Encoding": "identity"}
        async with api.http.post(PULL, data=b'{"scopes":{}}', headers=headers) as response:
            assert response.status == 200


class TestBombs:
    """What a hostile body costs."""

    @pytest.mark.parametrize("encoding", ["gzip", "zstd"])
    async def test_it_is_not_unpacked_beyond_the_limit(self, encoding: str) -> None:
        bomb = COMPRESS[encoding](bytes(200_000_000))
        tracemalloc.start()
        started = time.process_time()
        try:
            with pytest.raises(TooLarge):
                await unpack(bomb, encoding, 1 << 20)
            assert tracemalloc.get_traced_memory()[1] < 20_000_000
        finally:
            tracemalloc.stop()
        assert time.process_time() - started < 1

    async def test_a_window_larger_than_anybody_must_have_is_refused(self) -> None:
        options = {zstd.CompressionParameter.window_log: 27, zstd.CompressionParameter.checksum_flag: 1}
        compressor = zstd.ZstdCompressor(options=options)
        body = compressor.compress(b"x" * 1000) + compressor.flush()
        with pytest.raises(InvalidMessage, match="encoding"):
            await unpack(body, "zstd", 1 << 20)

    async def test_raw_deflate_is_not_gzip(self) -> None:
        with pytest.raises(InvalidMessage):
            await unpack(zlib.compress(b"{}"), "gzip", 1 << 20)
        with pytest.raises(UnsupportedMedia):
            await unpack(zlib.compress(b"{}"), "deflate", 1 << 20)

    async def test_any_bit_spoilt_is_noticed_or_makes_no_difference(self) -> None:
        body = json.dumps({"text": "goal! " * 20}).encode()
        checked = {zstd.CompressionParameter.checksum_flag: 1}
        for encoding, good in (("gzip", gzip.compress(body)), ("zstd", zstd.compress(body, options=checked))):
            noticed = 0
            for place in range(len(good)):
                for bit in range(8):
                    spoilt = good[:place] + bytes([good[place] ^ 1 << bit]) + good[place + 1 :]
                    try:
                        assert await unpack(spoilt, encoding, 1 << 16) == body
                    except (InvalidMessage, TooLarge):
                        noticed += 1
            assert noticed > len(good) * 4
