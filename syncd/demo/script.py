"""The script: what happens in the demo, beat by beat, made from a match record. Pure: plays nothing, reads no clock.

Two scorers, A and B, log one match, every other event each, and some goals both. What the record says is what must
stand in the end, after all that goes wrong on the way: no signal, a lost acknowledgement, killed processes, a wrong
clock, wrong taps, goals that are there twice.
"""

from __future__ import annotations

import datetime
import itertools
import json
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from conflict_rules import JsonValue, Op
from syncd.apps.grassroots import Event, Match
from syncd.apps.grassroots.record import Record, read_record
from syncd.demo.beats import (
    AFTERWARDS,
    BOTH,
    AcknowledgementLost,
    Answers,
    Beat,
    CatchUp,
    ClockJumps,
    Edit,
    Moment,
    PhoneKilled,
    PhoneName,
    Sees,
    ServerKilled,
    SignalGoes,
    SignalReturns,
    Tap,
)

__all__ = ["CLOCK_AHEAD_MS", "Script", "same_goal", "write_script"]

CLOCK_AHEAD_MS: Final = 3 * 60 * 60 * 1000
"""How far phone B's clock is wrong after it was switched on in the cold: three hours, ahead."""

# The moments at which the story turns, whatever the match.
_ONE_BAR = Moment(30)
_OFFSIDE = Moment(20)
_HALF_TIME = Moment(45, 50)
_SERVER_KILLED = Moment(45, 51)
_SECOND_HALF = Moment(45, 60)
_PHONE_KILLED = Moment(52)
_HANDBALL = Moment(60)
_SPELL_OF_SIGNAL = Moment(70)
_FULL_TIME = Moment(90, 50)

_ONE_IN: Final = 3
"""So many goals of a match, rounded up, are logged on both phones."""
_LAST_MINUTES: Final = (45, 90, 105, 120)


@dataclass(frozen=True, slots=True)
class Script:
    """`beats`: in the order of play. `record`: what the published result is. `events`: what must stand in the end.

    `doubles`: the goals that were logged on the other phone too, as that has them. `goals`: which goal of the record,
    by its place there, each event is that a phone logs.
    """

    scope: str
    record: Record
    events: Sequence[Event]
    beats: Sequence[Beat]
    doubles: Sequence[Event]
    goals: Mapping[str, int]


def same_goal(goals: Mapping[str, int], about: str, others: Collection[str]) -> bool:
    """What the record answers: whether the event `about` is the same goal as one of the `others`."""
    return about in goals and goals[about] in (goals.get(other) for other in others)


def write_script(source: Mapping[str, Any], new_id: Callable[[], str]) -> Script:
    """The script for one line of the fixtures; `new_id` makes the ids that the phones give to what they log."""
    record = read_record(json.dumps(source))
    events = sorted(record.events, key=_moment)
    writer = _Writer(record.match, str(source["captain_home"]), new_id)
    writer.open_the_match()
    writer.log_the_events(events)
    writer.log_a_goal_that_was_none()
    writer.lose_an_acknowledgement()
    writer.go_through_half_time()
    writer.have_a_spell_of_signal()
    writer.blow_the_final_whistle()
    return Script(f"match:{record.match.id}", record, events, writer.beats(), writer.doubles, writer.goals)


class _Writer:
    """Collects beats in any order; those of one moment stay in the order in which they were written."""

    def __init__(self, match: Match, bystander: str, new_id: Callable[[], str]) -> None:
        self._match = match
        self._bystander = bystander
        self._new_id = new_id
        self._beats: list[Beat] = []
        self._logged: list[tuple[PhoneName, Event]] = []
        self._phone_killed = False
        self.doubles: list[Event] = []
        self.goals: dict[str, int] = {}

    def beats(self) -> list[Beat]:
        return sorted(self._beats, key=lambda beat: beat.at)

    def open_the_match(self) -> None:
        at = Moment(0)
        match = Edit(Op.CREATE, "match", self._match.id, self._match.to_fields())
        self._beats += [
            SignalReturns(at, BOTH, "in the clubhouse, with signal"),
            Tap(at, "A", match, f"opens the match {self._match.home_team} - {self._match.away_team}"),
            CatchUp(at, BOTH),
            Sees(at, "B", match, "has the match too"),
            SignalGoes(at, BOTH, "out on the pitch: no signal"),
        ]
        self._tap_match(at, "A", {"first_half_started_at": self._clock(0)}, "kick-off")

    def log_the_events(self, events: Sequence[Event]) -> None:
        """Every other event on the other phone, so that two goals a minute apart are never on the same one."""
        phones = itertools.cycle(BOTH)
        mistaken = False
        chance = random.Random(f"{self._match.id}: doubled")
        twice = set(chance.sample(range(len(events)), k=-(-len(events) // _ONE_IN)))
        for place, recorded in enumerate(events):
            phone = next(phones)
            # The one that was tapped first has the lower id, as ids that tell the time have it.
            first, second = sorted((self._new_id(), self._new_id()))
            event = recorded.model_copy(update={"id": first})
            self._logged.append((phone, event))
            self.goals[first] = place
            if phone == "A" and not mistaken:
                mistaken = True
                self._log_with_a_mistake(event)
            else:
                self._tap_and_perhaps_die(Tap(_moment(event), phone, _creation(event), _told(event)))
            if place in twice:
                self.goals[second] = place
                self._log_on_the_other_phone(event, second, phone, a_minute_late=chance.random() < 0.5)

    def _log_on_the_other_phone(self, event: Event, event_id: str, phone: PhoneName, *, a_minute_late: bool) -> None:
        """Neither scorer knows that the other one has it; the two do not even agree about the minute, sometimes."""
        double = event.model_copy(update={"id": event_id, **(_a_minute_later(event) if a_minute_late else {})})
        self.doubles.append(double)
        words = f"{_told(double)}, {_moment(double)} by this watch" if a_minute_late else _told(double)
        self._beats.append(Tap(_moment(event), _other(phone), _creation(double), words))

    def _log_with_a_mistake(self, event: Event) -> None:
        """Logged a minute off and for the wrong player, then put right, twice: a queue of edits to one event."""
        at, later = _moment(event), Moment(event.minute, event.added + 1)
        wrong = event.model_copy(update={"minute": _minute_off(event), "player": self._bystander})
        self._beats += [
            Tap(at, "A", _creation(wrong), f"{_told(wrong)} ... typed in haste, all wrong"),
            Tap(later, "A", _update(event, minute=event.minute), f"corrects the minute: {event.minute}"),
            Tap(later, "A", _update(event, player=event.player), f"corrects the scorer: {event.player}"),
        ]

    def log_a_goal_that_was_none(self) -> None:
        """It comes and goes on one phone without signal; nobody else ever sees it."""
        later = Moment(_OFFSIDE.minute + 2)
        phantom = self._phantom(_OFFSIDE)
        self._beats += [
            Tap(_OFFSIDE, "B", _creation(phantom), f"{_told(phantom)}?"),
            Tap(later, "B", Edit(Op.DELETE, "event", phantom.id), "offside: deletes that goal"),
        ]

    def lose_an_acknowledgement(self) -> None:
        self._beats.append(AcknowledgementLost(_ONE_BAR, "A"))

    def go_through_half_time(self) -> None:
        """One scorer has kicked off, the other whistles: different fields of one record, unseen by each other."""
        self._tap_match(_HALF_TIME, "B", {"first_half_ended_at": self._clock(47)}, "half-time")
        self._beats.append(ServerKilled(_SERVER_KILLED, "B"))
        self._tap_match(_SECOND_HALF, "A", {"second_half_started_at": self._clock(62)}, "second half")

    def have_a_spell_of_signal(self) -> None:
        """Both catch up; B, its clock wrong, spoils a goal; A puts it right, and deletes another one, which B edits."""
        phantom = self._phantom(_HANDBALL)
        event = self._to_correct() or phantom
        at = max(_SPELL_OF_SIGNAL, Moment(event.minute + 2))
        right = _update(event, minute=event.minute)
        self._beats += [
            Tap(_HANDBALL, "A", _creation(phantom), _told(phantom)),
            SignalReturns(at, BOTH, "the wind turns: a spell of signal"),
            CatchUp(at, BOTH),
            # Either may have raised a question about a goal that the other one had sent a moment before.
            CatchUp(at, ("A",)),
            Answers(at, "A"),
            CatchUp(at, ("A",)),
        ]
        self._correct_with_a_wrong_clock(at, event)
        deleted, edited = Moment(at.minute + 3), Moment(at.minute + 4)
        self._beats += [
            SignalGoes(at, BOTH, "no signal again"),
            Tap(at, "A", right, f"puts it right: minute {event.minute}"),
            Tap(deleted, "A", Edit(Op.DELETE, "event", phantom.id), "it was handball: deletes that goal"),
            Tap(edited, "B", _update(phantom, notes="with the head"), "notes of the same goal: with the head"),
        ]

    def _correct_with_a_wrong_clock(self, at: Moment, event: Event) -> None:
        """Seen beats stamped (law 2): B's stamp is three hours ahead, and A wins, for A has seen what B did."""
        wrong = _update(event, minute=_minute_off(event))
        self._beats += [
            SignalGoes(at, ("B",), "no signal again"),
            ClockJumps(at, "B", CLOCK_AHEAD_MS),
            Tap(at, "B", wrong, f"'corrects' the {_told(event)}: minute {_minute_off(event)}"),
            SignalReturns(at, ("B",), "a moment of signal"),
            CatchUp(at, ("B",)),
            Sees(at, "A", wrong, f"sees that goal in minute {_minute_off(event)}"),
        ]

    def blow_the_final_whistle(self) -> None:
        whistle = Edit(Op.UPDATE, "match", self._match.id, {"second_half_ended_at": self._clock(112)})
        self._tap_and_perhaps_die(Tap(_FULL_TIME, "A", whistle, "the second half is over"))
        self._beats += [
            SignalReturns(AFTERWARDS, ("A",), "back in the clubhouse, with signal"),
            CatchUp(AFTERWARDS, ("A",)),
            SignalReturns(AFTERWARDS, ("B",), "back in the clubhouse, with signal"),
            # B first: only then is there everything for A to catch up with.
            CatchUp(AFTERWARDS, ("B", "A")),
            SignalGoes(AFTERWARDS, BOTH, "on the way home: no signal"),
            Answers(AFTERWARDS, "B"),
            SignalReturns(AFTERWARDS, BOTH, "at home, with signal"),
            CatchUp(AFTERWARDS, ("B", "A")),
        ]

    def _phantom(self, at: Moment) -> Event:
        return Event(
            id=self._new_id(),
            match_id=self._match.id,
            kind="goal",
            team="home",
            player=self._bystander,
            minute=at.minute,
        )

    def _to_correct(self) -> Event | None:
        """A goal of B's if there is one, else any goal."""
        choice = sorted(self._logged, key=lambda logged: logged[0] == "A")
        return choice[0][1] if choice else None

    def _tap_and_perhaps_die(self, tap: Tap) -> None:
        """A's first tap that the second half has to offer is the one at which its phone is killed."""
        dies = tap.phone == "A" and tap.at >= _PHONE_KILLED and not self._phone_killed
        self._phone_killed = self._phone_killed or dies
        self._beats.append(PhoneKilled(tap.at, tap) if dies else tap)

    def _tap_match(self, at: Moment, phone: PhoneName, fields: Mapping[str, JsonValue], words: str) -> None:
        self._beats.append(Tap(at, phone, Edit(Op.UPDATE, "match", self._match.id, fields), words))

    def _clock(self, minutes: int) -> str:
        """What the clock at the ground shows so long after the kick-off."""
        start = datetime.datetime.combine(self._match.date, self._match.kick_off or datetime.time(15), datetime.UTC)
        return (start + datetime.timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")


def _creation(event: Event) -> Edit:
    return Edit(Op.CREATE, "event", event.id, event.to_fields())


def _update(event: Event, **fields: JsonValue) -> Edit:
    return Edit(Op.UPDATE, "event", event.id, fields)


def _moment(event: Event) -> Moment:
    return Moment(event.minute, event.added)


def _a_minute_later(event: Event) -> dict[str, int]:
    """In the same period."""
    if event.added or event.minute in _LAST_MINUTES:
        return {"added": event.added + 1}
    return {"minute": event.minute + 1}


def _other(phone: PhoneName) -> PhoneName:
    return "A" if phone == "B" else "B"


def _minute_off(event: Event) -> int:
    return event.minute - 1 if event.minute > 1 else event.minute + 1


def _told(event: Event) -> str:
    return f"{event.kind.replace('_', ' ')}, {event.player}"
