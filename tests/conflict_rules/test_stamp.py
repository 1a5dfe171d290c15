"""`conflict_rules.stamp`: hybrid logical clocks."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conflict_rules import (
    MAX_DRIFT_MS,
    Clock,
    ClockDrift,
    ClockOverflow,
    Stamp,
    StampError,
    StampMalformed,
    effective_stamp,
)

REPLICAS = st.text("abyzABYZ0189_-", min_size=1, max_size=64)
STAMPS = st.builds(Stamp, st.integers(0, (1 << 48) - 1), st.integers(0, 0xFFFF), REPLICAS)
NOW_MS = 1_764_000_000_000


@given(STAMPS)
def test_a_stamp_is_read_back_from_its_text(stamp: Stamp) -> None:
    assert Stamp.parse(str(stamp)) == stamp


@given(STAMPS, STAMPS)
def test_texts_sort_as_their_stamps_do(one: Stamp, other: Stamp) -> None:
    assert (str(one) < str(other)) == (one < other)


@given(STAMPS.filter(lambda stamp: stamp.wall_ms < (1 << 48) - 1), STAMPS)
def test_the_next_stamp_is_above_with_none_of_the_same_replica_between(stamp: Stamp, other: Stamp) -> None:
    following = stamp.next("r")
    assert stamp < following
    if other.replica == "r":
        assert not (stamp.wall_ms, stamp.count) < (other.wall_ms, other.count) < (following.wall_ms, following.count)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0193a6c0f2e1.0000",
        "0193a6c0f2e1.0000.",
        "0193A6C0F2E1.0000.r",
        "193a6c0f2e1.0000.r",
        "00193a6c0f2e1.0000.r",
        "0193a6c0f2e1.00000.r",
        "0193a6c0f2e1.0000.r\n",
        " 0193a6c0f2e1.0000.r",
        "0193a6c0f2e1.0000.r r",
        "0193a6c0f2e1.0000." + "r" * 65,
        "０193a6c0f2e1.0000.r",
        "-193a6c0f2e1.0000.r",
        None,
        7,
        b"0193a6c0f2e1.0000.r",
        ["0193a6c0f2e1.0000.r"],
    ],
)
def test_what_is_not_a_stamp_is_named_in_the_failure(text: object) -> None:
    with pytest.raises(StampMalformed, match="is not a stamp"):
        Stamp.parse(text)


@pytest.mark.parametrize("wall_ms", [-1, 1 << 48])
def test_a_wall_clock_that_fits_no_stamp_is_a_named_failure(wall_ms: int) -> None:
    with pytest.raises(ClockOverflow, match="set the device's clock"):
        Clock("r", lambda: wall_ms).tick()


def test_every_failure_of_stamps_and_clocks_is_a_stamp_error() -> None:
    assert all(issubclass(failure, StampError) for failure in (StampMalformed, ClockDrift, ClockOverflow))


class Wall:
    """A wall clock that stands where it is put."""

    def __init__(self, now_ms: int = NOW_MS) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms


@given(st.lists(st.integers(0, NOW_MS * 2), min_size=1, max_size=20))
def test_ticks_rise_however_the_wall_clock_jumps(readings: list[int]) -> None:
    wall = Wall()
    clock = Clock("r", wall)
    ticks = []
    for wall.now_ms in readings:
        ticks.append(clock.tick())
    assert all(earlier < later for earlier, later in pairwise(ticks))


def test_a_tick_reads_the_wall_clock_when_it_has_moved_on() -> None:
    wall = Wall()
    clock = Clock("r", wall)
    clock.tick()
    wall.now_ms += 5
    assert clock.tick() == Stamp(NOW_MS + 5, 0, "r")


def test_more_ticks_in_one_millisecond_than_the_counter_holds_borrow_from_the_next() -> None:
    clock = Clock("r", Wall(), last=Stamp(NOW_MS, 0xFFFF, "r"))
    assert clock.tick() == Stamp(NOW_MS + 1, 0, "r")


def test_a_clock_goes_on_above_the_last_stamp_of_its_earlier_run() -> None:
    last = Stamp(NOW_MS + 9_000, 4, "r")
    assert Clock("r", Wall(), last=last).tick() == Stamp(NOW_MS + 9_000, 5, "r")


@given(st.integers(-MAX_DRIFT_MS, MAX_DRIFT_MS), st.integers(0, 0xFFFF), REPLICAS)
def test_a_tick_lies_above_what_was_received_within_the_bound(ahead_ms: int, count: int, other: str) -> None:
    clock = Clock("r", Wall())
    shown = Stamp(NOW_MS + ahead_ms, count, other)
    clock.receive(shown)
    assert clock.tick() > shown


def test_receiving_an_old_stamp_changes_nothing() -> None:
    clock = Clock("r", Wall())
    minted = clock.tick()
    clock.receive(Stamp(NOW_MS - 1, 0, "s"))
    assert clock.last == minted


def test_a_clock_does_not_follow_a_stamp_beyond_the_bound() -> None:
    clock = Clock("r", Wall())
    with pytest.raises(ClockDrift, match="61 s ahead of this clock, more than the 60 s allowed") as failure:
        clock.receive(Stamp(NOW_MS + 61_000, 0, "s"))
    assert failure.value.ahead_ms == 61_000
    assert clock.last is None
    assert clock.tick() == Stamp(NOW_MS, 0, "r")


@given(STAMPS, st.integers(0, (1 << 48) - 1 - MAX_DRIFT_MS), st.none() | STAMPS)
def test_an_effective_stamp_is_bounded_keeps_its_replica_and_rises(
    stamp: Stamp, now_ms: int, after: Stamp | None
) -> None:
    if after is not None and after.wall_ms > now_ms + MAX_DRIFT_MS:
        after = None  # no effective stamp of this server lies there, unless its own clock fell back
    effective = effective_stamp(stamp, now_ms=now_ms, after=after)
    assert effective.replica == stamp.replica
    assert effective.wall_ms <= now_ms + MAX_DRIFT_MS + 1
    assert after is None or effective > after


@given(st.integers(-MAX_DRIFT_MS * 1000, MAX_DRIFT_MS), st.integers(0, MAX_DRIFT_MS))
def test_within_the_bound_the_effective_stamp_is_the_one_that_was_made_whenever_it_arrives(
    ahead_ms: int, delay_ms: int
) -> None:
    stamp = Stamp(NOW_MS + ahead_ms, 0, "r")
    assert effective_stamp(stamp, now_ms=NOW_MS + delay_ms) == stamp


def test_a_stamp_beyond_the_bound_is_clamped_to_it() -> None:
    a_day_ahead = Stamp(NOW_MS + 86_400_000, 7, "r")
    assert effective_stamp(a_day_ahead, now_ms=NOW_MS) == Stamp(NOW_MS + MAX_DRIFT_MS, 0, "r")


def test_two_clamped_stamps_of_one_replica_keep_their_order() -> None:
    first = effective_stamp(Stamp(NOW_MS + 86_400_000, 0, "r"), now_ms=NOW_MS)
    second = effective_stamp(Stamp(NOW_MS + 86_400_001, 0, "r"), now_ms=NOW_MS, after=first)
    assert first < second
