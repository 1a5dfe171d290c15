"""A driver for WebSockets that costs little itself: thousands of sockets on picows, which count what they must.

It knows nothing of what the servers speak: whoever uses it says what to send first, and which frame is the answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from benchmarks.harness.processes import Server

__all__ = ["ANSWER_S", "Entrance", "Socket", "Tally", "Watcher", "connect", "opened", "until_quiet"]

ANSWER_S: Final = 30.0
"""How long anything may take before a measurement is given up."""

_AT_ONCE: Final = 50
_QUIET_CPU_S: Final = 0.02
_LARGEST_FRAME_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Entrance:
    """How a socket comes to hear of one thing. `greeting`: sent first. `stands`: whether this frame is the answer.

    `binary`: what `greeting` is sent as. Without a greeting, a socket stands when it is open.
    """

    url: str
    greeting: Sequence[bytes] = ()
    stands: Callable[[bytes], bool] = bool
    binary: bool = True


class Socket(WSListener):
    """One socket. Until it stands, frames go to its entrance, and then to `received`."""

    def __init__(self, entrance: Entrance, received: Callable[[bytes], None] | None = None) -> None:
        self._entrance = entrance
        self._received = received
        self._transport: WSTransport | None = None
        self._kind = WSMsgType.BINARY if entrance.binary else WSMsgType.TEXT
        self.stands: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    @property
    def url(self) -> str:
        """Where it goes."""
        return self._entrance.url

    @property
    def is_open(self) -> bool:
        """Whether neither side has closed it."""
        return self._transport is not None and not self._transport.is_disconnected

    def send(self, message: bytes) -> None:
        """Raises `ConnectionError` if the socket has gone."""
        if self._transport is None or self._transport.is_disconnected:
            raise ConnectionError("the server has closed the socket")
        self._transport.send(self._kind, message)

    def close(self) -> None:
        """Hang up, without ceremony."""
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def frame(self, payload: bytes) -> None:
        """One message of the server's, once the socket stands."""
        if self._received is not None:
            self._received(payload)

    # picows

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        for message in self._entrance.greeting:
            transport.send(self._kind, message)
        if not self._entrance.greeting and not self.stands.done():
            self.stands.set_result(b"")

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type not in (WSMsgType.BINARY, WSMsgType.TEXT):
            return
        payload = frame.get_payload_as_bytes()
        if self.stands.done():
            self.frame(payload)
        elif self._entrance.stands(payload):
            self.stands.set_result(payload)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if not self.stands.done():
            self.stands.set_exception(ConnectionError("the server has closed the socket before it stood"))


@dataclass(slots=True)
class Tally:
    """What a crowd of watchers has received of numbered messages, 0, 1, 2, …, which each of them gets in order.

    `marker` occurs once in each message. `everywhere`: how many messages all of them have. `advanced` is called when
    that has grown. `sent_at`: by message, when it was written; if `timed`, `latencies_s` has an entry a delivery.
    """

    marker: bytes
    watchers: int
    timed: bool = False
    deliveries: int = 0
    everywhere: int = 0
    sent_at: list[float] = field(default_factory=list)
    latencies_s: list[float] = field(default_factory=list)
    advanced: Callable[[], None] = lambda: None
    standing_at: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.standing_at[0] = self.watchers

    def moved(self, before: int, after: int) -> None:
        """One watcher had `before` messages and now has `after`."""
        self.deliveries += after - before
        standing_at = self.standing_at
        standing_at[after] = standing_at.get(after, 0) + 1
        standing_at[before] -= 1
        if self.timed:
            now = time.perf_counter()
            self.latencies_s += [now - sent_at for sent_at in self.sent_at[before:after]]
        if not standing_at[before] and before == self.everywhere:
            while not standing_at.get(self.everywhere):
                standing_at.pop(self.everywhere, None)
                self.everywhere += 1
            self.advanced()


class Watcher(Socket):
    """A socket that only counts. A frame that carries several messages counts as so many."""

    def __init__(self, entrance: Entrance, tally: Tally) -> None:
        super().__init__(entrance)
        self._tally = tally
        self._marker = tally.marker
        self._count = 0

    def frame(self, payload: bytes) -> None:
        """See `Socket`."""
        if found := payload.count(self._marker):
            before = self._count
            self._count = before + found
            self._tally.moved(before, self._count)


async def connect(socket: Socket) -> None:
    """Open it, and wait until it stands. Raises `ConnectionError`, `TimeoutError`."""
    await ws_connect(
        lambda: socket,
        socket.url,
        max_frame_size=_LARGEST_FRAME_BYTES,
        websocket_handshake_timeout=ANSWER_S,
        read_buffer_init_size=4096,
    )
    await asyncio.wait_for(socket.stands, ANSWER_S)


@asynccontextmanager
async def opened(sockets: Sequence[Socket]) -> AsyncIterator[None]:
    """All of these, a few at a time; closed on leaving. The first comes alone: pycrdt-websocket loses some of those who
    come while it makes the room. Raises `ConnectionError` if the server has closed one meanwhile."""
    try:
        for socket in sockets[:1]:
            await connect(socket)
        for start in range(1, len(sockets), _AT_ONCE):
            await asyncio.gather(*(connect(socket) for socket in sockets[start : start + _AT_ONCE]))
        yield
        if closed := sum(not socket.is_open for socket in sockets):
            raise ConnectionError(f"the server has closed {closed} of {len(sockets)} sockets meanwhile")
    finally:
        for socket in sockets:
            socket.close()
        await asyncio.sleep(0)


async def until_quiet(server: Server, *, at_most_s: float = 60.0) -> None:
    """Return when a server has used next to nothing for half a second, or when `at_most_s` have passed."""
    until = time.monotonic() + at_most_s
    before = server.cpu_s()
    while time.monotonic() < until:
        await asyncio.sleep(0.5)
        now = server.cpu_s()
        if now - before <= _QUIET_CPU_S:
            return
        before = now
