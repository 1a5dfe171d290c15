"""Minutes of the match and the clock of a period: each tells the other."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.apps.grassroots import Event, app
from syncd.apps.grassroots.timeline import Lengths, match_order, mm_ss, moment_at, period_of, timestamp
from tests.apps.grassroots.make import a_match, event

FULL = Lengths()
UNDER_TENS = Lengths(half=25, extra_half=5)


@pytest.mark.parametrize(
    ("fields", "lengths", "shown"),
    [
        ({"minute": 1}, FULL, (1, "00:00")),
        ({"minute": 24, "second": 45}, FULL, (1, "23:45")),
        ({"minute": 45, "added": 2}, FULL, (1, "46:00")),
        ({"minute": 46}, FULL, (2, "00:00")),
        ({"minute": 69, "second": 45, "period": 2}, FULL, (2, "23:45")),
        ({"minute": 90, "added": 4, "second": 30}, FULL, (2, "48:30")),
        ({"minute": 91}, FULL, (3, "00:00")),
        ({"minute": 105, "added": 1}, FULL, (3, "15:00")),
        ({"minute": 118}, FULL, (4, "12:00")),
        ({"minute": 120, "period": 5}, FULL, (5, "00:00")),
        ({"minute": 26}, UNDER_TENS, (2, "00:00")),
        ({"minute": 25, "added": 3}, UNDER_TENS, (1, "27:00")),
        ({"minute": 51}, UNDER_TENS, (3, "00:00")),
    ],
)
def test_an_event_has_the_period_of_its_minute_and_the_time_of_the_periods_clock(
    fields: dict[str, Any], lengths: Lengths, shown: tuple[int, str]
) -> None:
    happening = event("e1", **fields)
    assert (period_of(happening, lengths), timestamp(happening, lengths)) == shown


def test_the_period_that_an_event_says_counts_before_its_minute() -> None:
    """A minute past 45 without stoppage time, in a first half that went on."""
    assert timestamp(event("e1", minute=47, period=1), FULL) == "46:00"


@pytest.mark.parametrize("fields", [{"minute": 0}, {"minute": 10, "second": 5, "period": 2}])
def test_a_minute_before_its_period_is_shown_as_its_beginning(fields: dict[str, Any]) -> None:
    assert timestamp(event("e1", **fields), FULL) == "00:00"


@given(
    period=st.integers(1, 5),
    # Up to an hour of stoppage time, which is as much as an event can say.
    seconds=st.integers(0, 60 * 60 - 1),
    lengths=st.builds(Lengths, st.integers(1, 50), st.integers(1, 15)),
)
def test_a_moment_on_the_clock_is_logged_and_shown_as_the_same_moment(
    period: int, seconds: int, lengths: Lengths
) -> None:
    moment = moment_at(period, seconds, lengths)
    app.types["event"].check_create("e1", "match:9f", {"match_id": "9f", "kind": "goal", "team": "home", **moment})
    logged = Event(match_id="9f", kind="goal", team="home", **moment)
    assert (period_of(logged, lengths), timestamp(logged, lengths)) == (period, mm_ss(seconds))


def test_the_minutes_of_a_moment_are_those_of_a_match_report() -> None:
    def minute(period: int, minutes: int, seconds: int = 0) -> tuple[int, int]:
        moment = moment_at(period, minutes * 60 + seconds, FULL)
        return (moment["minute"], moment["added"])

    assert minute(1, 0, 5) == (1, 0)
    assert minute(1, 44, 59) == (45, 0)
    assert minute(1, 45) == (45, 1)
    assert minute(2, 0) == (46, 0)
    assert minute(2, 48, 10) == (90, 4)
    assert minute(4, 12, 30) == (118, 0)


@given(period=st.integers(1, 5), moments=st.lists(st.integers(0, 60 * 60 - 1), min_size=2, max_size=2, unique=True))
def test_what_happens_later_is_sorted_later(period: int, moments: list[int]) -> None:
    first, second = (
        Event(id="z" if seconds == min(moments) else "a", match_id="9f", kind="foul", team="home", **moment)
        for seconds in sorted(moments)
        for moment in [moment_at(period, seconds, FULL)]
    )
    assert match_order(first) < match_order(second)


def test_periods_are_sorted_in_the_order_of_play() -> None:
    """The stoppage time of extra time is before the shoot-out, though both are 120 and some."""
    in_order = [
        event("e9", minute=45, added=3),
        event("e8", minute=46),
        event("e7", minute=90, added=5),
        event("e6", minute=91),
        event("e5", minute=120, added=2, period=4),
        event("e4", minute=120, added=1, period=5),
    ]
    backwards = in_order[::-1]
    assert sorted(backwards, key=match_order) == in_order


def test_lengths_are_those_of_the_match_or_the_usual_ones() -> None:
    assert Lengths.of(a_match(half_minutes=25, extra_half_minutes=5)) == UNDER_TENS
    assert Lengths.of(a_match()) == Lengths.of(None) == Lengths(45, 15)
    unreadable = type(a_match()).from_fields("9f", {"half_minutes": "short"})
    assert Lengths.of(unreadable) == Lengths(45, 15)


@pytest.mark.parametrize(
    ("seconds", "shown"), [(-1, "00:00"), (0, "00:00"), (61, "01:01"), (5999, "99:59"), (10**6, "99:59")]
)
def test_a_time_is_always_five_characters(seconds: int, shown: str) -> None:
    assert mm_ss(seconds) == shown
