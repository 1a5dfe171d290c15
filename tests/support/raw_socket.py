"""A WebSocket made of bytes, for what no library would send (RFC 6455)."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

__all__ = ["BINARY", "CONTINUATION", "PING", "PONG", "TEXT", "RawSocket", "frame", "raw_socket"]

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
_MASK: Final = b"\x00\x00\x00\x00"


def frame(payload: bytes, opcode: int = TEXT, *, final: bool = True, announced: int | None = None) -> bytes:
    """A masked frame, by a mask of zeros. `announced`: the length in its head, if that is to be a lie."""
    size = len(payload) if announced is None else announced
    first = opcode | (0x80 if final else 0)
    if size < 126:
        return bytes([first, 0x80 | size]) + _MASK + payload
    if size < 1 << 16:
        return bytes([first, 0x80 | 126]) + size.to_bytes(2, "big") + _MASK + payload
    return bytes([first, 0x80 | 127]) + size.to_bytes(8, "big") + _MASK + payload


@dataclass
class RawSocket:
    """An open connection, after the handshake."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def send_until_refused(self, data: bytes, at_most_bytes: int, patience_s: float) -> int:
        """Send the same again and again, reading nothing, until the server takes no more; how much it took."""
        sent = 0
        try:
            async with asyncio.timeout(None) as patience:
                while sent < at_most_bytes:
                    patience.reschedule(asyncio.get_running_loop().time() + patience_s)
                    await self.send(data)
                    sent += len(data)
        except (TimeoutError, ConnectionError):
            pass
        return sent

    async def receive(self) -> tuple[int, bytes]:
        """The opcode and payload of the next frame from the server; 8 and nothing when the connection ends."""
        try:
            first, size = await self.reader.readexactly(2)
            if size == 126:
                size = int.from_bytes(await self.reader.readexactly(2), "big")
            elif size == 127:
                size = int.from_bytes(await self.reader.readexactly(8), "big")
            return first & 0x0F, await self.reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError):
            return CLOSE, b""

    async def close_code(self, timeout_s: float = 10) -> int:
        """Read to the end; the code that the server closed with, 0 if it only went."""
        async with asyncio.timeout(timeout_s):
            while True:
                opcode, payload = await self.receive()
                if opcode == CLOSE:
                    return int.from_bytes(payload[:2], "big")


@asynccontextmanager
async def raw_socket(address: tuple[str, int], *, hello: bool = True) -> AsyncIterator[RawSocket]:
    """A live socket; with `hello`, after the welcome."""
    reader, writer = await asyncio.open_connection(*address)
    key = base64.b64encode(os.urandom(16)).decode()
    try:
        writer.write(
            f"GET /sync/v1/live HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        assert head.startswith(b"HTTP/1.1 101"), head
        socket = RawSocket(reader, writer)
        if hello:
            await socket.send(frame(b'{"type": "hello"}'))
            opcode, payload = await asyncio.wait_for(socket.receive(), 10)
            assert (opcode, b'"welcome"' in payload) == (TEXT, True)
        yield socket
    finally:
        writer.transport.abort()
