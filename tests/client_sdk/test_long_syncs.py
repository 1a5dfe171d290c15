"""Long queues and long bootstraps through interruptions: everything arrives once, and nothing is brought twice."""

from __future__ import annotations

import asyncio
import io
import random
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from client_sdk import Client, Increment, Phase, Progress
from client_sdk.progress import progress_bar
from conflict_rules import Stamp
from conflict_rules.digest import digest_text, scope_digest
from tests.client_sdk.conftest import QUICK
from tests.client_sdk.taps import Counter, taps
from tests.sizes import SIZES
from tests.support.lossy_network import Fate, LossyNetwork, lossy_network
from tests.support.served import Served, served
from tests.support.until import until


def open_phone(url: str, path: Path, **options: object) -> Client:
    options = {"scopes": ["main"], "timing": QUICK, "dice": random.Random(1), **options}
    return Client(url, replica=path, **options)  # type: ignore[arg-type]


async def test_a_long_queue_drains_through_two_interruptions_and_ends_exactly_once(tmp_path: Path) -> None:
    """The rule counts every tap, so that one applied twice, or never, shows."""
    count, counters = SIZES.offline_changes, max(10, SIZES.offline_changes // 20)
    async with (
        served(tmp_path / "server.db", taps, max_changes=max(20, count // 10)) as server,
        lossy_network(server.port) as network,
        open_phone(network.url, tmp_path / "phone.db", app=taps) as phone,
    ):
        await phone.pause()
        clicks = phone.collection(Counter)
        for index in range(counters):
            await clicks.put(Counter(id=f"c{index}", count=1))
        for index in range(count - counters):
            await clicks.update(f"c{index % counters}", count=Increment())
        assert phone.status.pending == count
        told: list[Progress] = []
        phone.on_progress(told.append)
        pushes = iter([Fate.PASS, Fate.PASS, Fate.LOSE_REPLY, Fate.PASS, Fate.PASS, Fate.LOSE])
        network.fate_of = lambda request: next(pushes, Fate.PASS) if request.what == "push" else Fate.PASS
        console = Console(file=io.StringIO(), force_terminal=True)
        with progress_bar(phone, console):
            await phone.resume()
            await phone.synced()
        assert next(pushes, None) is None, "both interruptions were met"
        done = [each.done for each in told if each.phase is Phase.PUSH]
        assert done == sorted(done)
        assert done[-1] == count
        assert (phone.status.pending, phone.status.rejected) == (0, 0)
        async with open_phone(server.url, tmp_path / "family.db", app=taps) as family:
            await family.synced()
            assert sum([counter.count for counter in await family.collection(Counter).all()]) == count
        assert sum([counter.count for counter in await clicks.all()]) == count
        assert await phone.check("main")


async def fill(server: Served, count: int, name: str = "seed") -> None:
    """`count` notes, made by a replica of that name; with pauses, so that others have their turn."""
    for start in range(0, count, 500):
        changes = [
            {
                "n": n,
                "scope": "main",
                "type": "note",
                "id": f"{name}-{n}",
                "op": "create",
                "base": 0,
                "stamp": str(Stamp(1_763_640_000_000 + n, 0, name)),
                "fields": {"text": f"note {n} of {name}", "rank": n},
            }
            for n in range(start + 1, min(start + 500, count) + 1)
        ]
        await server.parts.pusher.push(name, 1, changes)


class Writing:
    """Writes on, one note at a time, until it is stopped."""

    def __init__(self, server: Served) -> None:
        self._server = server
        self._stopped = False
        self._task = asyncio.create_task(self._write())
        self.written = 0

    async def _write(self) -> None:
        while not self._stopped:
            n = self.written + 1
            stamp = str(Stamp(1_763_650_000_000 + n, 0, "writer"))
            change = {"n": n, "scope": "main", "type": "note", "id": f"w{n}", "op": "create", "base": 0, "stamp": stamp}
            await self._server.parts.pusher.push("writer", 1, [change | {"fields": {"text": f"written {n}"}}])
            self.written = n
            await asyncio.sleep(0.002)

    async def stop(self) -> None:
        self._stopped = True
        await self._task


async def test_a_bootstrap_that_is_cut_off_three_times_resumes_where_it_was_while_a_writer_goes_on(
    tmp_path: Path,
) -> None:
    count = SIZES.bootstrap_resources
    path = tmp_path / "phone.db"
    async with served(tmp_path / "server.db") as server, lossy_network(server.port) as network:
        await fill(server, count)
        writing = Writing(server)
        brought = 0
        cursor: str | None = None
        for part in (1, 2, 3):
            # Another process each time, as far as the file can tell.
            async with open_phone(network.url, path) as phone:
                cut = cut_after(phone, network, count // 4 - 300)
                await until(lambda: not network.up)
                brought += cut()
                assert phone._replica is not None
                row = phone._replica.scopes["main"]
                assert row.cursor not in (None, cursor), f"part {part} brought it further"
                cursor = row.cursor
            asked = len(network.requests)
            network.heal()
            async with open_phone(network.url, path) as phone:
                await until(lambda asked=asked: any(request.what == "pull" for request in network.requests[asked:]))
                first = next(request for request in network.requests[asked:] if request.what == "pull")
                assert first.json["scopes"] == {"main": cursor}, "it goes on where it was"
                cut = cut_after(phone, network, 1)
                await until(lambda: not network.up)
                brought += cut()
                assert phone._replica is not None
                cursor = phone._replica.scopes["main"].cursor
            network.heal()
        async with open_phone(network.url, path) as phone:
            rest = counting(phone)
            await phone.synced()
            await writing.stop()
            await phone.synced()
            brought += rest()
            assert brought <= count + writing.written, "nothing was brought twice"
            assert writing.written > 0
            assert await phone.collection("note").count("main") == count + writing.written
            assert await phone.check("main")
            assert phone.status.repaired == 0
            replica = phone._replica
            assert replica is not None
            mine = digest_text(scope_digest(await replica.states(None, "main")))
            page = (await server.parts.puller.pull(None, {"main": replica.scopes["main"].cursor}, digest=True))["main"]
            assert (page.digest, page.more) == (mine, False)


def counting(phone: Client) -> Callable[[], int]:
    """How many resources were brought since."""
    last = [0]
    total = [0]

    def count(progress: Progress) -> None:
        if progress.phase is Phase.PULL:
            total[0] += progress.done - last[0]
            last[0] = 0 if progress.complete else progress.done

    phone.on_progress(count)
    return lambda: total[0]


def cut_after(phone: Client, network: LossyNetwork, resources: int) -> Callable[[], int]:
    """Cuts the network once so many more were brought; returns how many it were in the end."""
    total = counting(phone)

    def cut(progress: Progress) -> None:
        if total() >= resources:
            network.cut()

    phone.on_progress(cut)
    return total
