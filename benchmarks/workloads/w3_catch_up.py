"""W3, the half about resources: a new replica catches up 100 000 of them, records of 182 bytes, page by page.

All servers hold the same records, each with a text of its own. The time runs until the last byte has come. A page is
not read meanwhile, but for where the next one begins; what came is counted afterwards. syncd's pages are the largest
that it gives by default, the peers' are of 10 000 records. The ceiling is one streamed response straight from a table.

In the first case nothing is compressed. In the second, the driver accepts gzip and zstd, as current browsers and the
SDK do, and unpacks what it gets: that is what goes over a phone's line, and what it costs. syncd knows both and prefers
zstd. Of the two, express-pouchdb compresses with gzip only; Brotli, which it knows besides and browsers accept as well,
is not asked for.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.ceilings import streamed
from benchmarks.harness import ceiling
from benchmarks.harness.http_driver import Answer, Connection, connections, request_bytes
from benchmarks.harness.processes import Meter, Server
from benchmarks.harness.pushes import NewNotes, Notes, Replica
from benchmarks.harness.sample import Sample
from benchmarks.harness.syncd_server import serving
from benchmarks.harness.syncd_wire import PAGE_BYTES, settled
from benchmarks.harness.workload import SYNCD, Case, Goal, Measure, Setup, Unavailable
from benchmarks.peers import kinto, pouchdb, rxdb

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["RESOURCES", "ResourcesCatchUp"]

RESOURCES: Final = "100 000 resources"
_AS_A_BROWSER: Final = "100 000 resources, as a browser asks"
_COUNT: Final = 100_000
_QUICK_COUNT: Final = 10_000
_STREAMED: Final = "streamed response"
_ACCEPTED: Final = b"gzip, zstd"
_SHOWN: Final = {"rate": "resources/s", "seconds": "s", "first_ms": "ms to the first byte", "bytes": "bytes"}
_AS_A_BROWSER_SHOWN: Final = {"bytes": "bytes", "seconds": "s", "rate": "resources/s"}
_FILLER: Final = "filler"
_SEED_BATCH: Final = 500
_COLLECTION: Final = "catch-up"
_TAIL_BYTES: Final = 400
_CURSOR: Final = re.compile(rb'"cursor":"([^"]+)"')
_MORE: Final = re.compile(rb'"more":(true|false)')

Page = Callable[[int, Answer | None], bytes | None]
"""The request for the page after an answer, of a server on a port; None: that was the last."""


@dataclass(frozen=True, slots=True)
class _Source:
    """`start`: a server that holds so many resources. `count`: how many are in an answer."""

    start: Callable[[Path, int], AbstractAsyncContextManager[Server]]
    page: Page
    count: Callable[[Answer], int]


class ResourcesCatchUp:
    """The workload."""

    name = "W3"
    title = "a new replica catches up 100 000 resources"
    goals: Sequence[Goal] = (
        Goal(RESOURCES, "pouchdb", 8, 15),
        Goal(RESOURCES, "kinto", 3),
        Goal(RESOURCES, "rxdb", 1),
        Goal(_AS_A_BROWSER, "pouchdb", 0.6, figure="bytes", less_is_better=True),
        Goal(RESOURCES, _STREAMED, 0.35, 0.6),
    )

    @asynccontextmanager
    async def cases(self, setup: Setup) -> AsyncIterator[Sequence[Case]]:
        """All servers are filled first, which takes the longest; then they are asked by turns."""
        count = _QUICK_COUNT if setup.quick else _COUNT
        async with AsyncExitStack() as stack:
            measures: dict[str, Measure] = {}
            compressed: dict[str, Measure] = {}
            for name, source in _SOURCES.items():
                if not setup.wants(name):
                    continue
                setup.note(f"filling {name} with {count:,} resources")
                try:
                    server = await stack.enter_async_context(source.start(setup.folder / name.replace(" ", "-"), count))
                except Exception as why:
                    # Without one of the others, the rest can still be compared.
                    if name == SYNCD:
                        raise
                    measures[name] = _unavailable(f"{type(why).__name__}: {why}")
                else:
                    measures[name] = _measure(server, source, count)
                    if name != _STREAMED:
                        compressed[name] = _measure(server, source, count, accepts=_ACCEPTED)
            yield [Case(RESOURCES, measures, _SHOWN), Case(_AS_A_BROWSER, compressed, _AS_A_BROWSER_SHOWN)]


def _unavailable(why: str) -> Measure:
    async def measured() -> Sample:
        raise Unavailable(why)

    return measured


def _measure(server: Server, source: _Source, count: int, *, accepts: bytes = b"") -> Measure:
    async def measured() -> Sample:
        answers: list[Answer] = []
        async with connections(server.port) as (connection,):
            with Meter(server) as meter:
                request = source.page(server.port, None)
                while request is not None:
                    if accepts:
                        request = request.replace(b"\r\n", b"\r\nAccept-Encoding: %b\r\n" % accepts, 1)
                    answers.append(_unpacked(await connection.ask(request)))
                    request = source.page(server.port, answers[-1])
        found = sum(source.count(answer) for answer in answers)
        if found != count:
            raise RuntimeError(f"{found} of {count} resources came in {len(answers)} pages")
        size = sum(answer.size for answer in answers)
        return meter.sample(count, bytes=size, first_ms=answers[0].first_s * 1000)

    return measured


def _unpacked(answer: Answer) -> Answer:
    """The same, with the body as it was before the server compressed it; `size` is what came over the line."""
    match answer.headers.get("content-encoding"):
        case "gzip":
            answer.body = zlib.decompress(answer.body, wbits=31)
        case "zstd":
            answer.body = zstd.decompress(answer.body)
    return answer


def _syncd_page(port: int, answer: Answer | None) -> bytes | None:
    cursor = "null"
    if answer is not None:
        tail = answer.body[-_TAIL_BYTES:]
        found, more = _CURSOR.findall(tail), _MORE.findall(tail)
        if answer.status != 200 or not found or not more:
            raise RuntimeError(f"a pull was answered {answer.status}: …{tail!r}")
        if more[-1] == b"false":
            return None
        cursor = f'"{found[-1].decode()}"'
    body = f'{{"scopes":{{"main":{cursor}}},"limit_bytes":{PAGE_BYTES}}}'
    return request_bytes("POST", port, "/sync/v1/pull", body.encode())


def _syncd_count(answer: Answer) -> int:
    return len(json.loads(answer.body)["scopes"]["main"]["resources"])


@asynccontextmanager
async def _syncd(folder: Path, count: int) -> AsyncIterator[Server]:
    async with serving(folder) as server, connections(server.port) as (connection,):
        replica = Replica(_FILLER, server.port, Notes(_FILLER, fresh=True))
        await _fill(connection, replica.push, settled, count)
        yield server


@asynccontextmanager
async def _pouchdb(folder: Path, count: int) -> AsyncIterator[Server]:
    async with pouchdb.running(folder) as server, connections(server.port) as (connection,):
        notes = NewNotes(_FILLER, fresh=True)
        await pouchdb.make_database(connection, server.port)

        def push(batch: int) -> bytes:
            return pouchdb.push(server.port, notes.take(batch))

        await _fill(connection, push, pouchdb.check_push, count)
        yield server


@asynccontextmanager
async def _rxdb(folder: Path, count: int) -> AsyncIterator[Server]:
    async with rxdb.running(folder) as server, connections(server.port) as (connection,):
        notes = NewNotes(_FILLER, fresh=True)

        def push(batch: int) -> bytes:
            return rxdb.push(server.port, notes.take(batch))

        await _fill(connection, push, rxdb.check_push, count, rxdb.MOST_IN_PUSH)
        yield server


@asynccontextmanager
async def _kinto(folder: Path, count: int) -> AsyncIterator[Server]:
    async with kinto.running(folder) as server, connections(server.port) as (connection,):
        await kinto.make_collections(connection, server.port, [_COLLECTION])
        await kinto.seed(server, _COLLECTION, NewNotes(_FILLER, fresh=True).take(count))
        yield server


@asynccontextmanager
async def _streamed(folder: Path, count: int) -> AsyncIterator[Server]:
    await asyncio.to_thread(folder.mkdir, parents=True)
    database = folder / "streamed.db"
    bodies = (f'{{"id":"{key}",{inside}}}'.encode() for key, inside in NewNotes(_FILLER, fresh=True).take(count))
    await asyncio.to_thread(streamed.fill, database, bodies)
    async with ceiling.running("streamed", folder, database=database) as server:
        yield server


async def _fill(
    connection: Connection,
    push: Callable[[int], bytes],
    check: Callable[[Answer, int], None],
    count: int,
    largest: int = _SEED_BATCH,
) -> None:
    for start in range(0, count, largest):
        batch = min(largest, count - start)
        check(await connection.ask(push(batch)), batch)


def _streamed_page(port: int, answer: Answer | None) -> bytes | None:
    return request_bytes("GET", port, "/all") if answer is None else None


def _streamed_count(answer: Answer) -> int:
    return answer.body.count(b"\n")


def _kinto_page(port: int, answer: Answer | None) -> bytes | None:
    return kinto.next_page(port, _COLLECTION, answer)


_SOURCES: Final = {
    SYNCD: _Source(_syncd, _syncd_page, _syncd_count),
    "pouchdb": _Source(_pouchdb, pouchdb.next_page, pouchdb.check_page),
    "rxdb": _Source(_rxdb, rxdb.next_page, rxdb.check_page),
    "kinto": _Source(_kinto, _kinto_page, kinto.check_page),
    _STREAMED: _Source(_streamed, _streamed_page, _streamed_count),
}
