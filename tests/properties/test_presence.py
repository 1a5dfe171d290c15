"""Presence under random arrivals, messages, renewals, pauses and departures: all who watch end with one picture.

Readers take what waits for them whenever it pleases them, some of it or all. Beside the server runs a model that knows
only who said what last and when.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.engine import presence as module
from syncd.engine.connection import Connection
from syncd.engine.limits import Limits
from syncd.engine.presence import Presence
from tests.sizes import SIZES
from tests.support.onlookers import Onlooker
from tests.support.timers import SettableTime

SCOPES = ["a", "b"]
LIMITS = Limits(max_present_replicas=2, max_presence_per_s=4, presence_ms=8000)
EXPIRY_S = LIMITS.presence_ms / 1000
LONGEST_HELD_S = 1.5
"""With two scopes and four messages a second."""

GUESTS = 8
STEPS = 100

Step = tuple[Any, ...]


def random_step(dice: random.Random) -> Step:
    """Much saying and reading, some waiting, few comings and goings."""
    number, scope = dice.randrange(GUESTS), dice.choice(SCOPES)
    return dice.choices(
        [
            ("say", number, scope, dice.choice([None, 0, 0, 1, 1, 2])),
            ("read", number, dice.choice([None, 1, 2])),
            ("wait", dice.choice([1 / 8, 1 / 8, 1.0, EXPIRY_S / 4])),
            ("wait", EXPIRY_S),
            ("enter", number, dice.randrange(6), dice.random() < 0.5),
            ("leave", number),
            ("watch", number, scope),
            ("unwatch", number, scope),
        ],
        [40, 20, 20, 1, 4, 3, 6, 4],
    )[0]


@dataclass
class Guest:
    """One connection of the history. `said`: what it said last in each scope it watches, None for nothing, and when."""

    replica: str
    onlooker: Onlooker
    said: dict[str, tuple[int | None, float]] = field(default_factory=dict)


class History:
    """The server, its guests, and what they must see in the end."""

    def __init__(self) -> None:
        self.time = SettableTime()
        self.presence = Presence(LIMITS, self.time)
        self.guests: dict[int, Guest] = {}

    async def play(self, step: Step) -> None:
        match step:
            case "wait", seconds:
                self.time.advance(seconds)
            case "enter", number, replica, packed if number not in self.guests:
                connection = Connection(packed=packed)
                self.presence.join(connection, f"r{replica}")
                self.guests[number] = Guest(f"r{replica}", Onlooker(connection))
                for scope in SCOPES:
                    await self.play(("watch", number, scope))
            case what, number, *rest if what != "enter" and number in self.guests:
                await self.do(what, number, self.guests[number], rest)

    async def do(self, what: str, number: int, guest: Guest, rest: list[Any]) -> None:
        connection = guest.onlooker.connection
        match what, rest:
            case "leave", []:
                self.presence.leave(connection)
                del self.guests[number]
            case "watch", [scope]:
                self.presence.watch(connection, [scope])
                guest.said.setdefault(scope, (None, 0.0))
            case "unwatch", [scope]:
                self.presence.unwatch(connection, [scope])
                guest.onlooker.leave(scope)
                guest.said.pop(scope, None)
            case "say", [scope, state] if scope in guest.said:
                self.presence.say(connection, scope, None if state is None else {"at": state})
                guest.said[scope] = (state, self.time.time())
            case "read", [most]:
                await guest.onlooker.read(most)

    async def come_to_rest(self) -> None:
        """What was held has been told, and of nothing it is in doubt whether it has expired; everyone reads on."""
        self.time.advance(LONGEST_HELD_S)
        while self.presence._turns or any(EXPIRY_S <= age < EXPIRY_S + LONGEST_HELD_S for age in self.ages()):
            self.time.advance(0.5)
        for guest in self.guests.values():
            await guest.onlooker.read()

    def ages(self) -> list[float]:
        return [self.time.time() - when for guest in self.guests.values() for _, when in guest.said.values()]

    def check(self) -> None:
        for scope in SCOPES:
            here: dict[str, set[int]] = defaultdict(set)
            watching = [guest for guest in self.guests.values() if scope in guest.said]
            for guest in watching:
                state, when = guest.said[scope]
                if state is not None and self.time.time() - when < EXPIRY_S:
                    here[guest.replica].add(state)
            seen: dict[str, Any] = {}
            for guest in watching:
                others, more = guest.onlooker.others[scope], guest.onlooker.more[scope]
                assert guest.replica not in others
                assert len(others) + more == len(here.keys() - {guest.replica})
                for replica, state in others.items():
                    assert state["at"] in here[replica]
                    assert seen.setdefault(replica, state) == state, "everyone sees the same"
            assert len(seen) <= LIMITS.max_present_replicas
            for guest in watching:
                assert guest.onlooker.others[scope].keys() == seen.keys() - {guest.replica}


@given(st.integers(0, 1 << 32), st.sampled_from([1, 3, 1024]), st.sampled_from([16, 20_000]))
@settings(max_examples=SIZES.property_examples, deadline=None)
def test_whoever_watches_ends_with_the_same_picture(seed: int, most_news: int, tellings_per_s: int) -> None:
    dice = random.Random(seed)

    async def scenario() -> None:
        history = History()
        for number in range(GUESTS):
            await history.play(("enter", number, dice.randrange(6), dice.random() < 0.5))
        for _ in range(STEPS):
            await history.play(random_step(dice))
        await history.come_to_rest()
        history.check()
        # And once nobody renews anything, nobody is here any more, whoever still watches.
        history.time.advance(EXPIRY_S + LONGEST_HELD_S)
        await history.come_to_rest()
        for guest in history.guests.values():
            assert not any(guest.onlooker.others.values())
            assert not any(guest.onlooker.more.values())
        history.presence.close()
        assert history.time.waiting == 0

    with patch.multiple(module, _MOST_NEWS=most_news, _TELLINGS_PER_S=tellings_per_s):
        asyncio.run(scenario())
