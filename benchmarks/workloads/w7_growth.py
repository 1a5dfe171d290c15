"""W7: what a change and a caught-up resource cost as the database grows, and as it has more scopes.

Each size is reached by pushes, which are not measured; then some are, and catch-ups of everything, one size after the
other in each round. The figure is the server's processor time for one change or resource, which other work on the
machine moves least; its exponent says with which power of the size it has grown (0: flat).
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
from benchmarks.harness.workload import Case, Goal, Measure, Setup

__all__ = ["Growth"]

_SIZES: Final = (10_000, 100_000, 1_000_000)
_SCOPES: Final = (1, 100, 10_000)
_IN_SCOPES: Final = 100_000
_QUICK_SHARE: Final = 100
_BATCH: Final = 500
_SCOPE_BATCH: Final = 10
"""So that each of the many scopes has something."""
_AT_ONCE: Final = 200
_PUSHED: Final = 10_000
_CAUGHT_UP: Final = 100_000
"""A sample is of at least so many, or what the clock of a busy machine does would be most of it."""
_WORKS: Final = ("push", "catch up")
_BY_SIZE: Final = "as resources grow"
_BY_SCOPES: Final = "as scopes grow"
_MOST: Final = 1.15
"""How much dearer a unit may be in a database ten times as large."""
_SHOWN: Final = {"cpu_us": "µs/unit", "rate": "units/s", "exponent": "exponent"}


class Growth:
    """The workload. Its contenders are databases of several sizes, so that these are compared by turns."""

    name = "W7"
    title = "growth: what a unit costs in a database of 10⁴ to 10⁶ resources, and of 1 to 10 000 scopes"

    @property
    def goals(self) -> Sequence[Goal]:
        """A unit must cost hardly more in a larger database."""
        return [
            _flat(f"{work}, {grows}", few, many, named)
            for grows, counts, named in ((_BY_SIZE, _SIZES, _sized), (_BY_SCOPES, _SCOPES, _scoped))
            for work in _WORKS
            for few, many in pairwise(counts)
        ]

    @asynccontextmanager
    async def cases(self, setup: Setup) -> AsyncIterator[Sequence[Case]]:
        """A server for each size and for each number of scopes; all are filled before one is measured."""
        share = _QUICK_SHARE if setup.quick else 1
        async with AsyncExitStack() as stack:

            async def filled(folder: str, size: int, scopes: int, batch: int) -> _Grown:
                grown = _Grown(await stack.enter_async_context(serving(setup.folder / folder)), scopes, batch)
                await grown.fill(size, setup.note)
                return grown

            by_size = {size: await filled(f"size-{size}", size // share, 1, _BATCH) for size in _SIZES}
            by_scopes = {
                count: await filled(f"scopes-{count}", _IN_SCOPES // share, count // share or 1, _SCOPE_BATCH)
                for count in _SCOPES
            }
            cases = []
            for grows, servers, named in ((_BY_SIZE, by_size, _sized), (_BY_SCOPES, by_scopes, _scoped)):
                for work in _WORKS:
                    costs: _Costs = {}
                    measures = {
                        named(count): _with_exponent(
                            costs, count, server.push if work == "push" else server.catch_up(_CAUGHT_UP // share)
                        )
                        for count, server in servers.items()
                    }
                    cases.append(Case(f"{work}, {grows}", measures, _SHOWN))
            yield cases


class _Grown:
    """A server whose resources go to `scopes` scopes by turns, `batch` to a push."""

    def __init__(self, server: Server, scopes: int, batch: int) -> None:
        self._server = server
        self._count = 0
        self._scopes = [f"scope-{number}" for number in range(scopes)]
        self._batch = batch
        self._turn = 0
        self._notes = Notes("grower", fresh=True)
        self._replica = Replica("grower", server.port, self._notes)

    async def fill(self, size: int, note: Callable[[str], None]) -> None:
        """Until there are `size` resources."""
        async with connections(self._server.port) as (connection,):
            while self._count < size:
                if self._count % 50_000 == 0:
                    note(f"filling: {self._count:,} of {size:,} resources in {len(self._scopes):,} scopes")
                settled(await connection.ask(self._next()), self._batch)

    async def push(self) -> Sample:
        """At most a tenth more, so that it stays of its size."""
        pushes = max(4, min(_PUSHED, self._count // 10) // self._batch)
        requests = [self._next() for _ in range(pushes)]
        async with connections(self._server.port) as (connection,):
            with Meter(self._server) as meter:
                answers = [await connection.ask(request) for request in requests]
        for answer in answers:
            settled(answer, self._batch)
        return meter.sample(pushes * self._batch)

    def catch_up(self, least: int) -> Measure:
        """All of it, as many scopes at once as a pull may name; again, until `least` resources have come."""

        async def measured() -> Sample:
            found = size = times = 0
            async with connections(self._server.port) as (connection,):
                with Meter(self._server) as meter:
                    while found < least:
                        times += 1
                        for start in range(0, len(self._scopes), _AT_ONCE):
                            scopes = self._scopes[start : start + _AT_ONCE]
                            resources, came, _ = await catch_up(connection, self._server.port, scopes)
                            found += resources
                            size += came
            if found != times * self._count:
                raise RuntimeError(f"{found} resources came in {times} catch-ups, each time {self._count} were there")
            return meter.sample(found, bytes=size)

        return measured

    def _next(self) -> bytes:
        self._notes.scope = self._scopes[self._turn % len(self._scopes)]
        self._turn += 1
        self._count += self._batch
        return self._replica.push(self._batch)


_Costs = dict[int, list[float]]
"""What a unit took in each round, by the count that grows."""


def _with_exponent(costs: _Costs, count: int, measure: Measure) -> Measure:
    """`measure`, with the exponent over all counts so far, from the second on."""

    async def measured() -> Sample:
        sample = await measure()
        cost = sample.figure("cpu_us")
        if cost:
            costs.setdefault(count, []).append(cost)
        if len(costs) < 2:
            return sample
        return replace(sample, figures={**sample.figures, "exponent": _exponent(costs)})

    return measured


def _exponent(costs: _Costs) -> float:
    """The slope of log cost over log count, by least squares over the medians."""
    points = [(math.log(count), math.log(statistics.median(each))) for count, each in costs.items()]
    return statistics.linear_regression(*zip(*points, strict=True)).slope


def _sized(size: int) -> str:
    return f"{size:,} resources"


def _scoped(scopes: int) -> str:
    return "1 scope" if scopes == 1 else f"{scopes:,} scopes"


def _flat(case: str, few: int, many: int, named: Callable[[int], str]) -> Goal:
    most = round(_MOST ** math.log10(many / few), 2)
    return Goal(case, named(few), most, figure="cpu_us", less_is_better=True, of=named(many))
