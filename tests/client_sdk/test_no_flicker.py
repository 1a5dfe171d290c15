"""What a person sees never goes back to an older value and forth, whatever order the network brings things in.

Random interleavings of one phone's edits, its pushes and pulls (each stopped before the server takes it and before the
answer arrives, or lost), live frames, restarts, requests that arrive late, and the edits of two others. After each step
the view is looked at, and each call of an observer counts as a look as well. Every value in a history is set by one
change only, so that a value which comes back was brought back by nobody:

- A field shows X, then Y instead: X never shows again, unless all that was shown in between was refused.
- Under rules that add up, what a change brought shows from the moment it is made, exactly once, and goes only if the
  change is refused or somebody took it away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from client_sdk.drafts import GroupDraft
from conflict_rules import MERGE, Change, Deletes, JsonValue, RecordRule, Rule, State, rule_by_name
from conflict_rules.own import ARBITRATED, Own
from tests.client_sdk.interleavings import Other, Phone, app_with
from tests.sizes import SIZES
from tests.support.engine import Engine, open_engine

Tokens = frozenset[int]
Number = tuple[str, int]
FIELD = "v"
MOST_TOKENS = 26
"""So that a counter can hold all of them."""


@dataclass(frozen=True)
class Reading:
    """How values of one rule are told apart. `first`, `later`: what a create and an update carry for a token, and
    `tokens` which ones a value holds. `adds_up`: whether a value holds the work of many.
    """

    rule: Rule
    first: Callable[[int], JsonValue]
    later: Callable[[int], JsonValue]
    tokens: Callable[[JsonValue], Tokens]
    adds_up: bool = False
    removes: Callable[[int], JsonValue] | None = None


def digits(value: JsonValue) -> Tokens:
    """Increments are powers of 4: a sum holds each at most once."""
    assert isinstance(value, int)
    found = set()
    for token in range(MOST_TOKENS):
        times = value >> 2 * token & 3
        assert times in (0, 1), f"the increment of change {token} shows {times} times"
        if times:
            found.add(token)
    return frozenset(found)


def elements(value: JsonValue) -> Tokens:
    assert isinstance(value, list)
    assert len(set(map(str, value))) == len(value), "an element shows twice"
    return frozenset(token for token in value if isinstance(token, int))


def one(value: JsonValue) -> Tokens:
    assert isinstance(value, int)
    return frozenset([value])


def register(rule: Rule) -> Reading:
    return Reading(rule, first=lambda token: token, later=lambda token: token, tokens=one)


def spread(value: JsonValue) -> Tokens:
    """The greatest and the least are made in no particular order."""
    assert isinstance(value, int)
    return frozenset([value * 17 % 101])


def greater(base: JsonValue, mine: JsonValue, theirs: JsonValue) -> JsonValue:
    """An author's own rule."""
    assert isinstance(mine, int)
    assert isinstance(theirs, int)
    return max(mine, theirs)


READINGS = {
    **{name: register(rule_by_name(name)) for name in ("append", "lww", "manual", "merge", "server_wins")},
    **{
        name: Reading(
            rule_by_name(name),
            first=lambda token: token * 6 % 101,
            later=lambda token: token * 6 % 101,
            tokens=spread,
        )
        for name in ("max", "min")
    },
    "merge, update_wins": register(MERGE.having(deletes=Deletes.UPDATE_WINS)),
    "own": register(RecordRule("own", Own("own", greater, ARBITRATED))),
    "counter": Reading(
        rule_by_name("counter"),
        first=lambda token: 4**token,
        later=lambda token: {"increment": 4**token},
        tokens=digits,
        adds_up=True,
    ),
    "set": Reading(
        rule_by_name("set"),
        first=lambda token: [token],
        later=lambda token: {"add": [token]},
        tokens=elements,
        adds_up=True,
        removes=lambda token: {"remove": [token]},
    ),
}


@dataclass
class Screen:
    """What was shown of one resource, and what must not be."""

    reading: Reading
    refused: Callable[[int], bool]
    """Whether the change of this token was made on the phone and the server has refused it."""
    may_return: Callable[[], bool]
    """Whether what the phone did to bring or take this resource, or something of it, was refused."""
    shown: list[Tokens | None] = field(default_factory=lambda: [None])
    removed: set[int] = field(default_factory=set)

    def look(self, state: State | None) -> None:
        now = None if state is None else self.reading.tokens(state.fields[FIELD])
        if now == self.shown[-1]:
            return
        if now is None or self.shown[-1] is None:
            # Made, or deleted; a second life needs a delete that came to nothing.
            assert now is None or len(self.shown) == 1 or self.may_return(), f"back from the dead: {self.history(now)}"
        elif self.reading.adds_up:
            gone = {token for token in self.shown[-1] - now if not self.refused(token)}
            assert gone <= self.removed, f"{gone} vanished: {self.history(now)}"
            earlier = frozenset().union(*(tokens for tokens in self.shown if tokens is not None))
            back = (now - self.shown[-1]) & earlier
            assert not back or self.may_return(), f"{back} came back: {self.history(now)}"
        if now is not None and not self.reading.adds_up and now in self.shown:
            last = len(self.shown) - 1 - self.shown[::-1].index(now)
            between = [token for tokens in self.shown[last + 1 :] for token in tokens or ()]
            assert all(map(self.refused, between)), f"flickers: {self.history(now)}"
        self.shown.append(now)

    def history(self, now: Tokens | None) -> str:
        return " → ".join("nothing" if each is None else str(sorted(each)) for each in [*self.shown, now])


STEPS = (
    *("edit", "edit", "edit", "edit twice", "remove", "delete", "edit what will be refused", "group"),
    *("push", "push", "pull", "take push", "take push", "take pull", "take a bit of pull", "take a bit of pull"),
    *("end push", "end push", "end pull", "end pull", "lose push", "lose pull"),
    *("live", "frame", "frame", "frame", "break", "restart", "haunt", "second"),
    *("look", "other", "other", "other makes", "other sends", "other deletes"),
)


class Play:
    """One history of one phone, two others and one scope."""

    def __init__(
        self, engine: Engine, reading: Reading, path: Path, number: int, skews: list[int], log: Callable[[str], object]
    ) -> None:
        self.engine, self.reading, self.name, self.log = engine, reading, f"p{number}", log
        self.vetoed: set[Number] = set()
        self.tokens = list(range(MOST_TOKENS - 1, -1, -1))
        self.number_of: dict[int, Number] = {}
        self.made_or_taken: dict[str, list[Number]] = {}
        self.screens: dict[str, list[Screen]] = {}
        self.told: list[tuple[str, State | None]] = []
        app = app_with(reading.rule, self.refuses)
        self.engine.pusher._app = self.engine.pusher._groups._app = app
        self.phone = Phone(engine, app, path, self.name, ahead_ms=skews[0], on_told=self.told.append)
        self.others = [
            Other(engine, f"{self.name}{letter}", self.name, reading.rule, skew)
            for letter, skew in zip("st", skews[1:], strict=True)
        ]
        self.ids = [f"{self.name}-{letter}" for letter in "xyz"]

    def next_number(self, group: GroupDraft | None = None) -> Number:
        drafted = 0 if group is None else len(group.drafts)
        return (self.phone.replica.id, self.phone.replica.row.next_n + drafted)

    def refuses(self, change: Change) -> bool:
        return (change.replica, change.n) in self.vetoed

    def refused(self, token: int) -> bool:
        return token in self.number_of and self.phone.wire.came_to_nothing(self.number_of[token])

    def may_return(self, name: str) -> bool:
        if self.reading.rule.deletes is Deletes.UPDATE_WINS:
            return True
        return any(map(self.phone.wire.came_to_nothing, self.made_or_taken.get(name, ())))

    def look(self, name: str, state: State | None, screen: int) -> None:
        if name not in self.screens:
            self.screens[name] = [Screen(self.reading, self.refused, lambda: self.may_return(name)) for _ in range(2)]
        self.screens[name][screen].look(state)

    async def look_at_all(self) -> None:
        for name, state in self.told:
            self.look(name, state, 1)
        self.told.clear()
        shown = await self.phone.shown()
        for name in {*shown, *self.screens}:
            self.look(name, shown.get(name), 0)
            told = self.screens[name][1].shown[-1]
            assert told == self.screens[name][0].shown[-1], (
                f"an observer was told {told}: {self.screens[name][0].shown}"
            )

    async def play(self, steps: list[tuple[int, int]]) -> None:
        await self.phone.start()
        try:
            for number, choice in steps:
                # What is not possible now gives way to the next that is.
                for step in (*STEPS[number:], *STEPS[:number]):
                    if await self.step(step, choice):
                        self.log(f"{step} {choice}")
                        break
                await self.look_at_all()
            self.log("catch up")
            for other in self.others:
                await other.send()
            await self.phone.catch_up()
            await self.look_at_all()
            await self.check_end()
        finally:
            await self.phone.stop()

    async def check_end(self) -> None:
        shown = await self.phone.shown()
        states = await self.engine.states(self.name)
        expected = {
            name: state["fields"]
            for name, state in states.items()
            if state["type"] == "thing" and not state.get("deleted")
        }
        assert {name: dict(state.fields) for name, state in shown.items()} == expected
        assert self.phone.comparison.repaired == 0
        assert not list(self.phone.replica.outbox), "something is still replayed"

    async def step(self, step: str, choice: int) -> bool:
        """Play it, if it is possible now; returns whether it was."""
        phone, wire, other = self.phone, self.phone.wire, self.others[choice % 2]
        name = self.ids[choice % 3]
        match step.split():
            case ["edit"]:
                return await self.edit(name)
            case ["edit", "twice"]:
                return await self.edit(name) and await self.edit(name)
            case ["edit", "what", *_]:
                self.vetoed.add(self.next_number())
                return await self.edit(name)
            case ["delete"]:
                if name not in await phone.shown():
                    return False
                self.made_or_taken.setdefault(name, []).append(self.next_number())
                await phone.edits.delete("thing", name, None)
            case ["remove"]:
                return await self.remove(name)
            case ["group"]:
                group = GroupDraft(f"{self.name}-{phone.replica.next_seq}")
                other_name = self.ids[(choice + 1) % 3]
                both = await self.edit(name, group) and await self.edit(other_name, group)
                await phone.edits.commit_group(group, phone.wire.limits)
                return both
            case ["push" | "pull" as what]:
                if what in phone.tasks or (what == "push" and not phone.push.due()):
                    return False
                await phone.begin(what)
            case ["take", *much, what]:
                if what not in wire.exchanges or wire.exchanges[what].answer is not None:
                    return False
                await wire.take(what, 1 if much else None)
            case ["end", what]:
                if what not in wire.exchanges or wire.exchanges[what].answer is None:
                    return False
                await phone.end(what)
            case ["lose", what]:
                if what not in wire.exchanges:
                    return False
                await phone.end(what, lost=True)
            case ["live"]:
                if phone.connection is not None:
                    return False
                await phone.connect_live()
            case ["frame"]:
                return await phone.next_frame()
            case ["break"]:
                if phone.connection is None:
                    return False
                phone.break_live()
            case ["restart"]:
                await phone.stop()
                await phone.start()
            case ["haunt"]:
                if not wire.ghosts:
                    return False
                await wire.haunt(choice)
            case ["second"]:
                self.engine.clock.advance(1)
            case ["look"]:
                await other.look()
            case ["other"]:
                await other.look()
                if not self.other_edit(other, name):
                    return False
                await other.send()
            case ["other", "makes"]:
                return self.other_edit(other, name)
            case ["other", "sends"]:
                await other.send()
            case ["other", "deletes"]:
                if name not in other.seen or other.seen[name].deleted is not None:
                    return False
                other.make(name, {}, "delete")
            case _:
                raise AssertionError(step)
        return True

    def other_edit(self, other: Other, name: str) -> bool:
        state = other.seen.get(name)
        if not self.tokens or (state is not None and state.deleted is not None):
            return False
        token = self.tokens.pop()
        value = self.reading.first(token) if state is None else self.reading.later(token)
        other.make(name, {FIELD: value}, "create" if state is None else "update")
        return True

    async def edit(self, name: str, group: GroupDraft | None = None) -> bool:
        """The phone sets, adds or counts; it shows at once."""
        phone = self.phone
        state = await phone.replica.state(("thing", name), group)
        if not self.tokens or (state is not None and state.deleted is not None):
            return False
        token = self.tokens.pop()
        self.number_of[token] = self.next_number(group)
        if state is None:
            self.made_or_taken.setdefault(name, []).append(self.next_number(group))
            await phone.edits.put("thing", name, self.name, {FIELD: self.reading.first(token)}, group)
        else:
            await phone.edits.update("thing", name, {FIELD: self.reading.later(token)}, group)
        self.log(f"  phone sets {token} on {name}")
        if group is None and self.reading.rule.name not in ("max", "min"):
            shown = (await phone.shown())[name]
            assert token in self.reading.tokens(shown.fields[FIELD]), "what was just done does not show"
        return True

    async def remove(self, name: str) -> bool:
        state = (await self.phone.shown()).get(name)
        if self.reading.removes is None or state is None:
            return False
        shown = sorted(self.reading.tokens(state.fields[FIELD]))
        if not shown:
            return False
        for screen in self.screens[name]:
            screen.removed.add(shown[0])
        self.made_or_taken.setdefault(name, []).append(self.next_number())
        await self.phone.edits.update("thing", name, {FIELD: self.reading.removes(shown[0])}, None)
        return True


@pytest.mark.parametrize("name", READINGS)
def test_nothing_shown_comes_back_that_nobody_brought_back(tmp_path: Path, name: str) -> None:
    numbers = count()
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        engine = runner.run(stack.enter_async_context(open_engine(tmp_path / "server.db")))

        step = st.tuples(st.integers(0, len(STEPS) - 1), st.integers(0, 5))

        @settings(max_examples=SIZES.interleavings)
        @given(
            # Long ones find more, short ones are what a failure shrinks to.
            steps=st.lists(step, max_size=60) | st.lists(step, min_size=25, max_size=60),
            skews=st.lists(st.integers(-25_000, 25_000), min_size=3, max_size=3),
        )
        def histories(steps: list[tuple[int, int]], skews: list[int]) -> None:
            number = next(numbers)
            path = tmp_path / f"{number}.db"
            runner.run(Play(engine, READINGS[name], path, number, skews, note).play(steps))
            path.unlink()

        try:
            histories()
        finally:
            runner.run(stack.aclose())
