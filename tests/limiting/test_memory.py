"""Counts in memory: token buckets under a clock that the test sets."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from syncd.limiting.counters import Standing, Take
from syncd.limiting.memory import MemoryCounters
from syncd.limiting.rate import Rate

MINUTE = Rate(6, 60_000)
HOUR = Rate(3, 3_600_000)


@dataclass
class Clock:
    ms: int = 1_763_640_000_000

    def __call__(self) -> int:
        return self.ms


@dataclass
class Counted:
    clock: Clock = field(default_factory=Clock)
    counters: MemoryCounters = field(init=False)

    def __post_init__(self) -> None:
        self.counters = MemoryCounters(self.clock)

    async def take(self, key: str = "a", rate: Rate = MINUTE, count: int = 1) -> Standing:
        (standing,) = await self.counters.take([Take(key, rate, count)])
        return standing


@pytest.fixture
def counted() -> Counted:
    return Counted()


async def test_a_full_bucket_gives_what_it_holds_and_then_one_for_each_share_of_the_time(counted: Counted) -> None:
    assert [(await counted.take()).left for _ in range(6)] == [5, 4, 3, 2, 1, 0]
    refused = await counted.take()
    assert (refused.left, refused.wait_ms) == (0, 10_000)
    counted.clock.ms += 9_999
    assert (await counted.take()).wait_ms == 1
    counted.clock.ms += 1
    assert (await counted.take()).wait_ms == 0
    assert (await counted.take()).wait_ms == 10_000


async def test_to_wait_as_long_as_it_says_is_enough_whatever_the_rate(counted: Counted) -> None:
    for count in (1, 3, 7, 300, 3000):
        rate = Rate(count, 60_000)
        for _ in range(2 * count):
            standing = await counted.take(f"k{count}", rate)
            if standing.wait_ms:
                counted.clock.ms += standing.wait_ms
                assert (await counted.take(f"k{count}", rate)).wait_ms == 0


async def test_what_is_refused_costs_nothing(counted: Counted) -> None:
    for _ in range(60):
        await counted.take()
    counted.clock.ms += 10_000
    assert (await counted.take()).wait_ms == 0


async def test_over_a_long_time_no_more_comes_through_than_the_rate_and_one_bucket(counted: Counted) -> None:
    passed = 0
    for _ in range(36_000):
        counted.clock.ms += 100
        passed += (await counted.take()).wait_ms == 0
    assert passed == 6 * 60 + 6 - 1


async def test_keys_do_not_share(counted: Counted) -> None:
    for _ in range(7):
        await counted.take("a")
    assert (await counted.take("b")).left == 5


async def test_of_several_buckets_all_give_or_none(counted: Counted) -> None:
    counters = counted.counters
    pair = [Take("narrow", HOUR), Take("wide", MINUTE)]
    for _ in range(3):
        assert [each.wait_ms for each in await counters.take(pair)] == [0, 0]
    narrow, wide = await counters.take(pair)
    assert (narrow.wait_ms, wide.wait_ms) == (1_200_000, 0)
    assert wide.left == 3
    assert (await counted.take("wide")).left == 2


async def test_it_is_told_when_a_bucket_is_full_again(counted: Counted) -> None:
    await counted.take()
    assert (await counted.take()).full_at_ms == counted.clock.ms + 20_000


async def test_more_than_a_bucket_holds_is_never_there(counted: Counted) -> None:
    standing = await counted.take(count=7)
    assert 0 < standing.wait_ms <= 60_000
    counted.clock.ms += 600_000
    assert (await counted.take(count=7)).wait_ms > 0
    assert (await counted.take(count=6)).wait_ms == 0


async def test_a_charge_may_leave_a_debt_and_no_larger_one_than_a_bucket(counted: Counted) -> None:
    await counted.counters.charge([Take("a", MINUTE, 1_000_000)])
    assert (await counted.take()).wait_ms > 60_000 - 1
    counted.clock.ms += 70_000
    assert (await counted.take()).wait_ms == 0


async def test_what_is_given_back_can_be_taken_again_and_fills_nothing_beyond_full(counted: Counted) -> None:
    for _ in range(6):
        await counted.take()
    await counted.counters.give_back([Take("a", MINUTE)])
    assert [(await counted.take()).wait_ms for _ in range(2)] == [0, 10_000]
    await counted.counters.give_back([Take("a", MINUTE, 100), Take("never", MINUTE)])
    assert (await counted.take()).left == 5


async def test_a_clock_that_is_set_back_locks_nobody_out_for_long(counted: Counted) -> None:
    for _ in range(6):
        await counted.take()
    counted.clock.ms -= 86_400_000
    assert (await counted.take()).wait_ms > 0
    counted.clock.ms += 70_000
    assert (await counted.take()).wait_ms == 0


async def test_full_buckets_are_forgotten_a_few_at_a_time(counted: Counted) -> None:
    for n in range(1000):
        await counted.take(f"old-{n}")
    counted.clock.ms += 60_000
    for n in range(600):
        await counted.take(f"new-{n}")
    assert len(counted.counters) == 600


async def test_strangers_cannot_make_it_larger_than_it_may_be_and_the_newest_counts_stay() -> None:
    clock = Clock()
    counters = MemoryCounters(clock, max_keys=100)
    for n in range(10_000):
        await counters.take([Take(f"address-{n}", MINUTE, 6)])
        assert len(counters) <= 100
    (standing,) = await counters.take([Take("address-9999", MINUTE)])
    assert standing.wait_ms > 0
