"""Law 4 with a rule that does not forgive: every +1 counts, so whatever is shown twice, or not at all, shows.

A counter makes no difference between a change that is replayed on top of a state that holds it already and one more
tap. Whatever the network loses, the phone shows at every moment exactly the taps that were made on it.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from client_sdk import Client
from conflict_rules import Algebra, Change, Kind, Mark, Merged, Op, Origin, Outcome, State
from syncd.app import App, Resource
from tests.client_sdk.conftest import OpenClient
from tests.sizes import SIZES
from tests.support.lossy_network import Fate, lossy_network
from tests.support.served import served


class Tally:
    """Adds up; the opposite of idempotent."""

    name = "tally"
    algebra = Algebra(commutative=True, associative=True, idempotent=False)
    whole_record = False

    def merge(self, state: State | None, change: Change, version: int) -> Merged:
        count = 0 if state is None else state.fields["count"]
        assert isinstance(count, int)
        added = change.fields["count"]
        assert isinstance(added, int)
        mark = {"count": Mark(version, change.stamp)}
        origin = Origin(change.replica, change.n)
        merged = State(change.scope, change.type, change.id, version, {"count": count + added}, mark, origin)
        return Merged(Outcome(Kind.APPLIED, version), merged)


taps = App("taps")


@taps.resource(scope="main", rule=Tally())
class Counter(Resource):
    """Counts taps; an update says how many to add."""

    count: int


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
                    await phone.collection(Counter).update("clicker", count=1)
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
                    await phones[me].collection(Counter).update("clicker", count=1)
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


async def test_deletes_do_not_hide_what_a_tally_counts(tmp_path: Path, open_client: OpenClient) -> None:
    async with served(tmp_path / "server.db", taps) as server:
        phone = await open_client("phone", server.url, app=taps)
        await phone.collection(Counter).put(Counter(id="clicker", count=2))
        await phone.synced()
        handle = await phone.collection(Counter).delete("clicker")
        assert handle.change.op is Op.DELETE
        await phone.synced()
        assert await shown(phone) == 0
