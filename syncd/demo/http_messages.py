"""HTTP/1.1 messages read whole from a stream: just enough for a proxy to look into what it passes on (RFC 9112).

Knows nothing of what the messages are about. Bytes are kept as they came.
"""

from __future__ import annotations

import asyncio
import sys
import zlib
from dataclasses import dataclass

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["Message", "MessageError", "read_message", "zstd"]


class MessageError(ValueError):
    """Bytes that are not an HTTP/1.1 message."""


@dataclass(frozen=True, slots=True)
class Message:
    """A request or a response. `raw`: all of it, as it came. `body`: without framing, still in its content coding."""

    start: str
    headers: dict[str, str]
    raw: bytes
    body: bytes

    @property
    def target(self) -> str:
        """The path of a request, without its query."""
        return self.start.split(" ")[1].partition("?")[0]

    @property
    def status(self) -> int:
        """The status of a response."""
        return int(self.start.split(" ")[1])

    @property
    def last(self) -> bool:
        """Whether the connection closes after it."""
        return self.headers.get("connection", "").lower() == "close"

    def content(self) -> bytes:
        """The body, decoded."""
        coding = self.headers.get("content-encoding", "identity").lower()
        if coding == "identity":
            return self.body
        if coding in ("gzip", "deflate"):
            return zlib.decompress(self.body, wbits=zlib.MAX_WBITS | 32)
        if coding == "zstd":
            return zstd.decompress(self.body)
        raise MessageError(f"a content coding that this proxy does not read: {coding}")


async def read_message(reader: asyncio.StreamReader) -> Message | None:
    """The next message, or None where the stream ends between two; raises `MessageError`, or what the stream raises."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as ended:
        if not ended.partial:
            return None
        raise
    start, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise MessageError(f"not a header: {line[:80]!r}")
        headers[name.strip().lower()] = value.strip()
    if start.count(" ") < 2 and not start.startswith("HTTP/1.1 "):
        raise MessageError(f"neither a request nor a response: {start[:80]!r}")
    if headers.get("transfer-encoding", "").lower() == "chunked":
        framed, body = await _read_chunks(reader)
    else:
        framed = body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Message(start, headers, head + framed, body)


async def _read_chunks(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    framed, body = bytearray(), bytearray()
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.partition(b";")[0], 16)
        chunk = await reader.readexactly(size + 2)
        framed += line + chunk
        if size == 0:
            return bytes(framed), bytes(body)
        body += chunk[:-2]
