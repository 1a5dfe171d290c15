"""Invariant 4: versions of a scope become visible in order and without gaps, whoever reads, while many write."""

from __future__ import annotations

import asyncio
import json
import random

from tests.support.engine import Engine
from tests.support.onlookers import bodies_of

WRITERS, CHANGES_EACH = 12, 25


async def write(engine: Engine, name: str) -> None:
    replica, chance = engine.replica(name), random.Random(name)
    for i in range(CHANGES_EACH):
        await replica.create(f"{name}-{i}", v=i)
        for _ in range(chance.randrange(3)):
            await asyncio.sleep(0)


async def test_a_puller_meets_every_version_in_order(engine: Engine) -> None:
    writers = [asyncio.create_task(write(engine, f"w{i}")) for i in range(WRITERS)]
    met: list[int] = []
    cursor: str | None = None
    while len(met) < WRITERS * CHANGES_EACH:
        all_written = all(writer.done() for writer in writers)  # asked before the page, which may be older than now
        page = (await engine.puller.pull("reader", {"main": cursor}))["main"]
        met.extend(json.loads(body)["version"] for body in page.bodies)
        cursor = page.cursor
        if all_written and not page.bodies:
            break
    await asyncio.gather(*writers)
    assert met == list(range(1, WRITERS * CHANGES_EACH + 1))


async def test_a_watcher_that_joins_in_the_middle_misses_nothing(engine: Engine) -> None:
    writers = [asyncio.create_task(write(engine, f"w{i}")) for i in range(WRITERS)]
    await engine.replica("first").create("first", v=1)
    connection = engine.watcher.connect()
    await engine.watcher.subscribe(connection, {"main": None})
    page = (await engine.puller.pull(None, {"main": None}, 1 << 20))["main"]
    versions = [json.loads(body)["version"] for body in page.bodies]
    cursor = page.cursor
    async with asyncio.timeout(30):
        async for raw in bodies_of(connection):
            frame = json.loads(raw)
            if frame["after"] != cursor:
                # A gap, as for any reader that pulled while frames were under way: pull again.
                page = (await engine.puller.pull(None, {"main": cursor}, 1 << 20))["main"]
                versions += [json.loads(body)["version"] for body in page.bodies]
                cursor = page.cursor
            else:
                versions += [entry["version"] for entry in frame["entries"]]
                cursor = frame["upto"]
            if len(versions) > WRITERS * CHANGES_EACH:
                break
    await asyncio.gather(*writers)
    assert versions == list(range(1, WRITERS * CHANGES_EACH + 2))


async def test_pushes_that_wait_share_a_commit_and_keep_the_order_of_each_replica(engine: Engine) -> None:
    replicas = [engine.replica(f"r{i}") for i in range(16)]
    batches = [[replica.change("create", f"{replica.id}-{i}", 0, v=i) for i in range(20)] for replica in replicas]
    replies = await asyncio.gather(*(replica.push(*batch) for replica, batch in zip(replicas, batches, strict=True)))
    for outcomes in replies:
        versions = [outcome["version"] for outcome in outcomes]
        assert versions == sorted(versions)
    assert sorted(o["version"] for outcomes in replies for o in outcomes) == list(range(1, 321))
