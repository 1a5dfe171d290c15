"""A network between replicas and a server that loses what the test wants lost: real TCP, request by request.

network.cut() / network.heal()          no signal; every connection breaks
network.fates.append(Fate.LOSE_REPLY)   what happens to the next push or pull
network.fate_of = lambda request: …     the same as a function, once `fates` is used up
network.late                            requests that were held back; `await network.deliver(request)` lets one arrive
network.requests                        what was sent, in order
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

__all__ = ["Fate", "LossyNetwork", "Request", "lossy_network"]


class Fate(Enum):
    """What becomes of a request."""

    PASS = auto()
    LOSE = auto()
    """It never arrives."""
    LOSE_REPLY = auto()
    """It arrives and is answered, and the answer gets lost."""
    HOLD = auto()
    """The connection breaks, and the request arrives later."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, as it went over the wire."""

    path: str
    raw: bytes

    @property
    def json(self) -> Any:
        """Its body."""
        return json.loads(self.raw.partition(b"\r\n\r\n")[2] or b"null")

    @property
    def what(self) -> str:
        """`push`, `pull` or `live`."""
        return self.path.rsplit("/", 1)[-1]


class LossyNetwork:
    """Listens on `url`, forwards to whatever listens at `target_port`."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.fates: deque[Fate] = deque()
        self.fate_of: Callable[[Request], Fate] = lambda request: Fate.PASS
        self.requests: list[Request] = []
        self.late: list[Request] = []
        self.url = ""
        self._up = True
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._pipes: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """No signal: every connection breaks, and new ones are not answered."""
        self._up = False
        self._break_all()

    @property
    def up(self) -> bool:
        """Whether there is a signal."""
        return self._up

    def heal(self) -> None:
        """The signal is back."""
        self._up = True

    def break_live(self) -> None:
        """Every connection breaks once, live ones too; new ones succeed."""
        self._break_all()

    def pushes(self) -> list[Any]:
        """The bodies of all pushes that were sent."""
        return [request.json for request in self.requests if request.what == "push"]

    async def deliver(self, request: Request) -> bytes:
        """Let a request that was held back arrive; returns the head of its answer."""
        self.late.remove(request)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        try:
            writer.write(request.raw)
            return await reader.readuntil(b"\r\n\r\n")
        finally:
            await _close(writer)

    async def start(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Break everything and stop listening."""
        self.cut()
        assert self._server is not None
        self._server.close()
        while self._connections:
            await asyncio.wait(self._connections)
        await self._server.wait_closed()

    def _break_all(self) -> None:
        for writer in self._pipes:
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        self._pipes.add(writer)
        try:
            if self._up:
                await self._converse(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()
            self._pipes.discard(writer)
            self._connections.discard(task)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
        self._pipes.add(server_writer)
        try:
            while (request := await _read_request(reader)) is not None:
                self.requests.append(request)
                if request.what == "live":
                    server_writer.write(request.raw)
                    await _pipe_both(reader, writer, server_reader, server_writer)
                    return
                fate = self.fates.popleft() if self.fates else self.fate_of(request)
                if fate is Fate.HOLD:
                    self.late.append(request)
                if fate in (Fate.LOSE, Fate.HOLD):
                    return
                server_writer.write(request.raw)
                reply = await _read_message(server_reader)
                if fate is Fate.LOSE_REPLY or not reply:
                    return
                writer.write(reply)
                await writer.drain()
        finally:
            self._pipes.discard(server_writer)
            server_writer.transport.abort()


@asynccontextmanager
async def lossy_network(target_port: int) -> AsyncIterator[LossyNetwork]:
    """A network to the server at `target_port`."""
    network = LossyNetwork(target_port)
    await network.start()
    try:
        yield network
    finally:
        await network.stop()


async def _read_request(reader: asyncio.StreamReader) -> Request | None:
    raw = await _read_message(reader)
    return Request(raw.split(b" ", 2)[1].decode(), raw) if raw else None


async def _read_message(reader: asyncio.StreamReader) -> bytes:
    """One HTTP message with a Content-Length or without a body; empty at the end of the stream."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            length = int(value)
    return head + await reader.readexactly(length)


async def _pipe_both(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    server_reader: asyncio.StreamReader,
    server_writer: asyncio.StreamWriter,
) -> None:
    """Bytes both ways until either side ends."""
    pipes = [
        asyncio.create_task(_pipe(reader, server_writer)),
        asyncio.create_task(_pipe(server_reader, writer)),
    ]
    try:
        await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for pipe in pipes:
            pipe.cancel()
        await asyncio.gather(*pipes, return_exceptions=True)


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
