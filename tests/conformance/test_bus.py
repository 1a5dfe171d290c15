"""What every bus must do, sentence by sentence of syncd/bus/protocol.py.

A bus may be late, so the tests await what they expect; where nothing must come, they await what was published after.
"""

from __future__ import annotations

import asyncio

from syncd.bus.protocol import Bus

PATIENCE_S = 10


class Ear:
    """A listener that remembers, and can be waited for."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, int]] = []
        self._came = asyncio.Event()

    def __call__(self, scope: str, version: int) -> None:
        self.heard.append((scope, version))
        self._came.set()

    async def hears(self, scope: str, version: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while (scope, version) not in self.heard:
                self._came.clear()
                await self._came.wait()


async def test_every_listener_hears_how_far_a_scope_is(bus: Bus) -> None:
    ears = [Ear(), Ear()]
    for ear in ears:
        bus.subscribe(ear)
    bus.publish("match:9f", 7)
    for ear in ears:
        await ear.hears("match:9f", 7)


async def test_listeners_hear_of_every_scope(bus: Bus) -> None:
    ear = Ear()
    bus.subscribe(ear)
    bus.publish("match:9f", 1)
    bus.publish("user:42", 1)
    await ear.hears("match:9f", 1)
    await ear.hears("user:42", 1)


async def test_the_last_of_many_publications_arrives(bus: Bus) -> None:
    """Earlier ones may be lost or doubled: the last one says all."""
    ear = Ear()
    bus.subscribe(ear)
    for version in range(1, 101):
        bus.publish("match:9f", version)
    await ear.hears("match:9f", 100)


async def test_a_listener_is_not_told_of_what_was_not_published(bus: Bus) -> None:
    ear = Ear()
    bus.subscribe(ear)
    bus.publish("match:9f", 1)
    bus.publish("match:9f", 2)
    await ear.hears("match:9f", 2)
    assert set(ear.heard) <= {("match:9f", 1), ("match:9f", 2)}


async def test_a_subscription_that_has_ended_hears_nothing_more(bus: Bus) -> None:
    gone, other = Ear(), Ear()
    end = bus.subscribe(gone)
    bus.subscribe(other)
    bus.publish("match:9f", 1)
    await gone.hears("match:9f", 1)
    end()
    bus.publish("match:9f", 2)
    await other.hears("match:9f", 2)
    assert ("match:9f", 2) not in gone.heard


async def test_ending_a_subscription_twice_leaves_others_of_the_same_listener_alone(bus: Bus) -> None:
    ear = Ear()
    end = bus.subscribe(ear)
    bus.subscribe(ear)
    end()
    end()
    bus.publish("match:9f", 1)
    await ear.hears("match:9f", 1)


async def test_listeners_may_come_and_go_while_one_is_called(bus: Bus) -> None:
    late, steady = Ear(), Ear()

    def restless(scope: str, version: int) -> None:
        end()
        bus.subscribe(late)

    end = bus.subscribe(restless)
    bus.subscribe(steady)
    bus.publish("match:9f", 1)
    await steady.hears("match:9f", 1)
    bus.publish("match:9f", 2)
    await late.hears("match:9f", 2)
    await steady.hears("match:9f", 2)


async def test_publishing_without_listeners_is_fine(bus: Bus) -> None:
    bus.publish("match:9f", 1)
    ear = Ear()
    bus.subscribe(ear)
    bus.publish("match:9f", 2)
    await ear.hears("match:9f", 2)


async def test_a_closed_bus_delivers_nothing_and_neither_publishing_nor_closing_again_raises(bus: Bus) -> None:
    ear = Ear()
    bus.subscribe(ear)
    bus.publish("match:9f", 1)
    await ear.hears("match:9f", 1)
    await bus.close()
    bus.publish("match:9f", 2)
    await bus.close()
    assert ("match:9f", 2) not in ear.heard
