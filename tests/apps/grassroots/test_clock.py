"""The clock: what three or four taps and the moment of reading tell, and what goes wrong with taps."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conflict_rules import Change, Op, Stamp, State, apply_change, rule_by_name
from syncd.apps.grassroots import Event, Match, clock, moment
from syncd.apps.grassroots.timeline import Lengths, timestamp
from tests.apps.grassroots.make import KICK_OFF, MATCH, SCOPE, a_match, after, state_of

PLAYED = {
    "first_half_started_at": KICK_OFF,
    "first_half_ended_at": after(46, 12),
    "second_half_started_at": after(61),
    "second_half_ended_at": after(109, 5),
    "extra_first_half_started_at": after(115),
    "extra_first_half_ended_at": after(131),
    "extra_second_half_started_at": after(132),
    "extra_second_half_ended_at": after(148, 30),
    "shoot_out_started_at": after(153),
    "shoot_out_ended_at": after(165),
}
TAPS = list(PLAYED)
HALVES = TAPS[:4]


def shown(match: Match, now: datetime.datetime) -> tuple[str, int, str]:
    reading = clock(match, now)
    assert list(reading) == ["status", "current_period", "clock_time"]
    return (reading["status"], reading["current_period"], reading["clock_time"])


def tapped(*names: str, **fields: Any) -> Match:
    return a_match(**{name: PLAYED[name] for name in names}, **fields)


def test_the_example_of_the_mobile_response() -> None:
    """Status "live", current_period 2, clock_time "25:30": counted from the start of the second half."""
    assert clock(tapped(*HALVES[:3]), after(61 + 25, 30)) == {
        "status": "live",
        "current_period": 2,
        "clock_time": "25:30",
    }


@pytest.mark.parametrize(
    ("taps", "now", "reading"),
    [
        (0, after(-30), ("scheduled", 1, "00:00")),
        (0, after(30), ("scheduled", 1, "00:00")),
        (1, after(0), ("live", 1, "00:00")),
        (1, after(0, 59.9), ("live", 1, "00:59")),
        (1, after(45), ("live", 1, "45:00")),
        (1, after(46, 11), ("live", 1, "46:11")),
        (2, after(50), ("half_time", 1, "46:12")),
        (3, after(61), ("live", 2, "00:00")),
        (3, after(108), ("live", 2, "47:00")),
        (4, after(110), ("full_time", 2, "48:05")),
        (5, after(120), ("live", 3, "05:00")),
        (6, after(131, 30), ("half_time", 3, "16:00")),
        (7, after(140), ("live", 4, "08:00")),
        (8, after(150), ("full_time", 4, "16:30")),
        (9, after(155), ("live", 5, "02:00")),
        (10, after(1000), ("full_time", 5, "12:00")),
    ],
)
def test_a_match_from_before_the_kick_off_to_the_shoot_out(
    taps: int, now: datetime.datetime, reading: tuple[str, int, str]
) -> None:
    assert shown(tapped(*TAPS[:taps]), now) == reading


def test_a_moment_is_one_in_whatever_zone_it_is_told() -> None:
    nepal = datetime.timezone(datetime.timedelta(hours=5, minutes=45))
    assert shown(tapped(TAPS[0]), after(12, 34).astimezone(nepal)) == ("live", 1, "12:34")


def test_a_moment_without_an_offset_is_refused() -> None:
    for match in (a_match(), tapped(TAPS[0])):
        with pytest.raises(ValueError, match="no offset"):
            clock(match, datetime.datetime(2026, 11, 21, 10, 40))  # noqa: DTZ001
        with pytest.raises(ValueError, match="no offset"):
            moment(match, datetime.datetime(2026, 11, 21, 10, 40))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("names", "now", "reading"),
    [
        pytest.param(HALVES[1:2], after(50), ("half_time", 1, "45:00"), id="the kick-off is missing"),
        pytest.param(
            [HALVES[0], HALVES[2]], after(71), ("live", 2, "10:00"), id="the second half began, half-time is missing"
        ),
        pytest.param(HALVES[2:3], after(71), ("live", 2, "10:00"), id="the whole first half is missing"),
        pytest.param(HALVES[:1] + HALVES[3:], after(110), ("full_time", 2, "45:00"), id="only kick-off and full time"),
        pytest.param(HALVES[3:], after(110), ("full_time", 2, "45:00"), id="only full time"),
        pytest.param(TAPS[:4] + TAPS[8:9], after(154), ("live", 5, "01:00"), id="no extra time, a shoot-out"),
        pytest.param(HALVES[:1], after(24 * 60), ("live", 1, "99:59"), id="nobody ended it"),
    ],
)
def test_missing_taps(names: list[str], now: datetime.datetime, reading: tuple[str, int, str]) -> None:
    assert shown(tapped(*names), now) == reading


def test_a_period_without_its_start_lasted_as_long_as_this_match_plays() -> None:
    assert shown(tapped(HALVES[1], half_minutes=25), after(50)) == ("half_time", 1, "25:00")
    assert shown(tapped(TAPS[5], extra_half_minutes=5), after(140)) == ("half_time", 3, "05:00")
    assert shown(tapped(TAPS[9]), after(170)) == ("full_time", 5, "00:00")


@pytest.mark.parametrize(
    ("wrong", "now", "reading"),
    [
        pytest.param(
            {"first_half_ended_at": after(70)},
            after(71),
            ("live", 2, "10:00"),
            id="half-time after the next kick-off",
        ),
        pytest.param(
            {"first_half_ended_at": after(-5), "second_half_started_at": None},
            after(50),
            ("half_time", 1, "45:00"),
            id="half-time before the kick-off",
        ),
        pytest.param(
            {"first_half_ended_at": after(180), "second_half_started_at": None},
            after(50),
            ("half_time", 1, "45:00"),
            id="half-time three hours late",
        ),
        pytest.param(
            {"second_half_started_at": after(61 + 180)}, after(71), ("live", 2, "00:00"), id="a start three hours ahead"
        ),
        pytest.param({"second_half_started_at": after(-60)}, after(30), ("live", 2, "90:00"), id="a start long before"),
    ],
)
def test_taps_out_of_order(wrong: dict[str, Any], now: datetime.datetime, reading: tuple[str, int, str]) -> None:
    """The order of the periods counts, never that of the times: a wrong clock may spoil minutes, not the period."""
    match = a_match(**{**{name: PLAYED[name] for name in HALVES[:3]}, **wrong})
    assert shown(match, now) == reading


def test_a_tap_that_was_taken_back_never_was() -> None:
    """Full time tapped in place of half-time, and cleared again."""
    assert shown(tapped(TAPS[0], TAPS[3]), after(46))[0] == "full_time"
    assert shown(a_match(first_half_started_at=KICK_OFF, second_half_ended_at=None), after(46)) == ("live", 1, "46:00")


@pytest.mark.parametrize("first", ["a", "b"])
def test_a_tap_on_two_phones_is_one_tap(first: str) -> None:
    """Neither had seen the other; in whichever order the server hears of them, there is one kick-off."""
    taps = {"a": after(0, 2), "b": after(0, 5)}
    state: State | None = state_of(a_match(), 1)
    order = ["a", "b"] if first == "a" else ["b", "a"]
    for version, phone in enumerate(order, start=2):
        stamp = Stamp(int(taps[phone].timestamp() * 1000), 0, phone)
        tap = {"first_half_started_at": taps[phone].isoformat()}
        state = apply_change(
            rule_by_name("merge"), state, Change(phone, 1, SCOPE, "match", MATCH, Op.UPDATE, stamp, 1, tap), version
        ).state
    assert state is not None
    assert shown(Match.from_fields(MATCH, state.fields), after(10)) == ("live", 1, "09:55")


def test_taps_of_different_phones_are_one_match() -> None:
    state: State | None = state_of(a_match(), 1)
    for version, (phone, name) in enumerate([("a", HALVES[0]), ("b", HALVES[1]), ("a", HALVES[2])], start=2):
        fields = {name: PLAYED[name].isoformat()}
        change = Change(phone, version, SCOPE, "match", MATCH, Op.UPDATE, Stamp(version, 0, phone), 1, fields)
        state = apply_change(rule_by_name("merge"), state, change, version).state
    assert state is not None
    assert shown(Match.from_fields(MATCH, state.fields), after(71)) == ("live", 2, "10:00")


@pytest.mark.parametrize("value", ["soon", "2026-11-21T10:30:00", ["2026-11-21T10:30:00Z"], True])
def test_what_is_no_time_is_no_tap(value: object) -> None:
    """Another version of the app may have written anything."""
    match = Match.from_fields(MATCH, {**a_match().to_fields(), "first_half_started_at": value})
    assert shown(match, after(10))[0] == "scheduled"


moments = st.integers(-10_000, 30_000).map(lambda seconds: after(0, seconds))


@given(taps=st.dictionaries(st.sampled_from(TAPS), moments), now=moments)
def test_whatever_was_tapped_the_clock_shows_something_that_can_be(
    taps: dict[str, datetime.datetime], now: datetime.datetime
) -> None:
    match = a_match(**taps)
    status, period, time = shown(match, now)
    last = max((TAPS.index(name) for name in taps), default=None)
    assert period == (1 if last is None else last // 2 + 1)
    if last is None:
        assert (status, time) == ("scheduled", "00:00")
    elif last % 2:
        assert status == ("half_time" if period in (1, 3) else "full_time")
    else:
        assert status == "live"
    minutes, seconds = (int(part) for part in time.split(":"))
    assert (0 <= minutes <= 99, 0 <= seconds <= 59, len(time)) == (True, True, 5)
    assert shown(match, now + datetime.timedelta(minutes=1))[2] >= time, "no clock runs back"


def test_what_happens_now_is_logged_with_what_the_clock_shows() -> None:
    match = tapped(*HALVES[:3])
    now = after(61 + 23, 45)
    at = moment(match, now)
    assert at == {"minute": 69, "added": 0, "second": 45, "period": 2}
    goal = Event(match_id=MATCH, kind="goal", team="home", **at)
    assert timestamp(goal, Lengths.of(match)) == clock(match, now)["clock_time"] == "23:45"


def test_at_half_time_the_next_half_is_meant_and_when_nothing_is_played_nothing() -> None:
    assert moment(tapped(*TAPS[:2]), after(50)) == {"minute": 46, "added": 0, "second": 0, "period": 2}
    assert moment(tapped(*TAPS[:6]), after(131)) == {"minute": 106, "added": 0, "second": 0, "period": 4}
    assert moment(tapped(), after(-5)) is None
    assert moment(tapped(*TAPS[:4]), after(110)) is None
    assert moment(tapped(*TAPS), after(170)) is None
    stoppage = moment(tapped(*TAPS[:1], half_minutes=25), after(27, 10))
    assert stoppage == {"minute": 25, "added": 3, "second": 10, "period": 1}
