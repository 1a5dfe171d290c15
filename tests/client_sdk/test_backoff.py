"""Waits and portions: pure, so the dice are in the test's hand."""

from __future__ import annotations

import random

import pytest

from client_sdk.backoff import Backoff, Timing
from client_sdk.portion import Portion

TIMING = Timing(first_retry_s=0.5, longest_retry_s=30)


class Dice(random.Random):
    """Always throws the same share of the range."""

    def __init__(self, share: float) -> None:
        super().__init__(0)
        self._share = share

    def uniform(self, a: float, b: float) -> float:
        return a + (b - a) * self._share


def test_waits_double_up_to_the_cap() -> None:
    backoff = Backoff(TIMING, Dice(1))
    assert [backoff.next_s() for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_thousands_of_failures_do_not_overflow() -> None:
    backoff = Backoff(TIMING, Dice(1))
    for _ in range(5_000):
        assert backoff.next_s() <= 30


def test_a_success_starts_over() -> None:
    backoff = Backoff(TIMING, Dice(1))
    backoff.next_s()
    backoff.next_s()
    backoff.reset()
    assert backoff.next_s() == 0.5


def test_jitter_spreads_over_the_whole_range_but_is_never_nothing() -> None:
    waits = [Backoff(TIMING, random.Random(seed)).next_s() for seed in range(300)]
    assert min(waits) < 0.1 < 0.4 < max(waits)
    assert Backoff(TIMING, Dice(0)).next_s() > 0


@pytest.mark.parametrize("share", [0, 0.3, 1])
def test_what_the_server_asked_for_is_never_undercut(share: float) -> None:
    assert Backoff(TIMING, Dice(share)).next_s(7) >= 7


def test_a_portion_is_what_the_server_takes_until_an_answer_comes_late() -> None:
    portion = Portion()
    assert portion.within(1_000_000) == 1_000_000
    portion.came_late(1_000_000)
    portion.came_late(1_000_000)
    assert portion.within(1_000_000) == 250_000
    assert portion.within(100_000) == 100_000


def test_a_portion_never_becomes_too_small_to_carry_anything() -> None:
    portion = Portion()
    for _ in range(50):
        portion.came_late(1_000_000)
    assert portion.within(1_000_000) == 4096


def test_a_portion_grows_back_when_answers_come() -> None:
    portion = Portion()
    for _ in range(50):
        portion.came_late(1_000_000)
    for _ in range(8):
        portion.came(1_000_000)
    assert portion.within(1_000_000) == 1_000_000
