"""What it costs to look up, for each change, whether whoever pushes may make it: CPU, with and without.

    python -m benchmarks.authorise            # ten alternating runs of each
    python -m benchmarks.authorise --runs 4   # fewer

The same pushes of 182-byte records into one match, through the engine and onto the disk (SQLite, FULL): by the
operator, for whom nothing is looked up, and by a scorer, whose membership is read in the transaction and whose role is
held against the type and each field. In turns on one open database, a few pushes at a time, so that both meet it
equally full and the machine equally quick. Who goes first is left to chance: what comes every few pushes, such as a
checkpoint, would else keep time with the turns. Each half of a run has two new replicas; in one the operator's is the
later of them, in the other the scorer's, since rows of the last replica are cheaper to add.
"""

from __future__ import annotations

import asyncio
import gc
import math
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.harness.records import record
from syncd.app import App, Resource, private, roles
from syncd.bus.local import LocalBus
from syncd.engine.authorise import Authoriser
from syncd.engine.limits import Limits
from syncd.engine.memberships import Memberships
from syncd.engine.principal import OPERATOR, Caller, Principal
from syncd.engine.push import Pusher
from syncd.engine.watch import Watcher
from syncd.store.sqlite import SqliteStore

__all__ = ["measure"]

MATCH: Final = "match:m1"
SCORER: Final = Principal(Caller.USER, "sam")
WHO: Final = {"operator": OPERATOR, "scorer": SCORER}
_T: Final = {3: 3.182, 5: 2.571, 9: 2.262, 19: 2.093}
"""Student's t for 95 %, two-sided, by degrees of freedom."""


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def match_app() -> App:
    """Roles, and a private field."""
    app = App("authorised")
    app.scope("match", roles=("viewer", "scorer", "owner"))

    @app.resource(scope="match:{match_id}", access=roles(read="viewer", write="scorer"))
    class Event(Resource):
        match_id: str
        player: str | None = private(read="scorer")

    return app


def pushes(replica: str, batch: int, count: int, dice: random.Random) -> Iterator[list[dict[str, Any]]]:
    """Creations, `batch` of them in each of `count` pushes."""
    for push in range(count):
        changes = []
        for place in range(batch):
            fields = record(dice)
            n = push * batch + place + 1
            stamp = f"{time.time_ns() // 1_000_000:012x}.{n & 0xFFFF:04x}.{replica}"
            changes.append(
                {"n": n, "scope": MATCH, "type": "event", "id": fields.pop("id"), "op": "create", "base": 0,
                 "stamp": stamp, "fields": {**fields, "match_id": "m1"}}
            )  # fmt: skip
        yield changes


@asynccontextmanager
async def open_pusher(path: Path) -> AsyncIterator[tuple[Pusher, Callable[[], float]]]:
    """What pushes into a new database, in which there is a scorer; and the CPU seconds that it has taken so far: of the
    event loop and of the thread that writes, not of a checkpoint, which falls into anybody's turn.
    """
    app, store, bus, limits = match_app(), await SqliteStore.open(path), LocalBus(), Limits()
    watcher = Watcher(store, bus, limits)
    pusher = Pusher(store, app, bus, watcher, _now_ms, limits)
    try:
        await Memberships(store, Authoriser(app), pusher.act, _now_ms).grant(OPERATOR, MATCH, SCORER.user, "scorer")
        writer = store._writer._connection._thread.ident
        assert writer is not None
        clock = time.pthread_getcpuclockid(writer)
        yield pusher, lambda: time.thread_time() + time.clock_gettime(clock)
    finally:
        for part in (pusher, watcher, bus, store):
            await part.close()


async def measure(
    batch: int, count: int, at_a_time: int, runs: int, console: Console
) -> tuple[list[float], list[float]]:
    """CPU microseconds of a change, of each run: by the operator, and by a scorer. `at_a_time`: pushes in a turn."""
    told: dict[str, list[float]] = {name: [] for name in WHO}
    dice = random.Random(1)
    async with AsyncExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        pusher, cpu_s = await opened.enter_async_context(open_pusher(folder / "a.db"))
        for run in track(range(runs + 1), f"batch {batch}", console=console):
            spent = dict.fromkeys(WHO, 0.0)
            for half, order in enumerate(([*WHO], [*WHO][::-1])):
                made = {name: list(pushes(f"{name}-{run}-{half}", batch, count // 2, dice)) for name in WHO}
                gc.collect()
                # It would come at the expense of whose turn it is.
                gc.disable()
                for first in range(0, count // 2, at_a_time):
                    if first:
                        dice.shuffle(order)
                    for name in order:
                        before = cpu_s()
                        for changes in made[name][first : first + at_a_time]:
                            reply = await pusher.push(f"{name}-{run}-{half}", 1, changes, principal=WHO[name])
                            assert reply.outcomes[0]["outcome"] == "applied", reply.outcomes[0]
                        spent[name] += cpu_s() - before
                gc.enable()
            # The first one warms up.
            if run:
                for name, seconds in spent.items():
                    told[name].append(seconds / (batch * count) * 1e6)
    return told["operator"], told["scorer"]


def share(without: list[float], with_: list[float]) -> tuple[float, float]:
    """By how much the second is above the first, as a share of the first, and half the 95 % interval of that."""
    shares = [b / a - 1 for a, b in zip(without, with_, strict=True)]
    t = _T.get(len(shares) - 1, 2.0)
    return statistics.mean(shares), t * statistics.stdev(shares) / math.sqrt(len(shares))


def main(runs: Annotated[int, typer.Option(help="of each, in turns; 4, 10 or 20")] = 10) -> None:
    """Measure, and print the table."""
    console = Console()
    table = Table("changes in a push", "operator, µs", "scorer, µs", "more", "95 % interval")
    for batch, count, at_a_time in ((500, 60, 1), (50, 200, 2), (1, 2000, 5)):
        without, with_ = asyncio.run(measure(batch, count, at_a_time, runs, console))
        mean, half = share(without, with_)
        medians = (f"{statistics.median(figures):.1f}" for figures in (without, with_))
        table.add_row(str(batch), *medians, f"{mean:+.1%}", f"{mean - half:+.1%} to {mean + half:+.1%}")
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
