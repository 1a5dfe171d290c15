"""Where in a match something happened: between the minutes that the game counts and the clock of a period.

The game counts minutes from 1, through the whole match: what happens 46 minutes and 10 seconds after the kick-off, half
time left out, happens in minute 47, and 45+2 is the second minute of the first half's stoppage time. The clock counts
each period from 00:00, as the app's mobile response does (period 2 at "25:30", a goal in period 2 at "23:45"): that
minute 47 is "01:10" of period 2. Pure: lengths in, values out; knows no taps and no time of day.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypedDict

from syncd.apps.grassroots.model import Event, Match, Substitution

__all__ = [
    "PERIODS",
    "SHOOT_OUT",
    "Happening",
    "Lengths",
    "PlayMoment",
    "match_minute",
    "match_order",
    "minute_played",
    "mm_ss",
    "moment_at",
    "period_of",
    "timestamp",
]

Happening = Event | Substitution

PERIODS: Final = (1, 2, 3, 4, 5)
SHOOT_OUT: Final = 5

_LONGEST_ADDED = 60


class PlayMoment(TypedDict):
    """What an event or a substitution says about its time: `Event(**moment, …)`."""

    minute: int
    added: int
    second: int
    period: int


@dataclass(frozen=True, slots=True)
class Lengths:
    """How many minutes a half, and a half of extra time, is to be played."""

    half: int = 45
    extra_half: int = 15

    @classmethod
    def of(cls, match: Match | None) -> Lengths:
        """Those of a match; the usual ones for a match that is not known, or does not say."""
        if match is None:
            return cls()
        return cls(_number(match.half_minutes, cls().half), _number(match.extra_half_minutes, cls().extra_half))

    def minutes(self, period: int) -> int:
        """How long a period is to be played; the shoot-out has no length."""
        return (self.half, self.half, self.extra_half, self.extra_half, 0)[period - 1]

    def minutes_before(self, period: int) -> int:
        """The last minute of the period before: 45 for the second half of a match of 90 minutes."""
        return sum(self.minutes(earlier) for earlier in PERIODS[: period - 1])


def period_of(happening: Happening, lengths: Lengths) -> int:
    """The period that it says, or else the one in which its minute lies."""
    said = _number(happening.period, 0)
    if said in PERIODS:
        return said
    minute = _number(happening.minute, 0)
    # The shoot-out comes by being said: its kicks have no minute of their own.
    return next((period for period in PERIODS[:3] if minute <= lengths.minutes_before(period + 1)), 4)


def timestamp(happening: Happening, lengths: Lengths) -> str:
    """What the clock of its period showed, "MM:SS"; the beginning of its minute if the second is not known.

    A minute that lies before its period, which two corrections can make, is shown as "00:00".
    """
    since_kick_off = _number(happening.minute, 0) + _number(happening.added, 0) - 1
    minutes = since_kick_off - lengths.minutes_before(period_of(happening, lengths))
    return mm_ss(minutes * 60 + _number(happening.second, 0) if minutes >= 0 else 0)


def moment_at(period: int, seconds: int, lengths: Lengths) -> PlayMoment:
    """The moment at which the clock of a period shows so many seconds; the other way round is `timestamp`."""
    minutes, second = divmod(max(0, seconds), 60)
    minute = min(minutes + 1, lengths.minutes(period))
    added = min(minutes + 1 - minute, _LONGEST_ADDED)
    return {"minute": lengths.minutes_before(period) + minute, "added": added, "second": second, "period": period}


def match_minute(happening: Happening) -> tuple[bool, int, int]:
    """The minute, so that later ones compare as larger: 45+2 is before 46, and the shoot-out after everything."""
    return (happening.period == SHOOT_OUT, _number(happening.minute, 0), _number(happening.added, 0))


def minute_played(happening: Happening) -> int:
    """How many minutes its period and those before had gone on: 45+2 is two after 45, whatever comes next."""
    return _number(happening.minute, 0) + _number(happening.added, 0)


def match_order(happening: Happening) -> tuple[tuple[bool, int, int], int, str]:
    """A key to sort by, the same for every reader: minute, second, and then the id."""
    return (match_minute(happening), _number(happening.second, 0), happening.id)


def mm_ss(seconds: int) -> str:
    """As "MM:SS"; it stands still at 99:59, so that it is always five characters."""
    minutes, seconds = divmod(max(0, min(seconds, 99 * 60 + 59)), 60)
    return f"{minutes:02}:{seconds:02}"


def _number(value: object, otherwise: int) -> int:
    # Data of another version may lack a minute, or have something else there.
    return value if isinstance(value, int) else otherwise
