"""The clock of a match: status, period and time, worked out from its taps and a moment. Pure: `now` is an argument.

A tap is a field of the match that two phones merge, so each is there once, or not at all, and holds what one of them
wrote. What that allows, and how it is read:

- Doubled: the tap of two phones is one value of one field; the clock may jump by the seconds between them.
- Missing: who starts the second half has ended the first, tapped or not. A period that was ended without having been
  started was played for as long as it was planned.
- Out of order, or from a phone whose clock is wrong: the order of the periods counts, never that of the times. A period
  that began later than `now` is live, at 00:00; one that ended before it began, or after more than 99 minutes, was
  played for as long as it was planned.
- Forgotten: nobody but a person ends a period. A match whose end was not tapped stays live, and the clock stands still
  at 99:59; the tap can still be made when somebody notices.

A tap should be made with the server's time if the device's is known to be off (`client.status.clock_offset_ms`).
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypedDict

from syncd.apps.grassroots.model import Match
from syncd.apps.grassroots.timeline import PERIODS, Lengths, PlayMoment, mm_ss, moment_at

__all__ = ["Clock", "Period", "Status", "clock", "clock_of", "moment", "periods_of"]

Status = Literal["scheduled", "live", "half_time", "full_time"]

_LONGEST_S: Final = 100 * 60
_TAPS: Final = ("first_half", "second_half", "extra_first_half", "extra_second_half", "shoot_out")


class Clock(TypedDict):
    """As in the mobile response. `clock_time`: "MM:SS", counted from the start of the period."""

    status: Status
    current_period: int
    clock_time: str


@dataclass(frozen=True, slots=True)
class Period:
    """A period of which something was tapped. `minutes`: how long it is to be played, without stoppage time."""

    number: int
    minutes: int
    started_at: datetime.datetime | None
    ended_at: datetime.datetime | None


def periods_of(match: Match) -> list[Period]:
    """The periods of which something was tapped, in the order of play."""
    lengths = Lengths.of(match)
    periods = [
        Period(
            number,
            lengths.minutes(number),
            _time(getattr(match, f"{name}_started_at")),
            _time(getattr(match, f"{name}_ended_at")),
        )
        for number, name in zip(PERIODS, _TAPS, strict=True)
    ]
    return [period for period in periods if period.started_at is not None or period.ended_at is not None]


def clock(match: Match, now: datetime.datetime) -> Clock:
    """What the clock shows at `now`; raises ValueError if that has no offset.

    Before the kick-off it is period 1 at 00:00. At half-time, also that of extra time, and at full time, the clock
    stands at the length of the period that is over. A match that goes on after its second half is at full time until
    extra time, or the shoot-out, is started.
    """
    return clock_of(periods_of(match), now)


def clock_of(periods: Sequence[Period], now: datetime.datetime) -> Clock:
    """The same from its periods (`periods_of`, or those of the match_summary view)."""
    status, number, seconds = _reading(periods, now)
    return {"status": status, "current_period": number, "clock_time": mm_ss(seconds)}


def moment(match: Match, now: datetime.datetime) -> PlayMoment | None:
    """What to log with whatever happens at `now`: `Event(**moment, …)`; None before the kick-off and after the end.

    At half-time it is the beginning of the half to come, where a substitution at half-time belongs.
    """
    status, number, seconds = _reading(periods_of(match), now)
    match status:
        case "live":
            return moment_at(number, seconds, Lengths.of(match))
        case "half_time":
            return moment_at(number + 1, 0, Lengths.of(match))
        case _:
            return None


def _reading(periods: Sequence[Period], now: datetime.datetime) -> tuple[Status, int, int]:
    if now.utcoffset() is None:
        raise ValueError("now has no offset from UTC; take datetime.now(UTC)")
    if not periods:
        return ("scheduled", 1, 0)
    current = periods[-1]
    if current.ended_at is not None:
        return ("half_time" if current.number in (1, 3) else "full_time", current.number, _played_s(current))
    assert current.started_at is not None, "something was tapped of every period"
    return ("live", current.number, max(0, _seconds(current.started_at, now)))


def _played_s(period: Period) -> int:
    """How long a period lasted that is over."""
    if period.started_at is not None and period.ended_at is not None:
        seconds = _seconds(period.started_at, period.ended_at)
        if 0 < seconds < _LONGEST_S:
            return seconds
    return period.minutes * 60


def _seconds(since: datetime.datetime, until: datetime.datetime) -> int:
    return (until - since) // datetime.timedelta(seconds=1)


def _time(value: object) -> datetime.datetime | None:
    # Data of another version may hold anything here; what is no time is no tap.
    return value if isinstance(value, datetime.datetime) and value.utcoffset() is not None else None
