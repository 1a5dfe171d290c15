"""Log-in throttling: who guesses is slowed down, and who owns the account is not locked out."""

from __future__ import annotations

import pytest

from syncd.errors import RateLimited
from syncd.limiting.logins import LoginThrottle
from syncd.limiting.memory import MemoryCounters
from syncd.limiting.names import account_name, hidden
from syncd.limiting.table import RateTable


class Clock:
    def __init__(self) -> None:
        self.ms = 1_763_640_000_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def throttle(clock: Clock) -> LoginThrottle:
    return LoginThrottle(RateTable(), MemoryCounters(clock))


async def admitted(throttle: LoginThrottle, account: str, address: str, times: int, *, known: str = "") -> int:
    count = 0
    for _ in range(times):
        try:
            await throttle.admit(account, address, known_device=known)
        except RateLimited:
            continue
        count += 1
    return count


async def test_five_tries_and_then_one_every_three_minutes(throttle: LoginThrottle, clock: Clock) -> None:
    assert await admitted(throttle, "asha", "192.0.2.1", 20) == 5
    with pytest.raises(RateLimited) as refused:
        await throttle.admit("asha", "192.0.2.1")
    assert refused.value.retry_after_s == 180
    assert "asha" not in f"{refused.value.message} {refused.value.hint}"
    clock.ms += 180_000
    assert await admitted(throttle, "asha", "192.0.2.1", 20) == 1


async def test_one_address_cannot_lock_an_account_out_elsewhere(throttle: LoginThrottle, clock: Clock) -> None:
    for _ in range(24 * 20):
        await admitted(throttle, "asha", "203.0.113.9", 3)
        clock.ms += 180_000
    assert await admitted(throttle, "asha", "192.0.2.1", 5) == 5


async def test_many_addresses_together_get_no_further_than_a_hundred_tries_an_hour(throttle: LoginThrottle) -> None:
    tries = [await admitted(throttle, "asha", f"203.0.113.{n}", 5) for n in range(200)]
    assert sum(tries) == 100


async def test_and_the_owner_comes_in_all_the_same_from_a_device_of_his(throttle: LoginThrottle) -> None:
    for n in range(200):
        await admitted(throttle, "asha", f"203.0.113.{n}", 5)
    assert await admitted(throttle, "asha", "192.0.2.1", 5) == 0
    assert await admitted(throttle, "asha", "192.0.2.1", 9, known="phone") == 5


async def test_a_device_that_is_known_guesses_no_faster_than_a_crowd(throttle: LoginThrottle) -> None:
    """Somebody may have stolen it, and what it shows."""
    tries = [await admitted(throttle, "asha", f"203.0.113.{n}", 5, known="phone") for n in range(200)]
    assert sum(tries) == 100
    assert await admitted(throttle, "asha", "192.0.2.1", 5, known="tablet") == 5
    assert await admitted(throttle, "asha", "192.0.2.2", 5) == 5, "and its guesses keep nobody else out"


async def test_a_right_password_of_a_device_that_is_known_does_not_count(throttle: LoginThrottle) -> None:
    for n in range(200):
        await throttle.admit("asha", f"203.0.113.{n}", known_device="phone")
        await throttle.succeeded("asha", f"203.0.113.{n}", known_device="phone")


async def test_one_address_cannot_try_a_few_passwords_on_every_account(throttle: LoginThrottle) -> None:
    tries = [await admitted(throttle, f"player-{n}", "203.0.113.9", 2) for n in range(100)]
    assert sum(tries) == 60


async def test_a_right_password_does_not_count_so_that_a_whole_club_can_log_in(throttle: LoginThrottle) -> None:
    for n in range(300):
        await throttle.admit(f"player-{n}", "192.0.2.1")
        await throttle.succeeded(f"player-{n}", "192.0.2.1")
    for _ in range(30):
        await throttle.admit("asha", "192.0.2.1")
        await throttle.succeeded("asha", "192.0.2.1")


async def test_what_is_refused_by_one_bucket_takes_from_no_other(throttle: LoginThrottle) -> None:
    assert await admitted(throttle, "asha", "192.0.2.1", 500) == 5
    assert await admitted(throttle, "asha", "198.51.100.7", 5) == 5
    assert await admitted(throttle, "ben", "192.0.2.1", 5) == 5


@pytest.mark.parametrize(
    "spelling", ["ASHA@club.example", " asha@club.example ", "asha@club.example", "ａsha@club.example"]
)
async def test_every_spelling_of_a_name_is_one_account(throttle: LoginThrottle, spelling: str) -> None:
    assert await admitted(throttle, "asha@club.example", "192.0.2.1", 5) == 5
    assert await admitted(throttle, spelling, "192.0.2.1", 1) == 0


@pytest.mark.parametrize("name", ["", "\ud800", "a" * 100_000, "' OR 1=1 --", "\x00"])
async def test_any_text_may_be_tried_as_a_name(throttle: LoginThrottle, name: str) -> None:
    assert await admitted(throttle, name, "192.0.2.1", 9) == 5


def test_a_name_cannot_be_read_back() -> None:
    assert len(hidden("asha")) == 32
    assert hidden("asha") != hidden("ben")
    assert account_name(" Straße ") == account_name("STRASSE")
