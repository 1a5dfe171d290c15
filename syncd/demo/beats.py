"""The beats of the demo: everything that can happen in its script, as values. Pure.

`script.py` puts them in order for a match; `play.py` lets them happen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from conflict_rules import JsonValue, Op

__all__ = [
    "AFTERWARDS",
    "BOTH",
    "AcknowledgementLost",
    "Answers",
    "Beat",
    "CatchUp",
    "ClockJumps",
    "Edit",
    "Moment",
    "PhoneKilled",
    "PhoneName",
    "Phones",
    "Sees",
    "ServerKilled",
    "SignalGoes",
    "SignalReturns",
    "Tap",
]

PhoneName = Literal["A", "B"]
Phones = tuple[PhoneName, ...]
BOTH: Phones = ("A", "B")


_BREAK = 50
"""No half has so much added time: what is put there happens when it is over."""


@dataclass(frozen=True, slots=True, order=True)
class Moment:
    """A minute of play; 45+2 is minute 45, added 2, and comes before minute 46, and 45+50 is the break."""

    minute: int
    added: int = 0

    def __str__(self) -> str:
        if self >= AFTERWARDS:
            return "after"
        if self.added >= _BREAK:
            return "break"
        return f"{self.minute}+{self.added}'" if self.added else f"{self.minute}'"


AFTERWARDS = Moment(150)
"""When everybody has left the pitch."""


@dataclass(frozen=True, slots=True)
class Edit:
    """What a scorer changes; `fields` as they are sent."""

    op: Op
    type: str
    id: str
    fields: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tap:
    """A scorer taps; it is in the phone's file before the story goes on."""

    at: Moment
    phone: PhoneName
    edit: Edit
    words: str


@dataclass(frozen=True, slots=True)
class SignalReturns:
    """These phones reach the server again."""

    at: Moment
    phones: Phones
    words: str


@dataclass(frozen=True, slots=True)
class SignalGoes:
    """These phones do not reach the server any more."""

    at: Moment
    phones: Phones
    words: str


@dataclass(frozen=True, slots=True)
class CatchUp:
    """These phones have signal: everything they made is settled, and they show what the others made."""

    at: Moment
    phones: Phones


@dataclass(frozen=True, slots=True)
class AcknowledgementLost:
    """One bar: the phone's queue reaches the server, and the signal goes before the answer comes back."""

    at: Moment
    phone: PhoneName


@dataclass(frozen=True, slots=True)
class ServerKilled:
    """The phone has a moment of signal; its queue is acknowledged, and in that moment the server is killed with -9."""

    at: Moment
    phone: PhoneName


@dataclass(frozen=True, slots=True)
class PhoneKilled:
    """The scorer taps, and before the phone has answered it is killed with -9; switched on again, it goes on."""

    at: Moment
    tap: Tap


@dataclass(frozen=True, slots=True)
class ClockJumps:
    """The phone's clock is wrong from now on."""

    at: Moment
    phone: PhoneName
    ahead_ms: int


@dataclass(frozen=True, slots=True)
class Sees:
    """The scorer looks at the phone until it shows the other one's edit."""

    at: Moment
    phone: PhoneName
    edit: Edit
    words: str


@dataclass(frozen=True, slots=True)
class Answers:
    """The scorer answers whatever the phone asks by then, as the record has it."""

    at: Moment
    phone: PhoneName


Beat = (
    Tap
    | SignalReturns
    | SignalGoes
    | CatchUp
    | AcknowledgementLost
    | ServerKilled
    | PhoneKilled
    | ClockJumps
    | Sees
    | Answers
)
