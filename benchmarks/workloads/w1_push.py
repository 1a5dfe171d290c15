"""W1: durable pushes of records of 182 bytes, each new, in batches of 1, 50 and 500 from 1 and 16 clients at once.

A closed loop: each client sends its next batch when the last one has been answered. syncd at synchronous FULL without
an app, and with the football app: validation, a hook on events, merging by field. Each case begins with empty servers,
but Kinto's, which is too slow to fill one. The driver checks every answer, the outcome of each record in it, and
reads the last record of each client back.
"""

from __future__ import annotations

import asyncio
import shutil
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

from benchmarks.harness import ceiling
from benchmarks.harness.http_driver import Connection, connections
from benchmarks.harness.processes import Meter
from benchmarks.harness.sample import Sample
from benchmarks.harness.workload import SYNCD, Case, Goal, Measure, Setup
from benchmarks.workloads.w1_contenders import CONTENDERS, FOOTBALL, MOST_CLIENTS, Client, FreshServer

__all__ = ["Push"]

_BATCHES: Final = (1, 50, 500)
_CLIENTS: Final = (1, MOST_CLIENTS)
_RAW: Final = "raw sqlite3"
_SECONDS: Final = 2.0
_QUICK_SECONDS: Final = 0.5
_WARM_UP_SHARE: Final = 0.25
_SHOWN: Final = {"rate": "records/s", "p50_ms": "ms p50", "p99_ms": "ms p99"}


class Push:
    """The workload."""

    name = "W1"
    title = "durable pushes: records a second, by batch and clients"

    @property
    def goals(self) -> Sequence[Goal]:
        """Of 16 clients."""
        one, others = _named(1, MOST_CLIENTS), [_named(batch, MOST_CLIENTS) for batch in _BATCHES[1:]]
        goals = [
            Goal(one, "kinto", 20),
            Goal(one, "pouchdb", None, 5),
            Goal(one, "prototype", 0.6),
            Goal(one, "null handler", None, 0.35),
        ]
        for case in others:
            goals += [Goal(case, "kinto", 100), Goal(case, "pouchdb", None, 3)]
            goals += [Goal(case, "prototype", 0.6, 1.2), Goal(case, _RAW, None, 0.4)]
        for case in (one, *others):
            goals.append(Goal(f"football, {case}", SYNCD, 0.6, against_case=case))
        return goals

    @asynccontextmanager
    async def cases(self, setup: Setup) -> AsyncIterator[Sequence[Case]]:
        """Servers are started when it is their turn, and stand by for the rest of the case."""
        seconds = _QUICK_SECONDS if setup.quick else _SECONDS
        async with AsyncExitStack() as stack:
            all_of_them = {
                name: FreshServer(contender, setup.folder / name.replace(" ", "-"))
                for name, contender in CONTENDERS.items()
                if setup.wants(name)
            }
            football = FreshServer(FOOTBALL, setup.folder / "football")
            for fresh in (*all_of_them.values(), football):
                stack.push_async_callback(fresh.stop)
            cases = []
            for batch in _BATCHES:
                for clients in _CLIENTS:
                    name = _named(batch, clients)
                    measures: dict[str, Measure] = {
                        contender: partial(_measure, fresh, name, batch, clients, seconds)
                        for contender, fresh in all_of_them.items()
                        if batch <= fresh.contender.most_in_batch
                    }
                    if setup.wants(_RAW):
                        measures[_RAW] = partial(_write_raw, setup.folder / "raw", batch, seconds)
                    cases.append(Case(name, measures, _SHOWN))
                # Right after the case that it is compared with: the same batch from 16 clients without an app.
                name = f"football, {_named(batch, MOST_CLIENTS)}"
                measure = partial(_measure, football, name, batch, MOST_CLIENTS, seconds)
                cases.append(Case(name, {SYNCD: measure}, _SHOWN))
            yield cases


def _named(batch: int, clients: int) -> str:
    return f"batch {batch}, {clients} client{'s' if clients > 1 else ''}"


async def _measure(fresh: FreshServer, case: str, batch: int, clients: int, seconds: float) -> Sample:
    contender = fresh.contender
    server = await fresh.server(case)
    clients = max(1, min(clients, contender.most_in_flight // batch))
    pushing = [contender.client(server, number, f"c{number}-{uuid.uuid4().hex}") for number in range(clients)]
    async with connections(server.port, clients) as made:
        pairs = list(zip(made, pushing, strict=True))
        if contender.keeps:
            await asyncio.gather(*(_push(*pair, 1, 0) for pair in pairs))
        else:
            await asyncio.gather(*(_push(*pair, batch, seconds * _WARM_UP_SHARE) for pair in pairs))
        with Meter(server) as meter:
            latencies = await asyncio.gather(*(_push(*pair, batch, seconds) for pair in pairs))
        for connection, client in pairs:
            await _check_kept(connection, client)
    return _sample(meter, batch, [latency for of_client in latencies for latency in of_client])


async def _push(connection: Connection, client: Client, batch: int, seconds: float) -> list[float]:
    """Push again and again for so long, at least once; how long each answer took, in ms."""
    latencies = []
    until = time.perf_counter() + seconds
    for number in count():
        if number and time.perf_counter() >= until:
            break
        request = client.push(batch)
        began = time.perf_counter()
        answer = await connection.ask(request)
        latencies.append((time.perf_counter() - began) * 1000)
        client.check(answer, batch)
    return latencies


async def _check_kept(connection: Connection, client: Client) -> None:
    asked = client.kept()
    if asked is None:
        return
    request, is_in = asked
    answer = await connection.ask(request)
    if answer.status != 200 or not is_in(answer.body):
        raise RuntimeError(f"the last record was not read back: {answer.status} {answer.body[:400]!r}")


def _sample(meter: Meter, batch: int, latencies_ms: Sequence[float]) -> Sample:
    return meter.sample(len(latencies_ms) * batch, **_percentiles(latencies_ms))


def _percentiles(latencies_ms: Sequence[float]) -> dict[str, float]:
    ordered = sorted(latencies_ms)
    return {f"p{share}_ms": ordered[min(len(ordered) - 1, len(ordered) * share // 100)] for share in (50, 99)}


async def _write_raw(folder: Path, batch: int, seconds: float) -> Sample:
    """Raw sqlite3 in a process of its own, on the servers' core; nothing else uses it meanwhile."""
    await asyncio.to_thread(folder.mkdir, parents=True)
    asked = ("--database", folder / "raw.db", "--batch", batch, "--seconds", seconds)
    try:
        told = await ceiling.output("raw_sqlite", *asked)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Sample(told["records"], told["seconds"], told["cpu_s"], 0.0, _percentiles(told["latencies_ms"]))
