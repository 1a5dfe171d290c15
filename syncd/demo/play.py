"""The play: lets the beats of a script happen, on real processes, and tells the story as it goes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

from syncd.apps.grassroots import ONE, TWO
from syncd.demo.beats import (
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
from syncd.demo.glimpse import NOTHING_SHOWN, Glimpse, PhoneGlimpse
from syncd.demo.patience import Patience
from syncd.demo.processes import PhoneProcess, ServerProcess
from syncd.demo.script import Script
from syncd.demo.signal import Signal

__all__ = ["Narrator", "Play", "Scorer"]

_ANSWERS = {ONE: "Yes, one", TWO: "No, two"}
_LONGEST_LULL = 10
"""Minutes of play in which nothing happens, at most; the rest of them is skipped."""


class Narrator(Protocol):
    """Whoever tells the story while it happens."""

    def tell(self, at: Moment, who: str, words: str, *, aside: str = "", trouble: bool = False) -> None:
        """One line. `who`: such as "phone B". `aside`: how it is, such as "no signal, queue 5"."""
        ...

    def show(self, glimpse: Glimpse) -> None:
        """How everything stands now."""
        ...


class Scorer:
    """One scorer: a phone, and the signal it has; a `faint` one has one bar."""

    def __init__(self, name: PhoneName, phone: PhoneProcess, signal: Signal) -> None:
        self.name = name
        self.phone = phone
        self.signal = signal
        self.faint = False

    @property
    def aside(self) -> str:
        """How it is, in a few words."""
        signal = "signal" if self.signal.up else "no signal"
        return f"{signal}, queue {self.phone.pending}" if self.phone.pending else signal

    def glimpse(self) -> PhoneGlimpse:
        """How it is, as last seen."""
        bars = 0 if not self.signal.up else 1 if self.faint else 4
        phone = self.phone
        return PhoneGlimpse(bars, phone.running, phone.clock_ahead_ms, phone.pending, phone.screen, phone.questions)


class Play:
    """One performance. `minute_ms`: how long a minute of play takes.

    `now` is the moment of play. `taps` counts the changes made, `taps_offline` those made without signal. `family` is
    what the family sees.
    """

    def __init__(
        self,
        server: ServerProcess,
        scorers: Mapping[PhoneName, Scorer],
        narrator: Narrator,
        *,
        minute_ms: float,
        patience: Patience,
    ) -> None:
        self._server = server
        self._scorers = scorers
        self._narrator = narrator
        self._minute_s = minute_ms / 1000
        self._patience = patience
        self.now = Moment(0)
        self.taps = 0
        self.taps_offline = 0
        self.family = NOTHING_SHOWN
        self._teams = ("", "")
        self._goals: Mapping[str, int] = {}
        self._server_kills = 0
        self._phone_kills = 0
        self._acknowledgements_lost = 0

    async def perform(self, script: Script) -> None:
        """Every beat, in order; raises `OutOfPatience` or `ChildDied` where the story cannot go on."""
        self._teams = (script.record.match.home_team, script.record.match.away_team)
        self._goals = script.goals
        self.show()
        for beat in script.beats:
            # The story's own pace, and nothing that anything relies on: whatever must have happened is waited for.
            await asyncio.sleep(min(beat.at.minute - self.now.minute, _LONGEST_LULL) * self._minute_s)
            self.now = beat.at
            await self._let_happen(beat)
            for name in self._scorers:
                await self._ask(name, "show its screen", {"do": "glance"})
            self.show()

    def show(self) -> None:
        """Let the narrator see how everything stands."""
        self._narrator.show(
            Glimpse(
                self.now,
                self._teams,
                {name: scorer.glimpse() for name, scorer in self._scorers.items()},
                self.family,
                self._server.running,
                self._server_kills,
                self._phone_kills,
                self._acknowledgements_lost,
            )
        )

    def tell(self, who: str, words: str, *, aside: str = "", trouble: bool = False) -> None:
        """Let the narrator tell what happens now."""
        self._narrator.tell(self.now, who, words, aside=aside, trouble=trouble)
        self.show()

    async def _let_happen(self, beat: Beat) -> None:
        match beat:
            case Tap():
                await self._tap(beat)
            case PhoneKilled():
                await self._kill_phone(beat)
            case SignalReturns():
                for name in beat.phones:
                    await self._restore(self._scorers[name])
                    self._tell(name, beat.words)
            case SignalGoes():
                for name in beat.phones:
                    self._scorers[name].signal.cut()
                    self._tell(name, beat.words)
            case CatchUp():
                for name in beat.phones:
                    await self._catch_up(name)
            case AcknowledgementLost():
                await self._lose_acknowledgement(beat)
            case ServerKilled():
                await self._kill_server(beat)
            case ClockJumps():
                await self._ask(beat.phone, "take the time", {"do": "set_clock", "ahead_ms": beat.ahead_ms})
                self._scorers[beat.phone].phone.clock_ahead_ms = beat.ahead_ms
                hours = beat.ahead_ms / 3_600_000
                self._trouble(beat.phone, f"comes up again with a clock {hours:g} hours ahead")
            case Sees():
                await self._ask(beat.phone, "show what the other one did", _request("see", beat.edit))
                self._tell(beat.phone, beat.words)
            case Answers():
                await self._answer(beat.phone)

    async def _answer(self, name: PhoneName) -> None:
        told = await self._ask(name, "answer what it asks", {"do": "answer", "goals": dict(self._goals)})
        for message, choice in told["answered"]:
            self._count(name)
            self._tell(name, f"{message} {_ANSWERS[choice]}")

    async def _tap(self, tap: Tap) -> None:
        await self._ask(tap.phone, f"take a tap: {tap.words}", _request("tap", tap.edit))
        self._count(tap.phone)
        self._tell(tap.phone, tap.words)

    async def _kill_phone(self, beat: PhoneKilled) -> None:
        tap = beat.tap
        phone = self._scorers[tap.phone].phone
        queue = phone.pending
        phone.tell(_request("tap", tap.edit))
        phone.kill()
        await phone.wait_dead()
        self._phone_kills += 1
        self._trouble(tap.phone, f"kill -9 with {count(queue)} in the queue, in the middle of a tap")
        async with self._patience.wait_for(f"phone {tap.phone} to start again"):
            await phone.start()
        # The tap was never answered: whether it was taken, its id tells.
        answer = await self._ask(tap.phone, "say whether it has the tap", _request("was_tapped", tap.edit))
        if answer["done"]:
            found = "the last tap is there"
            self._count(tap.phone)
        else:
            found = "the last tap is not, and is made again"
        self._tell(tap.phone, f"on again, with {count(phone.pending)} in the queue; {found}")
        if not answer["done"]:
            await self._tap(tap)

    async def _lose_acknowledgement(self, beat: AcknowledgementLost) -> None:
        scorer = self._scorers[beat.phone]
        lost = scorer.signal.at_next_acknowledgement(heard=False)
        await self._restore(scorer, faint=True)
        self._tell(beat.phone, "one bar")
        async with self._patience.wait_for(f"the server to acknowledge what phone {beat.phone} sent"):
            settled = await lost
        self._acknowledgements_lost += 1
        self._trouble(
            beat.phone, f"the server has taken {count(settled)}; the signal goes before the phone hears of it"
        )

    async def _kill_server(self, beat: ServerKilled) -> None:
        scorer = self._scorers[beat.phone]
        acknowledged = scorer.signal.at_next_acknowledgement(self._server.kill, heard=True)
        await self._restore(scorer, faint=True)
        self._tell(beat.phone, "a moment of signal")
        async with self._patience.wait_for(f"the server to acknowledge what phone {beat.phone} sent"):
            settled = await acknowledged
        await self._server.wait_dead()
        self._server_kills += 1
        scorer.signal.cut()
        self.tell("the server", f"kill -9, right after it took {count(settled)}", trouble=True)
        async with self._patience.wait_for("the server to start again on the same file"):
            await self._server.start()
        self.tell("the server", "up again, on the same file")

    async def _restore(self, scorer: Scorer, *, faint: bool = False) -> None:
        scorer.faint = faint
        await scorer.signal.restore()
        await self._ask(scorer.name, "notice the signal", {"do": "notice_signal"})

    async def _catch_up(self, name: PhoneName) -> None:
        queue = self._scorers[name].phone.pending
        await self._ask(name, "send its queue and catch up", {"do": "catch_up"})
        self._tell(name, f"has sent {count(queue)}, and has what the others made" if queue else "has everything")

    async def _ask(self, name: PhoneName, what: str, request: dict[str, Any]) -> dict[str, Any]:
        async with self._patience.wait_for(f"phone {name} to {what}"):
            return await self._scorers[name].phone.ask(request)

    def _count(self, name: PhoneName) -> None:
        self.taps += 1
        self.taps_offline += not self._scorers[name].signal.up

    def _tell(self, name: PhoneName, words: str) -> None:
        self.tell(f"phone {name}", words, aside=self._scorers[name].aside)

    def _trouble(self, name: PhoneName, words: str) -> None:
        self.tell(f"phone {name}", words, aside=self._scorers[name].aside, trouble=True)


def _request(do: str, edit: Edit) -> dict[str, Any]:
    return {"do": do, "op": edit.op.value, "type": edit.type, "id": edit.id, "fields": dict(edit.fields)}


def count(changes: int) -> str:
    """Such as "3 changes"."""
    return "1 change" if changes == 1 else f"{changes} changes"
