"""A phone's signal: the one way from it to the server, which comes, goes, and fails at the worst moment.

A small proxy. It passes bytes on as they are, and looks into one kind of message only: the server's replies to pushes,
which go into the journal before the phone hears them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

from syncd.demo.http_messages import Message, MessageError, read_message
from syncd.demo.journal import Journal, acknowledgements

__all__ = ["Signal"]

_PUSH = "/sync/v1/push"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_LOST = (OSError, EOFError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, MessageError)


@dataclass(frozen=True, slots=True)
class _Ambush:
    """What is to happen at the moment when the server has acknowledged and the phone does not know it yet."""

    then: Callable[[], None]
    heard: bool
    done: asyncio.Future[int]


class Signal:
    """The signal of the phone called `phone`, between its own local port and the server's.

    `server_port` is asked at every new connection, so that the server may move or be away.
    """

    def __init__(self, phone: str, server_port: Callable[[], int], journal: Journal) -> None:
        self.phone = phone
        self._server_port = server_port
        self._journal = journal
        self._socket = _reserve(0)
        self._port: int = self._socket.getsockname()[1]
        self._listener: asyncio.Server | None = None
        self._up = False
        self._connections: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}
        self._ambush: _Ambush | None = None
        self._deaf = False

    @property
    def url(self) -> str:
        """What the phone takes for the server."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def up(self) -> bool:
        """Whether the phone can reach the server, as far as the signal goes."""
        return self._listener is not None

    async def restore(self) -> None:
        """Let connections through."""
        if self._listener is None:
            self._up = True
            self._listener = await asyncio.start_server(self._accept, sock=self._socket)

    def cut(self) -> None:
        """Reset every connection and refuse new ones; nothing that is under way arrives."""
        if self._listener is None:
            return
        self._listener.close()
        self._listener = None
        self._up = False
        self._deaf = False
        for writer in list(self._connections):
            _reset(writer)
        # Bound and not listening: connections are refused, and nobody else gets the port.
        self._socket = _reserve(self._port)

    def at_next_acknowledgement(self, then: Callable[[], None] | None = None, *, heard: bool) -> asyncio.Future[int]:
        """Call `then` between the server's next acknowledgement and the phone's hearing of it.

        Where it is not `heard`, the signal is cut in that moment. The future tells how many changes it was about.
        """
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._ambush = _Ambush(then or (lambda: None), heard, done)
        return done

    async def close(self) -> None:
        """Cut it for good, and wait until every connection is gone."""
        self.cut()
        self._socket.close()
        tasks = list(self._connections.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._up:
            # The listener had taken it before the cut, and hands it over only now.
            _reset(writer)
            return
        task = asyncio.create_task(self._serve(reader, writer), name=f"signal-{self.phone}")
        self._connections[writer] = task

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._server_port())
            try:
                await self._pass_on(reader, writer, server_reader, server_writer)
            finally:
                server_writer.close()
        except _LOST:
            pass  # The signal or the server went away: that is what the demo is about, and the SDK's to get over.
        finally:
            del self._connections[writer]
            writer.close()

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        server_reader: asyncio.StreamReader,
        server_writer: asyncio.StreamWriter,
    ) -> None:
        while (request := await read_message(reader)) is not None:
            if request.target == _PUSH and self._ambush is not None and not self._ambush.heard:
                # Nor may the phone learn by a delta or a page that its changes have arrived.
                self._deaf = True
            server_writer.write(request.raw)
            response = await read_message(server_reader)
            if response is None or not self._witness(request, response, connected=not writer.is_closing()):
                return
            writer.write(response.raw)
            await writer.drain()
            if response.status == 101:
                await self._pass_both_ways(reader, writer, server_reader, server_writer)
                return
            if request.last or response.last:
                return

    async def _pass_both_ways(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        server_reader: asyncio.StreamReader,
        server_writer: asyncio.StreamWriter,
    ) -> None:
        """A WebSocket: bytes each way until either side ends."""
        ways = [
            asyncio.create_task(_pump(reader, server_writer, lambda: False)),
            asyncio.create_task(_pump(server_reader, writer, lambda: self._deaf)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    def _witness(self, request: Message, response: Message, *, connected: bool) -> bool:
        """Journal what the response acknowledges; whether it may go on to the phone, if that is still `connected`."""
        if request.target != _PUSH or response.status != 200:
            return connected and not self._deaf
        ambush = self._ambush
        acknowledged = acknowledgements(
            self.phone,
            json.loads(request.content()),
            json.loads(response.content()),
            heard=connected and (ambush is None or ambush.heard),
        )
        settled = sum(entry.settles for entry in acknowledged)
        self._journal.add(acknowledged)
        if ambush is None or settled == 0:
            self._deaf = False
            return connected
        self._ambush = None
        ambush.then()
        if not ambush.heard:
            self.cut()
        ambush.done.set_result(settled)
        return connected and ambush.heard


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, deaf: Callable[[], bool]) -> None:
    while data := await reader.read(65536):
        if deaf():
            return
        writer.write(data)
        await writer.drain()


def _reserve(port: int) -> socket.socket:
    """A socket bound to the port and not listening; 0 takes a free one."""
    reserved = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(("127.0.0.1", port))
    reserved.setblocking(False)
    return reserved


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection as a lost signal does: at once, without a word."""
    peer = writer.get_extra_info("socket")
    if peer is not None:
        with contextlib.suppress(OSError):
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()
