"""W7: what a change and a caught-up resource cost as the database grows, and as it has more scopes.

Each size is reached by pushes, which are not measured; then some are, and a catch-up of everything. The figure is the
server's processor time for one change or resource, which other work on the machine moves least; its exponent says with
which power of the size it has grown (0: flat).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Final

from benchmarks.harness.http_driver import connections
from benchmarks.harness.processes import Meter, Server
from benchmarks.harness.pushes import Notes, Replica
from benchmarks.harness.sample import Sample
from benchmarks.harness.syncd_server import serving
from benchmarks.harness.syncd_wire import catch_up, settled
from benchmarks.harness.workload import SYNCD, Case, Goal, Measure, Setup

__all__ = ["Growth"]

_SIZES: Final = (10_000, 100_000, 1_000_000)
_SCOPES: Final = (1, 100, 10_000)
_IN_SCOPES: Final = 100_000
_QUICK_SHARE: Final = 100
_BATCH: Final = 500
_SCOPE_BATCH: Final = 50
_AT_ONCE: Final = 200
_WORKS: Final = ("push", "catch up")
_MOST: Final = 1.15
"""How much dearer a unit may be in a database ten times as large."""
_SHOWN: Final = {"cpu_us": "µs/unit", "rate": "units/s", "exponent": "exponent"}


class Growth:
    """The workload."""

    name = "W7"
    title = "growth: what a unit costs in a database of 10⁴ to 10⁶ resources, and of 1 to 10 000 scopes"

    @property
    def goals(self) -> Sequence[Goal]:
        """A unit must cost hardly more in a larger database."""
        sizes = [_flat(work, _sized, few, many) for work in _WORKS for few, many in pairwise(_SIZES)]
        return sizes + [_flat(work, _scoped, few, many) for work in _WORKS for few, many in pairwise(_SCOPES)]

    @asynccontextmanager
    async def cases(self, setup: Setup) -> AsyncIterator[Sequence[Case]]:
        """One server that grows, and one for each number of scopes."""
        share = _QUICK_SHARE if setup.quick else 1
        async with AsyncExitStack() as stack:
            one = _Grown(await stack.enter_async_context(serving(setup.folder / "sizes")), 1, _BATCH, setup)
            grown: list[tuple[Callable[[str, int], str], int, _Grown, int]] = [
                (_sized, size, one, size // share) for size in _SIZES
            ]
            for count in _SCOPES:
                server = await stack.enter_async_context(serving(setup.folder / f"scopes-{count}"))
                spread = _Grown(server, count // share or 1, _SCOPE_BATCH, setup)
                grown.append((_scoped, count, spread, _IN_SCOPES // share))
            cases = []
            costs = _Costs()
            for named, nominal, server_of, size in grown:
                for work in _WORKS:
                    measure = costs.noted(work, named, nominal, server_of.measure(work, size))
                    cases.append(Case(named(work, nominal), {SYNCD: measure}, _SHOWN))
            yield cases


class _Grown:
    """A server that is filled as needed; its resources go to `scopes` scopes by turns, `batch` to a push."""

    def __init__(self, server: Server, scopes: int, batch: int, setup: Setup) -> None:
        self._server = server
        self._count = 0
        self._scopes = [f"scope-{number}" for number in range(scopes)]
        self._batch = batch
        self._turn = 0
        self._notes = Notes("grower", fresh=True)
        self._replica = Replica("grower", server.port, self._notes)
        self._setup = setup

    def measure(self, work: str, size: int) -> Measure:
        """`work` once it holds `size` resources."""

        async def measured() -> Sample:
            await self._grow(size)
            return await (self._push() if work == "push" else self._catch_up())

        return measured

    async def _grow(self, size: int) -> None:
        async with connections(self._server.port) as (connection,):
            while self._count < size:
                if self._count % 50_000 == 0:
                    self._setup.note(f"filling: {self._count:,} of {size:,} resources")
                settled(await connection.ask(self._next()), self._batch)

    async def _push(self) -> Sample:
        pushes = max(4, min(10_000, self._count // 10) // self._batch)
        requests = [self._next() for _ in range(pushes)]
        async with connections(self._server.port) as (connection,):
            with Meter(self._server) as meter:
                answers = [await connection.ask(request) for request in requests]
        for answer in answers:
            settled(answer, self._batch)
        return meter.sample(pushes * self._batch)

    async def _catch_up(self) -> Sample:
        """All of it, as many scopes at once as a pull may name."""
        found = size = 0
        async with connections(self._server.port) as (connection,):
            with Meter(self._server) as meter:
                for start in range(0, len(self._scopes), _AT_ONCE):
                    scopes = self._scopes[start : start + _AT_ONCE]
                    resources, came, _ = await catch_up(connection, self._server.port, scopes)
                    found += resources
                    size += came
        if found != self._count:
            raise RuntimeError(f"{found} resources came, {self._count} were there")
        return meter.sample(found, bytes=size)

    def _next(self) -> bytes:
        self._notes.scope = self._scopes[self._turn % len(self._scopes)]
        self._turn += 1
        self._count += self._batch
        return self._replica.push(self._batch)


class _Costs:
    """Remembers what units cost at each size, for the exponent."""

    def __init__(self) -> None:
        self._costs: dict[tuple[str, object], dict[int, list[float]]] = {}

    def noted(self, work: str, kind: object, size: int, measure: Measure) -> Measure:
        """`measure`, with the exponent over all sizes so far, from the second on."""

        async def measured() -> Sample:
            sample = await measure()
            series = self._costs.setdefault((work, kind), {})
            cost = sample.figure("cpu_us")
            series.setdefault(size, []).extend([] if cost is None else [cost])
            if len(series) < 2:
                return sample
            return replace(sample, figures={**sample.figures, "exponent": _exponent(series)})

        return measured


def _exponent(series: dict[int, list[float]]) -> float:
    """The slope of log cost over log size, by least squares over the medians."""
    points = [(math.log(size), math.log(statistics.median(costs))) for size, costs in series.items() if costs]
    return statistics.linear_regression(*zip(*points, strict=True)).slope


def _sized(work: str, size: int) -> str:
    return f"{work}, {size:,} resources"


def _scoped(work: str, scopes: int) -> str:
    return f"{work}, {scopes:,} scopes"


def _flat(work: str, named: Callable[[str, int], str], few: int, many: int) -> Goal:
    most = round(_MOST ** math.log10(many / few), 2)
    return Goal(named(work, many), SYNCD, most, figure="cpu_us", less_is_better=True, against_case=named(work, few))
