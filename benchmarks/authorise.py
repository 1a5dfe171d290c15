"""What it costs to look up, for each change, whether whoever pushes may make it: CPU of all threads, with and without.

    python -m benchmarks.authorise            # ten alternating runs of each
    python -m benchmarks.authorise --runs 4   # fewer

The same pushes of 182-byte records into one match, through the engine and onto the disk (SQLite, FULL): by the
operator, for whom nothing is looked up, and by a scorer, whose membership is read in the transaction and whose role is
held against the type and each field. In turns on one open database, each of them first every other time, so that both
meet it equally full.
"""

from __future__ import annotations

import asyncio
import gc
import math
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
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
_T: Final = {3: 3.182, 5: 2.571, 9: 2.262, 19: 2.093}
"""Student's t for 95 %, two-sided, by degrees of freedom."""


def match_app() -> App:
    """Roles, and a private field."""
    app = App("authorised")
    app.scope("match", roles=("viewer", "scorer", "owner"))

    @app.resource(scope="match:{match_id}", access=roles(read="viewer", write="scorer"))
    class Event(Resource):
        match_id: str
        player: str | None = private(read="scorer")

    return app


def pushes(replica: str, batch: int, count: int, first: int, dice: random.Random) -> Iterator[list[dict[str, Any]]]:
    """Creations, `batch` of them in each of `count` pushes, numbered from `first`."""
    for push in range(count):
        changes = []
        for place in range(batch):
            fields = record(dice)
            n = first + push * batch + place
            stamp = f"{time.time_ns() // 1_000_000:012x}.{n & 0xFFFF:04x}.{replica}"
            changes.append(
                {"n": n, "scope": MATCH, "type": "event", "id": fields.pop("id"), "op": "create", "base": 0,
                 "stamp": stamp, "fields": {**fields, "match_id": "m1"}}
            )  # fmt: skip
        yield changes


async def measure(batch: int, count: int, runs: int, console: Console) -> tuple[list[float], list[float]]:
    """CPU microseconds of a change, of each run: by the operator, and by a scorer."""
    with tempfile.TemporaryDirectory() as folder:
        app, store, bus, limits = match_app(), await SqliteStore.open(Path(folder) / "a.db"), LocalBus(), Limits()
        watcher = Watcher(store, bus, limits)
        pusher = Pusher(store, app, bus, watcher, lambda: time.time_ns() // 1_000_000, limits)
        memberships = Memberships(store, Authoriser(app), pusher.act, lambda: time.time_ns() // 1_000_000)
        await memberships.grant(OPERATOR, MATCH, SCORER.user, "scorer")
        dice = random.Random(1)
        told: dict[str, list[float]] = {"operator": [], "scorer": []}
        numbers = dict.fromkeys(told, 1)
        try:
            for run in track(range(2 * (runs + 1)), f"batch {batch}", console=console):
                name, principal = ("operator", OPERATOR) if run % 4 in (0, 3) else ("scorer", SCORER)
                made = list(pushes(name, batch, count, numbers[name], dice))
                numbers[name] += batch * count
                gc.collect()
                before = time.process_time()
                for changes in made:
                    reply = await pusher.push(name, 1, changes, principal=principal)
                    assert reply.outcomes[0]["outcome"] == "applied", reply.outcomes[0]
                if run >= 2:
                    told[name].append((time.process_time() - before) / (batch * count) * 1e6)
        finally:
            await pusher.close()
            await watcher.close()
            await bus.close()
            await store.close()
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
    for batch, count in ((500, 20), (50, 200), (1, 2000)):
        without, with_ = asyncio.run(measure(batch, count, runs, console))
        mean, half = share(without, with_)
        medians = (f"{statistics.median(figures):.1f}" for figures in (without, with_))
        table.add_row(str(batch), *medians, f"{mean:+.1%}", f"{mean - half:+.1%} to {mean + half:+.1%}")
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
