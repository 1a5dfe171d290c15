"""What goes out on one live socket: answers, and the frames that wait for it in the engine.

No task stands by for a socket that says nothing. A frame goes out the moment it is put into the queue, in the framing
that all sockets share; while its peer is slow, frames stay in the queue, which is bounded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from aiohttp import WSMsgType, web

from syncd.engine.connection import Connection, LiveFrame

__all__ = ["Framing", "Outlet", "framed"]

_SHORT: Final = 126
_LONG: Final = 1 << 16


class Framing:
    """The same frame goes to thousands of sockets, one after the other: it is put into a WebSocket frame once."""

    def __init__(self) -> None:
        self._last: dict[WSMsgType, tuple[LiveFrame, bytes]] = {}

    def of(self, frame: LiveFrame, kind: WSMsgType) -> bytes:
        """What goes over the line for it."""
        known = self._last.get(kind)
        if known is not None and known[0] is frame:
            return known[1]
        whole = framed(frame.body, kind)
        self._last[kind] = (frame, whole)
        return whole


class Outlet:
    """`connection`: whose frames go out, once it is there. `patience_s`: how long a peer may read nothing; then
    `abort` is called. `fail`: told of whatever goes wrong in making or sending a frame."""

    __slots__ = (
        "_abort",
        "_connection",
        "_fail",
        "_framing",
        "_held",
        "_patience_s",
        "_protocol",
        "_request",
        "_slow",
        "_socket",
        "kind",
    )

    def __init__(
        self,
        request: web.Request,
        socket: web.WebSocketResponse[bool],
        framing: Framing,
        patience_s: float,
        abort: Callable[[], None],
        fail: Callable[[], None],
    ) -> None:
        self.kind = WSMsgType.TEXT
        self._request = request
        self._protocol = request.protocol
        self._socket = socket
        self._framing = framing
        self._patience_s = patience_s
        self._abort = abort
        self._fail = fail
        self._connection: Connection | None = None
        self._held = False
        self._slow: asyncio.Task[None] | None = None

    def open(self, connection: Connection) -> None:
        """From now on its frames go out."""
        self._connection = connection
        connection.at_once = self._pass
        connection.on_ready = self._flush

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Within, answers only: no delta may overtake the one that says what it follows."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
            self._flush()

    async def send(self, body: bytes) -> None:
        """Send an answer. Waits while the peer is slow; raises `ConnectionResetError` if it has gone."""
        await self._wait()
        self._write(framed(body, self.kind))
        await self._wait()

    async def pong(self, data: bytes) -> None:
        """Answer a ping (RFC 6455, section 5.5.3). Waits as `send` does: who pings and never reads is not served."""
        await self._wait()
        self._write(framed(data, WSMsgType.PONG))
        await self._wait()

    async def close(self) -> None:
        """Nothing goes out any more."""
        if self._connection is not None:
            self._connection.at_once = self._connection.on_ready = None
        if self._slow is not None:
            self._slow.cancel()
            await asyncio.wait([self._slow])

    def _pass(self, frame: LiveFrame) -> bool:
        """Send a frame that has not come to wait, if it may go."""
        if self._held or self._slow is not None:
            return False
        protocol = self._protocol
        transport = protocol.transport
        # Who has gone is noticed by the reader, too, who ends the conversation.
        if transport is not None and not transport.is_closing() and not self._socket.closed:
            try:
                transport.write(self._framing.of(frame, self.kind))
            except Exception:
                self._fail()
            else:
                if protocol.writing_paused:
                    self._pause()
        return True

    def _flush(self) -> None:
        """Send what waits, as far as the peer reads."""
        if self._held or self._slow is not None or self._connection is None:
            return
        try:
            while (frame := self._connection.next()) is not None:
                self._write(self._framing.of(frame, self.kind))
                if self._protocol.writing_paused:
                    self._pause()
                    return
        except ConnectionError:
            # The reader notices too, and ends the conversation.
            pass
        except Exception:
            self._fail()

    def _write(self, whole: bytes) -> None:
        transport = self._protocol.transport
        # Behind a close frame there is no other (RFC 6455, section 5.5.1).
        if transport is None or transport.is_closing() or self._socket.closed:
            raise ConnectionResetError("the peer has gone")
        transport.write(whole)

    async def _wait(self) -> None:
        if self._slow is None and self._protocol.writing_paused:
            self._pause()
        if self._slow is not None:
            await asyncio.wait([self._slow])

    def _pause(self) -> None:
        self._slow = asyncio.create_task(self._until_it_reads(), name="live-slow-peer")

    async def _until_it_reads(self) -> None:
        try:
            async with asyncio.timeout(self._patience_s):
                await self._request.writer.drain()
        except TimeoutError:
            # Meanwhile the engine's queue has filled up and said "pull"; a peer that reads nothing at all is dead.
            self._abort()
            return
        except ConnectionError:
            return
        self._slow = None
        self._flush()


def framed(body: bytes, kind: WSMsgType) -> bytes:
    """A whole frame, as servers send them: unmasked (RFC 6455, section 5.2)."""
    size = len(body)
    first = 0x80 | kind
    if size < _SHORT:
        return b"%c%c%b" % (first, size, body)
    if size < _LONG:
        return b"%c%c%b%b" % (first, 126, size.to_bytes(2, "big"), body)
    return b"%c%c%b%b" % (first, 127, size.to_bytes(8, "big"), body)
