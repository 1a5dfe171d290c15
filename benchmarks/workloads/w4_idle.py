"""W4: what it costs to have people connected who do nothing.

1500 sockets to one document, then 1000 more, each to a document of its own with 200 characters in it: memory of the
server for each of either kind, and the processor time of all of them doing nothing. Each measurement is of a fresh
server, which has had one socket of each kind before it is looked at, so that what is loaded with the first does not
count. syncd: a socket subscribes to a scope with a note in it, whose text is the document.
"""

from __future__ import annotations

import asyncio
import base64
import resource
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from pycrdt import Doc, Text

from benchmarks.ceilings import bare_socket
from benchmarks.harness import ceiling, syncd_driver
from benchmarks.harness.http_driver import connections
from benchmarks.harness.processes import Meter, Server
from benchmarks.harness.sample import Sample
from benchmarks.harness.socket_driver import ANSWER_S, Entrance, Socket, opened, until_quiet
from benchmarks.harness.syncd_server import serving
from benchmarks.harness.workload import SYNCD, Case, Goal, Measure, Setup, Unavailable
from benchmarks.peers import hocuspocus, pycrdt_websocket, y_websocket
from benchmarks.peers.yjs_protocol import HOCUSPOCUS, ROOT, Y_WEBSOCKET, Dialect
from benchmarks.workloads.w5_trace import NOTES

__all__ = ["Idle"]

_TEXT: Final = ("a quiet evening after training, and nobody writes anything. " * 4)[:200]
_BARE: Final = "bare aiohttp socket"
_ONE_PERCENT: Final = "one percent"
_CASE: Final = "idle"
_SPARE_FILES: Final = 200
_A_PUSH: Final = 50


class Idle:
    """See the module."""

    name = "W4"
    title = "idle sockets and documents"
    goals: Sequence[Goal] = (
        Goal(_CASE, "y-websocket", 1.25, None, "kb_per_connection", less_is_better=True),
        Goal(_CASE, _BARE, 1.5, None, "kb_per_connection", less_is_better=True),
        Goal(_CASE, "pycrdt-websocket", 0.5, None, "kb_per_document_connection", less_is_better=True),
        Goal(_CASE, _ONE_PERCENT, 1, None, "idle_cpu_percent", less_is_better=True),
    )

    @asynccontextmanager
    async def cases(self, setup: Setup) -> AsyncIterator[Sequence[Case]]:
        """See `Workload`."""
        measures: dict[str, Measure] = {_ONE_PERCENT: _one_percent}
        for name, kind in _KINDS.items():
            if setup.wants(name):
                measures[name] = partial(_measured, kind, setup)
        shown = {
            "kb_per_connection": "KB/socket",
            "kb_per_document_connection": "KB/socket with document",
            "idle_cpu_percent": "% CPU",
        }
        yield [Case(_CASE, measures, shown)]


@dataclass(frozen=True, slots=True)
class _Kind:
    """A contender. `start`: of a folder. `entrance`: to a document, of a port and a name. `fill`: gives documents their
    text, so that a socket to each is left open; None: it has no documents."""

    start: Callable[[Path], AbstractAsyncContextManager[Server]]
    entrance: Callable[[int, str], Entrance]
    fill: Callable[[int, Sequence[str]], AbstractAsyncContextManager[None]] | None


async def _measured(kind: _Kind, setup: Setup) -> Sample:
    shared, own, idle_s = (100, 50, 2.0) if setup.quick else (1500, 1000, 5.0)
    _need_files(shared + own)
    folder = Path(tempfile.mkdtemp(dir=setup.folder))
    figures: dict[str, float] = {}
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(kind.start(folder))
        await stack.enter_async_context(opened([Socket(kind.entrance(server.port, "shared"))]))
        if kind.fill is not None:
            await stack.enter_async_context(kind.fill(server.port, ["first"]))
        empty = await _rss_bytes(server)
        await stack.enter_async_context(opened([Socket(kind.entrance(server.port, "shared")) for _ in range(shared)]))
        crowded = await _rss_bytes(server)
        figures["kb_per_connection"] = (crowded - empty) / shared / 1024
        if kind.fill is not None:
            await stack.enter_async_context(kind.fill(server.port, [f"own-{number}" for number in range(own)]))
            figures["kb_per_document_connection"] = (await _rss_bytes(server) - crowded) / own / 1024
        with Meter(server) as meter:
            await asyncio.sleep(idle_s)
        figures["idle_cpu_percent"] = meter.server_cpu_s / meter.seconds * 100
        return meter.sample(shared + own, base_mb=empty / (1 << 20), **figures)


async def _rss_bytes(server: Server) -> int:
    await until_quiet(server, at_most_s=10)
    if server.process.returncode is not None:
        raise RuntimeError(f"the server has ended with code {server.process.returncode}")
    return server.rss_bytes()


async def _one_percent() -> Sample:
    """What processor time is held against: a hundredth of a core."""
    return Sample(1, 1, figures={"idle_cpu_percent": 1.0})


def _need_files(sockets: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = sockets + _SPARE_FILES
    if soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise Unavailable(f"{sockets} sockets need {wanted} open files, and this system allows {hard}")
    # Servers inherit it.
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _update() -> bytes:
    document: Doc[Text] = Doc()
    document[ROOT] = Text(_TEXT)
    return document.get_update()


@asynccontextmanager
async def _typed(dialect: Dialect, port: int, names: Sequence[str]) -> AsyncIterator[None]:
    sockets = [Socket(dialect.entrance(port, name)) for name in names]
    async with opened(sockets):
        for name, socket in zip(names, sockets, strict=True):
            socket.send(dialect.update(name, _update()))
        # When another socket to the last document is answered with the text, what was sent before has been taken, too.
        found: bytes | None = None
        last = names[-1]
        async with asyncio.timeout(ANSWER_S):
            while found is None or _TEXT.encode() not in found:
                probe = Socket(dialect.entrance(port, last))
                async with opened([probe]):
                    found = dialect.whole(probe.stands.result())
        yield


@asynccontextmanager
async def _pushed(port: int, names: Sequence[str]) -> AsyncIterator[None]:
    update = base64.b64encode(_update()).decode()
    async with connections(port) as (connection,):
        replica = syncd_driver.ConnectedReplica(port, f"writer-{names[0]}", connection)
        creates = [
            f'"type":"note","id":"{name}","op":"create","base":0,'
            f'"fields":{{"notebook":"{name}","{ROOT}":{{"update":"{update}"}}}}'
            for name in names
        ]
        for start in range(0, len(creates), _A_PUSH):
            await replica.push(creates[start : start + _A_PUSH])
    async with opened([Socket(_live(port, name)) for name in names]):
        yield


def _live(port: int, name: str) -> Entrance:
    return syncd_driver.entrance(port, [f"notebook:{name}"])


def _yjs(start: Callable[[Path], AbstractAsyncContextManager[Server]], dialect: Dialect) -> _Kind:
    return _Kind(start, dialect.entrance, partial(_typed, dialect))


_KINDS: Final[Mapping[str, _Kind]] = {
    SYNCD: _Kind(partial(serving, app=NOTES), _live, _pushed),
    "y-websocket": _yjs(y_websocket.running, Y_WEBSOCKET),
    "hocuspocus": _yjs(hocuspocus.running, HOCUSPOCUS),
    "pycrdt-websocket": _yjs(pycrdt_websocket.running, Y_WEBSOCKET),
    _BARE: _Kind(partial(ceiling.running, "bare_socket"), lambda port, _: bare_socket.entrance(port), None),
}
