"""Law 4 with a rule that does not forgive: every +1 counts, so whatever is shown twice, or not at all, shows.

A counter makes no difference between a change that is replayed on top of a state that holds it already and one more
tap. Whatever the network loses, the phone shows at every moment exactly the taps that were made on it.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from client_sdk import Client, Increment
from conflict_rules import Op
from tests.client_sdk.conftest import OpenClient
from tests.client_sdk.taps import Counter, taps
from tests.sizes import SIZES
from tests.support.lossy_network import Fate, lossy_network
from tests.support.served import served
from tests.support.server import running_server


async def shown(client: Client) -> int:
    counter = await client.collection(Counter).get("clicker")
    return 0 if counter is None else counter.count


async def test_a_tap_is_shown_exactly_once_at_every_moment(tmp_path: Path, open_client: OpenClient) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    dice = random.Random(seed)
    made = 0
    async with served(tmp_path / "server.db", taps) as server, lossy_network(server.port) as network:
        network.fate_of = lambda request: dice.choices(list(Fate), [0.55, 0.15, 0.2, 0.1])[0]
        phone = await open_client("phone", network.url, app=taps)
        await phone.collection(Counter).put(Counter(id="clicker", count=0))
        for step in range(min(SIZES.property_examples, 400)):
            match dice.randrange(6):
                case 0 | 1 | 2:
                    await phone.collection(Counter).update("clicker", count=Increment())
                    made += 1
                case 3:
                    network.break_live()
                case _:
                    await asyncio.sleep(dice.random() * 0.01)
            assert await shown(phone) == made, f"after {step} steps"
        network.fate_of = lambda request: Fate.PASS
        done = asyncio.create_task(phone.synced())
        while not done.done():
            assert await shown(phone) == made
        for request in list(network.late):
            await network.deliver(request)
        await phone.synced()
        assert await shown(phone) == made
        fresh = await open_client("fresh", server.url, app=taps)
        await fresh.synced()
        assert await shown(fresh) == made


async def test_taps_of_two_phones_only_ever_add_up(tmp_path: Path, open_client: OpenClient) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    dice = random.Random(seed)
    async with served(tmp_path / "server.db", taps) as server, lossy_network(server.port) as network:
        network.fate_of = lambda request: dice.choices(list(Fate), [0.7, 0.1, 0.15, 0.05])[0]
        phones = [await open_client(name, network.url, app=taps) for name in ("a", "b")]
        await phones[0].collection(Counter).put(Counter(id="clicker", count=0))
        await phones[0].synced()
        await phones[1].synced()
        made = [0, 0]

        async def tap(me: int) -> None:
            seen = 0
            for _ in range(60):
                if dice.random() < 0.4:
                    await phones[me].collection(Counter).update("clicker", count=Increment())
                    made[me] += 1
                if dice.random() < 0.1:
                    network.break_live()
                await asyncio.sleep(dice.random() * 0.01)
                now = await shown(phones[me])
                assert seen <= now <= sum(made), "a tap was lost from sight, or shown twice"
                assert now >= made[me]
                seen = now

        await asyncio.gather(tap(0), tap(1))
        network.fate_of = lambda request: Fate.PASS
        for _ in range(2):
            for phone in phones:
                await phone.synced()
        assert [await shown(phone) for phone in phones] == [sum(made)] * 2


async def test_a_tap_counts_once_although_the_server_is_killed_in_between(
    tmp_path: Path, open_client: OpenClient
) -> None:
    """Real processes, kill -9: what was committed without an answer is a repeat, and what was not is made good."""
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    dice = random.Random(seed)
    async with running_server(tmp_path / "server.db", app="tests.client_sdk.taps:taps") as server:
        phones = [await open_client(name, server.url, app=taps) for name in ("a", "b", "c")]
        await phones[0].collection(Counter).put(Counter(id="clicker", count=0))
        for phone in phones:
            await phones[0].synced()
            await phone.synced()
        made = [0, 0, 0]
        killed = asyncio.Event()

        async def tap(me: int) -> None:
            while not killed.is_set():
                await phones[me].collection(Counter).update("clicker", count=Increment())
                made[me] += 1
                assert await shown(phones[me]) >= made[me]
                await asyncio.sleep(dice.random() * 0.01)

        tapping = [asyncio.create_task(tap(me)) for me in range(3)]
        for _ in range(4):
            await asyncio.sleep(dice.random() * 0.3)
            await server.kill()
            await server.start()
        killed.set()
        await asyncio.gather(*tapping)
        for _ in range(2):
            for phone in phones:
                await phone.synced()
        assert [await shown(phone) for phone in phones] == [sum(made)] * 3


async def test_deletes_do_not_hide_what_a_tally_counts(tmp_path: Path, open_client: OpenClient) -> None:
    async with served(tmp_path / "server.db", taps) as server:
        phone = await open_client("phone", server.url, app=taps)
        await phone.collection(Counter).put(Counter(id="clicker", count=2))
        await phone.synced()
        handle = await phone.collection(Counter).delete("clicker")
        assert handle.change.op is Op.DELETE
        await phone.synced()
        assert await shown(phone) == 0
