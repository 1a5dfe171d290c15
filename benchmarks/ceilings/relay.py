"""The ceiling of fan-out: aiohttp passes on what comes in, without reading, checking or keeping it.

A frame is encoded once and written to each socket's transport. `--coalesce`: everything that came in one turn of the
event loop leaves as one frame. There is no backpressure. Whoever is on the same path hears what the others send.

    python -m benchmarks.ceilings.relay --port 9000 [--coalesce]
"""

from __future__ import annotations

import argparse
import asyncio
from collections import defaultdict
from typing import cast

from aiohttp import WSMsgType, web

from benchmarks.ceilings.serving import serve
from benchmarks.harness.socket_driver import Entrance

__all__ = ["application", "entrance"]


def entrance(port: int, room: str) -> Entrance:
    """How a socket gets into a room. The relay answers the first message of each socket with itself."""
    return Entrance(f"ws://127.0.0.1:{port}/{room}", [b"hello"])


def framed(payload: bytes) -> bytes:
    """One unmasked binary frame (RFC 6455, section 5.2)."""
    size = len(payload)
    if size < 126:
        return bytes([0x82, size]) + payload
    if size < 1 << 16:
        return b"\x82\x7e" + size.to_bytes(2) + payload
    return b"\x82\x7f" + size.to_bytes(8) + payload


class _Room:
    """The sockets of one path. Who sends does not get his own back, unless what several sent leaves as one."""

    def __init__(self, coalesce: bool) -> None:
        self.transports: set[asyncio.Transport] = set()
        self._coalesce = coalesce
        self._waiting: list[bytes] = []

    def take(self, payload: bytes, sender: asyncio.Transport) -> None:
        if not self._coalesce:
            frame = framed(payload)
            for transport in self.transports:
                if transport is not sender:
                    transport.write(frame)
            return
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        self._waiting.append(payload)

    def _flush(self) -> None:
        frame = framed(b"".join(self._waiting))
        self._waiting.clear()
        for transport in self.transports:
            transport.write(frame)


def application(coalesce: bool) -> web.Application:
    """`GET /{room}`: a socket into it. `coalesce`: see the module."""
    rooms: defaultdict[str, _Room] = defaultdict(lambda: _Room(coalesce))

    async def handle(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False, max_msg_size=0)
        await socket.prepare(request)
        transport = cast("asyncio.Transport", request.transport)
        hello = await socket.receive()
        room = rooms[request.path]
        room.transports.add(transport)
        transport.write(framed(hello.data))
        try:
            async for message in socket:
                if message.type is WSMsgType.BINARY:
                    room.take(message.data, transport)
        finally:
            room.transports.discard(transport)
        return socket

    made = web.Application()
    made.router.add_get("/{room}", handle)
    return made


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--coalesce", action="store_true")
    given = parser.parse_args()
    serve(application(given.coalesce), given.port)
