"""How much a queue of 10 000 changes that drains slows others down: their p99 beside it, against their p99 alone.

    python benchmarks/long_queue.py [--changes 10000] [--others 8] [--seconds 10]

One server process, one process that drains, and here the others, each pushing one change at a time with a pause after
it. Both figures come from the same run. Checks first that everything arrived exactly once.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from client_sdk import Client  # noqa: E402
from client_sdk.blocking import Client as BlockingClient  # noqa: E402
from conflict_rules import Stamp  # noqa: E402
from tests.support.server import running_server  # noqa: E402

_PAUSE_S = 0.02


class Other:
    """Pushes one change after another, and notes how long each answer took, in ms."""

    def __init__(self, name: str, url: str, session: aiohttp.ClientSession) -> None:
        self.name = name
        self.latencies_ms: list[float] = []
        self.n = 0
        self._url = f"{url}/sync/v1/push"
        self._session = session
        self._dice = random.Random(name)

    async def push(self) -> None:
        self.n += 1
        stamp = str(Stamp(time.time_ns() // 1_000_000, self.n % 65536, self.name))
        change: dict[str, Any] = {"n": self.n, "scope": "others", "type": "note", "id": f"{self.name}-{self.n}"}
        change |= {"op": "create", "base": 0, "stamp": stamp, "fields": {"text": "one of many"}}
        started = time.perf_counter()
        async with self._session.post(
            self._url, json={"replica": self.name, "schema": 1, "changes": [change]}
        ) as response:
            outcome = (await response.json())["outcomes"][0]["outcome"]
        assert outcome == "applied", outcome
        self.latencies_ms.append((time.perf_counter() - started) * 1000)

    async def keep_pushing(self, until: asyncio.Event) -> None:
        while not until.is_set():
            await self.push()
            await asyncio.sleep(self._dice.uniform(0, 2 * _PAUSE_S))


def p99(others: list[Other]) -> tuple[float, int]:
    """p99 of all their answers so far, in ms, and of how many; then they start anew."""
    latencies = sorted(latency for other in others for latency in other.latencies_ms)
    for other in others:
        other.latencies_ms.clear()
    return latencies[int(len(latencies) * 0.99)], len(latencies)


def fill(replica: Path, changes: int) -> None:
    with BlockingClient(None, replica=replica) as client:
        notes = client.collection("note", scope="main")
        for start in range(0, changes, 500):
            for index in range(start, min(start + 500, changes)):
                notes.put({"id": f"n{index}", "text": f"made offline, number {index}", "rank": index})


def drain(replica: str, url: str) -> None:
    """In a process of its own."""
    with BlockingClient(url, replica=replica) as client:
        client.synced()


async def measure(changes: int, count: int, seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        replica = Path(folder) / "phone.db"
        await asyncio.to_thread(fill, replica, changes)
        async with (
            running_server(Path(folder) / "server.db") as server,
            aiohttp.ClientSession() as session,
        ):
            # The server on one core; the phones, which are elsewhere in life, on the other, in each other's way least.
            for task in os.listdir(f"/proc/{server.pid}/task"):
                os.sched_setaffinity(int(task), {0})
            os.sched_setaffinity(0, {1})
            others = [Other(f"other-{index}", server.url, session) for index in range(count)]
            done = asyncio.Event()
            tasks = [asyncio.create_task(other.keep_pushing(done)) for other in others]
            await asyncio.sleep(1)
            p99(others)
            await asyncio.sleep(seconds)
            alone, alone_count = p99(others)
            started = time.perf_counter()
            process = await asyncio.create_subprocess_exec(
                "nice",
                "-n",
                "19",
                sys.executable,
                __file__,
                "--drain",
                str(replica),
                server.url,
                stdout=subprocess.DEVNULL,
            )
            assert await process.wait() == 0
            took_s = time.perf_counter() - started
            beside, beside_count = p99(others)
            await asyncio.sleep(seconds)
            after, _ = p99(others)
            done.set()
            await asyncio.gather(*tasks)
            async with Client(server.url, replica=Path(folder) / "check.db", scopes=["main", "others"]) as check:
                await check.synced()
                assert await check.collection("note").count("main") == changes
                assert await check.collection("note").count("others") == sum(other.n for other in others)
                assert await check.check("main")
    lines = [
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {count} others, one change at a time",
        f"queue of {changes}: drained in {took_s:.1f} s with its process's start, exactly once, digests equal",
        f"p99 alone {alone:.1f} ms ({alone_count} pushes), beside it {beside:.1f} ms ({beside_count})",
        f"p99 alone again, after it: {after:.1f} ms",
        f"ratio {beside / min(alone, after):.2f} to the lower of both (wanted: at most 1.5)",
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--drain"]:
        drain(*sys.argv[2:4])
    else:
        parser = argparse.ArgumentParser(description=__doc__)
        parser.add_argument("--changes", type=int, default=10_000)
        parser.add_argument("--others", type=int, default=8)
        parser.add_argument("--seconds", type=float, default=10.0)
        given = parser.parse_args()
        asyncio.run(measure(given.changes, given.others, given.seconds))
