"""The proxy reads messages whole, keeps their bytes, and can look into them."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable

import pytest

from syncd.demo.http_messages import MessageError, read_message, zstd


def stream(data: bytes) -> asyncio.StreamReader:
    """A stream that holds `data` and then ends."""
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return reader


async def test_a_request_with_a_body_is_read_to_its_end_and_no_further() -> None:
    first = b"POST /sync/v1/push?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n{  }"
    reader = stream(first + b"GET / HTTP/1.1\r\n\r\n")

    message = await read_message(reader)
    following = await read_message(reader)

    assert message is not None
    assert (message.raw, message.target, message.body) == (first, "/sync/v1/push", b"{  }")
    assert following is not None
    assert following.target == "/"
    assert await read_message(reader) is None


async def test_a_chunked_response_is_put_together_and_passed_on_as_it_came() -> None:
    raw = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\n{"a\r\n4\r\n": 1\r\n1\r\n}\r\n0\r\n\r\n'

    message = await read_message(stream(raw))

    assert message is not None
    assert (message.raw, message.status, message.content()) == (raw, 200, b'{"a": 1}')


@pytest.mark.parametrize(("coding", "compress"), [("gzip", gzip.compress), ("zstd", zstd.compress)])
async def test_a_compressed_body_can_be_looked_into(coding: str, compress: Callable[[bytes], bytes]) -> None:
    body = compress(b"{}")
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n".encode()

    message = await read_message(stream(head + body))

    assert message is not None
    assert message.content() == b"{}"


@pytest.mark.parametrize("head", [b"hello\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n"])
async def test_what_is_not_http_is_named_so(head: bytes) -> None:
    with pytest.raises(MessageError):
        await read_message(stream(head))


async def test_a_message_that_breaks_off_is_not_taken_for_a_whole_one() -> None:
    with pytest.raises(asyncio.IncompleteReadError):
        await read_message(stream(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n{"))
