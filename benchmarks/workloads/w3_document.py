"""W3, the half about documents: a new client is sent one document of 260,000 edits.

Cold: by a server that has just been started and has not opened it yet, from disk. Warm: by one that has sent it to
somebody before, who is still there. From connecting until the whole document has arrived; it is held against what was
typed. The document is made of the writing in `harness/documents.py`, merged to one update for each 1000 edits, and
handed to each server in these. y-websocket keeps it in memory, and is only measured warm.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from pycrdt import Doc, Text

from benchmarks.ceilings import pycrdt_alone
from benchmarks.harness import syncd_driver
from benchmarks.harness.documents import merged, text_of, typed
from benchmarks.harness.http_driver import connections
from benchmarks.harness.processes import Meter, Server
from benchmarks.harness.sample import Sample
from benchmarks.harness.socket_driver import ANSWER_S, Socket, connect, opened, until_quiet
from benchmarks.harness.syncd_reader import documents_request
from benchmarks.harness.syncd_server import serving
from benchmarks.harness.workload import SYNCD, Case, Goal, Measure, Setup
from benchmarks.peers import hocuspocus, pycrdt_websocket, y_websocket
from benchmarks.peers.yjs_protocol import HOCUSPOCUS, Y_WEBSOCKET, Dialect
from benchmarks.workloads.w5_trace import NOTES

__all__ = ["DocumentCatchUp"]

_EDITS: Final = 260_000
_QUICK_EDITS: Final = 10_000
_AN_UPDATE: Final = 1_000
_A_PUSH: Final = 10
_NAME: Final = "minutes"
_COLD: Final = "document, cold from disk"
_WARM: Final = "document, warm"
_ALONE: Final = "pycrdt alone"
_HOCUSPOCUS: Final = "hocuspocus (SQLite)"
_PYCRDT_WEBSOCKET: Final = "pycrdt-websocket (SQLite)"


class DocumentCatchUp:
    """See the module."""

    name = "W3-document"
    title = "a new client is sent a large document"
    goals: Sequence[Goal] = (
        Goal(_COLD, _HOCUSPOCUS, 0.2, None, "seconds", less_is_better=True),
        Goal(_COLD, _PYCRDT_WEBSOCKET, 1.5, 1.0, "seconds", less_is_better=True),
        Goal(_COLD, _ALONE, 4, None, "seconds", less_is_better=True),
    )

    @asynccontextmanager
    async def cases(self, setup: Setup) -> AsyncIterator[Sequence[Case]]:
        """See `Workload`."""
        setup.note("typing the text")
        typing = await asyncio.to_thread(typed, _QUICK_EDITS if setup.quick else _EDITS)
        document = _Document(typing.text, merged(typing.updates, _AN_UPDATE))
        kinds = {name: kind for name, kind in _kinds(setup.folder).items() if setup.wants(name)}
        cold: dict[str, Measure] = {
            name: partial(kind.measure, document, warm=False) for name, kind in kinds.items() if kind.stores
        }
        if setup.wants(_ALONE):
            file = setup.folder / "document"
            file.write_bytes(document.whole())
            cold[_ALONE] = partial(pycrdt_alone.load, file, typing.text)
        warm: dict[str, Measure] = {name: partial(kind.measure, document, warm=True) for name, kind in kinds.items()}
        shown = {"seconds": "s", "bytes": "bytes", "cpu_us": "µs CPU"}
        yield [Case(_COLD, cold, shown), Case(_WARM, warm, shown)]


@dataclass(frozen=True, slots=True)
class _Document:
    """What stands in it, and the updates that bring it there."""

    text: str
    updates: Sequence[bytes]

    def whole(self) -> bytes:
        """It in one update, as pycrdt encodes it."""
        made: Doc[Text] = Doc()
        for update in self.updates:
            made.apply_update(update)
        return made.get_update()

    def check(self, updates: Sequence[bytes]) -> None:
        """Raises `RuntimeError` if these are not the document."""
        if text_of(updates) != self.text:
            raise RuntimeError("what was sent is not the document")


@dataclass(slots=True)
class _Kind:
    """A contender. `seed` hands the document to a server; `reading` connects as a new client and gives the updates it
    is sent and the size of the answer, and stays connected. `stores`: it keeps the document when it is stopped."""

    start: Callable[[], AbstractAsyncContextManager[Server]]
    seed: Callable[[Server, _Document], Awaitable[None]]
    reading: Callable[[int, list[bytes]], AbstractAsyncContextManager[int]]
    stores: bool = True
    seeded: bool = field(default=False)

    async def measure(self, document: _Document, *, warm: bool) -> Sample:
        """One new client."""
        if self.stores and not self.seeded:
            async with self.start() as server:
                await self._seed(server, document)
            self.seeded = True
        async with self.start() as server:
            if not self.stores:
                await self._seed(server, document)
            await until_quiet(server, at_most_s=20)
            if not warm:
                return await self._read(server, document)
            async with self.reading(server.port, []):
                return await self._read(server, document)

    async def _seed(self, server: Server, document: _Document) -> None:
        await self.seed(server, document)
        await until_quiet(server)
        await self._read(server, document)

    async def _read(self, server: Server, document: _Document) -> Sample:
        updates: list[bytes] = []
        async with AsyncExitStack() as stack:
            with Meter(server) as meter:
                size = await stack.enter_async_context(self.reading(server.port, updates))
        document.check(updates)
        return meter.sample(1, bytes=size)


def _kinds(folder: Path) -> dict[str, _Kind]:
    return {
        SYNCD: _Kind(partial(serving, folder, app=NOTES), _push, _fetching),
        _HOCUSPOCUS: _yjs(partial(hocuspocus.running, folder, persistent=True), HOCUSPOCUS),
        _PYCRDT_WEBSOCKET: _yjs(partial(pycrdt_websocket.running, folder, persistent=True), Y_WEBSOCKET),
        "y-websocket": _yjs(partial(y_websocket.running, folder), Y_WEBSOCKET, stores=False),
    }


def _yjs(start: Callable[[], AbstractAsyncContextManager[Server]], dialect: Dialect, *, stores: bool = True) -> _Kind:
    return _Kind(start, partial(_type, dialect), partial(_connected, dialect), stores)


async def _push(server: Server, document: _Document) -> None:
    async with connections(server.port) as (connection,):
        writer = syncd_driver.ConnectedReplica(server.port, "writer", connection)
        note = f'"type":"note","id":"{_NAME}"'
        await writer.push([f'{note},"op":"create","base":0,"fields":{{"notebook":"{_NAME}"}}'])
        encoded = [base64.b64encode(update).decode() for update in document.updates]
        changes = [f'{note},"op":"update","base":0,"fields":{{"text":{{"update":"{update}"}}}}' for update in encoded]
        for start in range(0, len(changes), _A_PUSH):
            await writer.push(changes[start : start + _A_PUSH])


@asynccontextmanager
async def _fetching(port: int, updates: list[bytes]) -> AsyncIterator[int]:
    async with connections(port) as (connection,):
        answer = await asyncio.wait_for(connection.ask(documents_request(port, _NAME)), ANSWER_S)
        found = json.loads(answer.body)
        if answer.status != 200 or found["more"] or "updates" not in found["documents"][0]:
            raise RuntimeError(f"the document was not answered: {answer.status} {answer.body[:300]!r}")
        updates += [base64.b64decode(update) for update in found["documents"][0]["updates"]]
        yield answer.size


async def _type(dialect: Dialect, server: Server, document: _Document) -> None:
    writer = Socket(dialect.entrance(server.port, _NAME))
    async with opened([writer]):
        for update in document.updates:
            writer.send(dialect.update(_NAME, update))
        # Whoever comes now may be answered with a part of it; the whole is there when nothing is missing.
        until = asyncio.get_running_loop().time() + ANSWER_S
        while asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.5)
            found: list[bytes] = []
            async with _connected(dialect, server.port, found):
                if text_of(found) == document.text:
                    # pycrdt-websocket drops what it has yet to store when the last socket goes.
                    await until_quiet(server)
                    return
        raise RuntimeError(f"the document was not there after {ANSWER_S:.0f} s")


@asynccontextmanager
async def _connected(dialect: Dialect, port: int, updates: list[bytes]) -> AsyncIterator[int]:
    socket = Socket(dialect.entrance(port, _NAME))
    try:
        await connect(socket)
        frame = socket.stands.result()
        updates.append(dialect.whole(frame) or b"")
        yield len(frame)
    finally:
        socket.close()
