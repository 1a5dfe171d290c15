"""Law 2 on the device: stamps above all that was shown, and an offset that is learned but never rewrites the past."""

from __future__ import annotations

import pytest

from client_sdk.device_clock import DeviceClock
from conflict_rules import MAX_DRIFT_MS, Stamp

HOUR_MS = 3_600_000
NOON_MS = 1_763_640_000_000


def test_a_stamp_lies_above_everything_shown() -> None:
    clock = DeviceClock("r", lambda: NOON_MS)
    clock.take_note([Stamp(NOON_MS + 500, 3, "s"), Stamp(NOON_MS - 500, 0, "t")])
    assert clock.tick() > Stamp(NOON_MS + 500, 3, "s")


def test_a_stamp_beyond_the_drift_bound_is_told_but_not_followed() -> None:
    clock = DeviceClock("r", lambda: NOON_MS)
    clock.take_note([Stamp(NOON_MS + HOUR_MS, 0, "s"), Stamp(NOON_MS + 5, 0, "t")])
    assert clock.drift is not None
    assert "3600 s ahead" in clock.drift
    assert Stamp(NOON_MS + 5, 0, "t") < clock.tick() < Stamp(NOON_MS + HOUR_MS, 0, "s")


def test_stamps_rise_over_a_restart_though_the_clock_went_back() -> None:
    last = DeviceClock("r", lambda: NOON_MS).tick()
    assert DeviceClock("r", lambda: NOON_MS - HOUR_MS, last=last).tick() > last


def test_the_offset_is_measured_from_the_middle_of_the_round_trip() -> None:
    clock = DeviceClock("r", lambda: NOON_MS)
    assert clock.learn(NOON_MS + HOUR_MS, 400)
    assert clock.offset_ms == HOUR_MS + 200
    assert clock.now_ms() == NOON_MS + HOUR_MS + 200


def test_a_small_difference_is_left_alone() -> None:
    clock = DeviceClock("r", lambda: NOON_MS)
    assert not clock.learn(NOON_MS + 1_900, 0)
    assert not clock.learn(NOON_MS - 5_000, 12_000), "a slow round trip measures nothing"
    assert clock.offset_ms == 0


@pytest.mark.parametrize("nonsense_ms", [-5, 0, 1 << 48, 1 << 70])
def test_a_time_that_no_stamp_could_hold_is_not_learned(nonsense_ms: int) -> None:
    clock = DeviceClock("r", lambda: NOON_MS)
    assert not clock.learn(nonsense_ms, 0)
    assert clock.tick().wall_ms == NOON_MS


def test_the_offset_goes_back_when_somebody_sets_the_clock() -> None:
    device_ms = NOON_MS + 3 * HOUR_MS
    clock = DeviceClock("r", lambda: device_ms)
    clock.learn(NOON_MS, 0)
    assert clock.offset_ms == -3 * HOUR_MS
    device_ms = NOON_MS
    clock.learn(NOON_MS, 0)
    assert clock.offset_ms == 0


def test_a_clock_found_to_be_ahead_mints_true_stamps_from_then_on() -> None:
    """Invariant 7: a wrong clock does not win for ever."""
    clock = DeviceClock("r", lambda: NOON_MS + 3 * HOUR_MS)
    wrong = clock.tick()
    clock.learn(NOON_MS, 0)
    right = clock.tick()
    assert wrong.wall_ms == NOON_MS + 3 * HOUR_MS
    assert right.wall_ms <= NOON_MS + MAX_DRIFT_MS


def test_what_was_shown_stays_below_also_when_the_clock_is_corrected() -> None:
    clock = DeviceClock("r", lambda: NOON_MS + 3 * HOUR_MS)
    clock.take_note([Stamp(NOON_MS + 700, 0, "s")])
    clock.tick()
    clock.learn(NOON_MS, 0)
    assert Stamp(NOON_MS + 700, 0, "s") < clock.tick()
    assert clock.shown == Stamp(NOON_MS + 700, 0, "s")


def test_under_another_id_stamps_still_rise() -> None:
    clock = DeviceClock("r", lambda: NOON_MS)
    before = clock.tick()
    clock.rename("fresh")
    after = clock.tick()
    assert after > before
    assert after.replica == "fresh"
