"""W6: the replica on a device: its queue drained, a snapshot taken in, local reads and writes.

The queue of 10 000 changes is compared with the time in which the server takes the same changes from a driver that does
nothing else, in pushes of 500. Local writes are compared with one-row commits of raw sqlite3 with the same settings
(write-ahead log, synchronous FULL). The SDK runs in the driver's process, on the driver's core, so that there "the
driver was the limit" says what is meant to be.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Final

from benchmarks.harness.http_driver import connections
from benchmarks.harness.processes import Meter, Server
from benchmarks.harness.pushes import Notes, Replica
from benchmarks.harness.records import encoded, record
from benchmarks.harness.sample import Sample
from benchmarks.harness.syncd_server import serving
from benchmarks.harness.syncd_wire import settled
from benchmarks.harness.workload import SYNCD, Case, Goal, Setup
from client_sdk import Client

__all__ = ["Device"]

_DRAIN: Final = "drain 10 000 queued changes"
_SNAPSHOT: Final = "take in a snapshot of 100 000 resources"
_PUT: Final = "local writes, one at a time"
_GET: Final = "local reads, one at a time"
_SERVER_ALONE: Final = "pushes of the same, without a replica"
_RAW: Final = "raw sqlite3"
_BATCH: Final = 500
_RATE: Final = {"rate": "a second", "seconds": "s"}


class Device:
    """The workload."""

    name = "W6"
    title = "the SDK: a long queue, a snapshot, local reads and writes"
    goals: Sequence[Goal] = (
        Goal(_DRAIN, _SERVER_ALONE, 1.5, figure="seconds", less_is_better=True),
        Goal(_PUT, _RAW, 0.4),
    )

    @asynccontextmanager
    async def cases(self, setup: Setup) -> AsyncIterator[Sequence[Case]]:
        """One server for the queues, one that holds the snapshot."""
        queued, held, local = (200, 1_000, 100) if setup.quick else (10_000, 100_000, 2_000)
        async with serving(setup.folder, name="queue") as queue, serving(setup.folder, name="snapshot") as full:
            setup.note(f"filling the server with {held:,} resources")
            await _fill(full, held)
            drains, snapshots, devices = count(1), count(1), count(1)
            yield [
                Case(
                    _DRAIN,
                    {
                        SYNCD: lambda: _drain(queue, setup.folder / f"drain-{next(drains)}.db", queued),
                        _SERVER_ALONE: lambda: _push(queue, f"driver-{next(drains)}", queued),
                    },
                    {"seconds": "s", "rate": "changes/s"},
                ),
                Case(
                    _SNAPSHOT,
                    {SYNCD: lambda: _take_in(full, setup.folder / f"snapshot-{next(snapshots)}.db", held)},
                    _RATE,
                ),
                Case(
                    _PUT,
                    {
                        SYNCD: lambda: _put(setup.folder / f"put-{next(devices)}.db", local),
                        _RAW: lambda: asyncio.to_thread(_commit_rows, setup.folder / f"raw-{next(devices)}.db", local),
                    },
                    {"rate": "writes/s"},
                ),
                Case(
                    _GET,
                    {
                        SYNCD: lambda: _get(setup.folder / f"get-{next(devices)}.db", local),
                        _RAW: lambda: asyncio.to_thread(_read_rows, setup.folder / f"read-{next(devices)}.db", local),
                    },
                    {"rate": "reads/s"},
                ),
            ]


async def _fill(server: Server, count: int) -> None:
    replica = Replica("filler", server.port, Notes("filler", fresh=True))
    async with connections(server.port) as (connection,):
        for batch in _batches(count):
            settled(await connection.ask(replica.push(batch)), batch)


async def _drain(server: Server, path: Path, count: int) -> Sample:
    scope = path.stem
    dice = random.Random(scope)
    async with Client(None, replica=path) as client:
        notes = client.collection("note", scope=scope)
        for _ in range(count):
            await notes.put(record(dice))
    with Meter(server) as meter:
        async with Client(server.url, replica=path, scopes=[scope]) as client:
            await client.synced(timeout_s=120)
    async with Client(server.url, replica=path.with_suffix(".check.db"), scopes=[scope]) as check:
        await check.synced(timeout_s=120)
        found = await check.collection("note").count(scope)
    if found != count:
        raise RuntimeError(f"{found} of {count} queued changes arrived")
    return meter.sample(count)


async def _push(server: Server, name: str, count: int) -> Sample:
    replica = Replica(name, server.port, Notes(name, scope=name, fresh=True))
    requests = [(replica.push(batch), batch) for batch in _batches(count)]
    async with connections(server.port) as (connection,):
        with Meter(server) as meter:
            answers = [(await connection.ask(request), batch) for request, batch in requests]
    for answer, batch in answers:
        settled(answer, batch)
    return meter.sample(count)


def _batches(count: int) -> list[int]:
    return [min(_BATCH, count - start) for start in range(0, count, _BATCH)]


async def _take_in(server: Server, path: Path, count: int) -> Sample:
    with Meter(server) as meter:
        async with Client(server.url, replica=path, scopes=["main"]) as client:
            await client.synced(timeout_s=300)
    async with Client(None, replica=path) as client:
        found = await client.collection("note").count("main")
    await asyncio.to_thread(path.unlink)
    if found != count:
        raise RuntimeError(f"{found} of {count} resources came")
    return meter.sample(count)


async def _put(path: Path, count: int) -> Sample:
    dice = random.Random(1)
    records = [record(dice) for _ in range(count)]
    async with Client(None, replica=path) as client:
        notes = client.collection("note", scope="main")
        with Meter() as meter:
            for one in records:
                await notes.put(one)
        if await notes.count("main") != count:
            raise RuntimeError("not everything that was put is there")
    return meter.sample(count)


async def _get(path: Path, count: int) -> Sample:
    dice = random.Random(2)
    records = [record(dice) for _ in range(count)]
    ids = [str(one["id"]) for one in records]
    async with Client(None, replica=path) as client:
        notes = client.collection("note", scope="main")
        for one in records:
            await notes.put(one)
        with Meter() as meter:
            found = [await notes.get(one) for one in ids]
    if None in found:
        raise RuntimeError("something that was put is not there")
    return meter.sample(count)


def _table(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE notes (id TEXT PRIMARY KEY, body BLOB NOT NULL)")
    return connection


def _commit_rows(path: Path, count: int) -> Sample:
    dice = random.Random(1)
    rows = [(one["id"], encoded(one)) for one in (record(dice) for _ in range(count))]
    connection = _table(path)
    try:
        with Meter() as meter:
            for row in rows:
                connection.execute("INSERT INTO notes VALUES (?, ?)", row)
    finally:
        connection.close()
    return meter.sample(count)


def _read_rows(path: Path, count: int) -> Sample:
    dice = random.Random(2)
    rows = [(one["id"], encoded(one)) for one in (record(dice) for _ in range(count))]
    connection = _table(path)
    try:
        connection.executemany("INSERT INTO notes VALUES (?, ?)", rows)
        with Meter() as meter:
            for key, _ in rows:
                connection.execute("SELECT body FROM notes WHERE id = ?", (key,)).fetchone()
    finally:
        connection.close()
    return meter.sample(count)
