"""A driver for HTTP servers that costs little itself: requests written beforehand, answers parsed by httptools."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httptools

__all__ = ["Answer", "Connection", "connections", "request_bytes"]


@dataclass(slots=True)
class Answer:
    """What came back. `size`: bytes of the body as they went over the wire, chunks' frames left out."""

    status: int = 0
    body: bytes = b""
    size: int = 0
    first_s: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)


def request_bytes(
    method: str, port: int, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> bytes:
    """A whole request with `body`, of JSON unless `headers` say otherwise."""
    lines = {"Host": f"127.0.0.1:{port}", "Content-Type": "application/json", "Accept": "application/json"}
    lines |= {"Content-Length": str(len(body))} if body or method != "GET" else {}
    lines |= headers or {}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


class Connection(asyncio.Protocol):
    """One kept-alive connection, one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Answer] | None = None
        self._answer = Answer()
        self._parts: list[bytes] = []
        self._keeps = True
        self._sent_at = 0.0
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)

    async def ask(self, request: bytes, *, keeps: bool = True) -> Answer:
        """Send it; the answer. With `keeps` False its body is counted and dropped. Raises `ConnectionError`."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionError("the server has closed the connection")
        self._waiter = self._loop.create_future()
        self._answer, self._parts, self._keeps = Answer(), [], keeps
        self._sent_at = self._loop.time()
        self._transport.write(request)
        return await self._waiter

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if not self._answer.first_s:
            self._answer.first_s = self._loop.time() - self._sent_at
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(ConnectionError(f"the connection was lost: {exc or 'closed by the server'}"))

    # httptools

    def on_header(self, name: bytes, value: bytes) -> None:
        self._answer.headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self._answer.size += len(body)
        if self._keeps:
            self._parts.append(body)

    def on_message_complete(self) -> None:
        self._answer.status = self._parser.get_status_code()
        if self._answer.status == 100:
            return
        self._answer.body = b"".join(self._parts)
        waiter, self._waiter = self._waiter, None
        self._parser = httptools.HttpResponseParser(self)
        if waiter is not None and not waiter.done():
            waiter.set_result(self._answer)


@asynccontextmanager
async def connections(port: int, count: int = 1) -> AsyncIterator[Sequence[Connection]]:
    """So many connections to one server."""
    loop = asyncio.get_running_loop()
    made: list[Connection] = []
    try:
        for _ in range(count):
            _, protocol = await loop.create_connection(Connection, "127.0.0.1", port)
            made.append(protocol)
        yield made
    finally:
        for connection in made:
            connection.close()
