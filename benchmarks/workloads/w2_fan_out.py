"""W2: what one person writes reaches 100, 500 and 1000 watchers.

Messages of about 200 bytes. Saturated: eight of them are on their way at any time, and one has arrived when all
watchers have it; what counts is deliveries a second. Paced: 12.5 a second; from the moment of writing until each
watcher has it. A frame that carries several messages counts as so many: each has a marker in it.

syncd is durable before anything is delivered: each message is a resource of its own, pushed by itself over one of
eight kept-alive connections, and the deltas bring its state. The Yjs servers get an update that appends to a text, and
keep it in memory. The ceilings keep nothing. Every measurement has a fresh scope or document.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from pycrdt import Doc, Text, TransactionEvent

from benchmarks.ceilings import relay
from benchmarks.harness import ceiling, syncd_driver
from benchmarks.harness.processes import Meter, Server
from benchmarks.harness.sample import Sample
from benchmarks.harness.socket_driver import ANSWER_S, Entrance, Socket, Tally, Watcher, opened
from benchmarks.harness.standing import Standing, Starter
from benchmarks.harness.syncd_server import serving
from benchmarks.harness.workload import SYNCD, Case, Goal, Measure, Setup
from benchmarks.peers import hocuspocus, pycrdt_websocket, y_websocket
from benchmarks.peers.yjs_protocol import HOCUSPOCUS, ROOT, Y_WEBSOCKET, Dialect

__all__ = ["FanOut"]

_SIZES: Final = (100, 500, 1000)
_QUICK_SIZES: Final = (50,)
_IN_FLIGHT: Final = 8
_EVERY_S: Final = 0.08
_WARM_S: Final = 0.3
_WARM_MESSAGES: Final = 3
_COALESCED: Final = "aiohttp, pre-framed and coalesced"
_PRE_FRAMED: Final = "aiohttp, pre-framed"

_MARKER: Final = b"~w2~"
_TEXT: Final = _MARKER.decode() + "the second half begins, and the keeper has come out of the goal again " * 3
_MESSAGE: Final = _TEXT[:200]

Write = Callable[[], None]
Writing = Callable[[int, str], AbstractAsyncContextManager[Write]]


@dataclass(frozen=True, slots=True)
class _Line:
    """How one contender carries messages: `entrance` lets a watcher into a room, `writing` gives what writes the next
    message into it; both of a port and a room."""

    start: Starter
    entrance: Callable[[int, str], Entrance]
    writing: Writing


class FanOut:
    """See the module."""

    name = "W2"
    title = "one writer to many watchers"

    @property
    def goals(self) -> Sequence[Goal]:
        """Of the issue's table."""
        found = []
        for size in _SIZES:
            case = _saturated_name(size)
            found += [
                Goal(case, "y-websocket", 2, 4),
                Goal(case, "pycrdt-websocket", 10),
                Goal(case, "hocuspocus", 0.8, 1.0),
                Goal(case, _COALESCED, 0.6, 0.8),
            ]
        paced = _paced_name(_SIZES[-1])
        return [
            *found,
            Goal(paced, "y-websocket", 1.25, 1.0, "p99_ms", less_is_better=True),
            Goal(paced, _PRE_FRAMED, 1.5, None, "p99_ms", less_is_better=True),
        ]

    @asynccontextmanager
    async def cases(self, setup: Setup) -> AsyncIterator[Sequence[Case]]:
        """See `Workload`."""
        lines = {name: line for name, line in _lines(setup).items() if setup.wants(name)}
        seconds = 0.5 if setup.quick else 2.5
        async with AsyncExitStack() as stack:
            standing = Standing(stack, {name: line.start for name, line in lines.items()})
            rooms = (f"w2-{number}" for number in itertools.count())
            found = []
            for size in _QUICK_SIZES if setup.quick else _SIZES:
                run = partial(_Run, standing, rooms, size, seconds)
                saturated: dict[str, Measure] = {name: run(name, line).saturated for name, line in lines.items()}
                paced: dict[str, Measure] = {name: run(name, line).paced for name, line in lines.items()}
                found += [
                    Case(_saturated_name(size), saturated, {"rate": "deliveries/s", "cpu_us": "µs CPU"}),
                    Case(_paced_name(size), paced, {"p99_ms": "ms p99", "p50_ms": "ms p50"}),
                ]
            yield found


def _saturated_name(size: int) -> str:
    return f"saturated, {size} watchers"


def _paced_name(size: int) -> str:
    return f"paced, {size} watchers"


@dataclass(frozen=True, slots=True)
class _Run:
    """One measurement: a contender before so many watchers, in the next of `rooms`."""

    standing: Standing
    rooms: Iterator[str]
    watchers: int
    seconds: float
    contender: str
    line: _Line

    async def saturated(self) -> Sample:
        """Deliveries while eight messages are on their way."""
        tally = Tally(_MARKER, self.watchers)
        async with self._crowd(tally) as (server, write):
            window = _Window(tally, write)
            window.open()
            await asyncio.sleep(_WARM_S)
            before = tally.deliveries
            with Meter(server) as meter:
                await asyncio.sleep(self.seconds)
            found = meter.sample(tally.deliveries - before)
            await window.close()
        return found

    async def paced(self) -> Sample:
        """From writing to receiving, 12.5 messages a second."""
        tally = Tally(_MARKER, self.watchers, timed=True)
        async with self._crowd(tally) as (server, write):
            window = _Window(tally, write)
            await self._pace(window, _WARM_MESSAGES)
            tally.latencies_s.clear()
            with Meter(server) as meter:
                await self._pace(window, round(self.seconds / _EVERY_S))
        found = sorted(tally.latencies_s)
        share = len(found) / 100
        return meter.sample(len(found), p50_ms=found[int(50 * share)] * 1000, p99_ms=found[int(99 * share)] * 1000)

    async def _pace(self, window: _Window, messages: int) -> None:
        due = time.perf_counter()
        for _ in range(messages):
            await asyncio.sleep(due - time.perf_counter())
            window.write()
            due += _EVERY_S
        await window.close()

    @asynccontextmanager
    async def _crowd(self, tally: Tally) -> AsyncIterator[tuple[Server, Write]]:
        server = await self.standing.server(self.contender)
        room = next(self.rooms)
        entrance = self.line.entrance(server.port, room)
        async with (
            opened([Watcher(entrance, tally) for _ in range(self.watchers)]),
            self.line.writing(server.port, room) as write,
        ):
            yield server, write


class _Window:
    """Writes; once it is open, whenever fewer than eight messages are on their way."""

    def __init__(self, tally: Tally, write: Write) -> None:
        self._tally = tally
        self._write = write
        self._is_open = False
        self._everywhere = asyncio.Event()
        self.sent = 0
        tally.advanced = self._advanced

    def write(self) -> None:
        """The next message."""
        self.sent += 1
        self._tally.sent_at.append(time.perf_counter())
        self._write()

    def open(self) -> None:
        """Keep eight on their way from now on."""
        self._is_open = True
        self._advanced()

    async def close(self) -> None:
        """Write no more; return when all watchers have all. Raises `RuntimeError` if they do not get it."""
        self._is_open = False
        self._everywhere.clear()
        if self._tally.everywhere < self.sent:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._everywhere.wait(), ANSWER_S)
        tally = self._tally
        if tally.everywhere != self.sent or tally.deliveries != self.sent * tally.watchers:
            raise RuntimeError(
                f"of {self.sent} messages to {tally.watchers} watchers, {tally.everywhere} reached all of them, "
                f"with {tally.deliveries} deliveries"
            )

    def _advanced(self) -> None:
        if self._is_open:
            while self.sent - self._tally.everywhere < _IN_FLIGHT:
                self.write()
        elif self._tally.everywhere >= self.sent:
            self._everywhere.set()


def _lines(setup: Setup) -> dict[str, _Line]:
    folder = setup.folder
    return {
        SYNCD: _Line(partial(serving, folder), lambda port, room: syncd_driver.entrance(port, [room]), _push),
        "y-websocket": _yjs(partial(y_websocket.running, folder), Y_WEBSOCKET),
        "hocuspocus": _yjs(partial(hocuspocus.running, folder), HOCUSPOCUS),
        "pycrdt-websocket": _yjs(partial(pycrdt_websocket.running, folder), Y_WEBSOCKET),
        _COALESCED: _Line(partial(ceiling.running, "relay", folder, "coalesce"), relay.entrance, _pass_on),
        _PRE_FRAMED: _Line(partial(ceiling.running, "relay", folder), relay.entrance, _pass_on),
    }


def _yjs(start: Starter, dialect: Dialect) -> _Line:
    return _Line(start, dialect.entrance, partial(_type, dialect))


@asynccontextmanager
async def _push(port: int, room: str) -> AsyncIterator[Write]:
    numbers = itertools.count(1)
    async with syncd_driver.lanes(port, room, _IN_FLIGHT) as push:
        rest = f'"scope":"{room}","type":"message","op":"create","base":0,"fields":{{"text":"{_MESSAGE}"}}'
        yield lambda: push(f'"id":"{room}-{next(numbers)}",{rest}')


@asynccontextmanager
async def _type(dialect: Dialect, port: int, room: str) -> AsyncIterator[Write]:
    socket = Socket(dialect.entrance(port, room))
    document: Doc[Text] = Doc()
    document[ROOT] = text = Text()

    def send(event: TransactionEvent) -> None:
        socket.send(dialect.update(room, event.update))

    def write() -> None:
        text.insert(len(text), _MESSAGE)

    async with opened([socket]):
        document.observe(send)
        yield write


@asynccontextmanager
async def _pass_on(port: int, room: str) -> AsyncIterator[Write]:
    socket = Socket(relay.entrance(port, room))
    async with opened([socket]):
        yield lambda: socket.send(_MESSAGE.encode())
