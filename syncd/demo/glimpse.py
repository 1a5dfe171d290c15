"""What can be seen of a run at one moment: each phone, the family and the server. Values, no output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from syncd.demo.beats import Moment, PhoneName

__all__ = ["KICK_OFF", "NOTHING_SHOWN", "Glimpse", "PhoneGlimpse", "Shown", "shown"]


@dataclass(frozen=True, slots=True)
class Shown:
    """The match as one screen has it. `goals`: such as "23' Lionel MESSI", in match order."""

    home: int
    away: int
    goals: tuple[str, ...]


KICK_OFF = Moment(0)
NOTHING_SHOWN = Shown(0, 0, ())


def shown(score: Mapping[str, Any]) -> Shown:
    """From what the app's view `score` makes of it."""
    goals = sorted(score["goals"], key=lambda goal: (goal["minute"], goal["added"]))
    return Shown(
        score["home"],
        score["away"],
        tuple(f"{Moment(goal['minute'], goal['added'])} {goal['player'] or 'somebody'}" for goal in goals),
    )


@dataclass(frozen=True, slots=True)
class PhoneGlimpse:
    """A phone. `bars`: 0 to 4, of signal. `on`: not between a kill and the next start. `queue`: changes not settled.

    `questions`: what it asks and nobody has answered, as far as it knows.
    """

    bars: int = 0
    on: bool = False
    clock_ahead_ms: int = 0
    queue: int = 0
    screen: Shown = NOTHING_SHOWN
    questions: int = 0


@dataclass(frozen=True, slots=True)
class Glimpse:
    """Everything at one moment. The counts are of what has happened so far."""

    at: Moment = KICK_OFF
    teams: tuple[str, str] = ("", "")
    phones: Mapping[PhoneName, PhoneGlimpse] = field(default_factory=dict)
    family: Shown = NOTHING_SHOWN
    server_up: bool = False
    server_kills: int = 0
    phone_kills: int = 0
    acknowledgements_lost: int = 0
