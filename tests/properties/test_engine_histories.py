"""The engine against a model of it: random pushes of several phones, sent together, lost, repeated, torn and mistaken.

Each history has several lives of one server on one SQLite file. After every round each answer is the model's, and every
page holds law 4; at the end of each life the scopes, the watchers' copies and the history are the model's too. The bus
of every other history loses, doubles, delays and exaggerates its news.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from conflict_rules import Mark, Stamp, State
from conflict_rules.wire import decode_state
from syncd.engine.connection import Connection
from syncd.engine.pull import ScopePage
from syncd.store.protocol import SettledRow, Wanted
from tests.properties.server_model import BAD_ID, Answer, Fact, Held, ServerModel, Value
from tests.sizes import SIZES
from tests.support.engine import Engine, SettableClock, open_engine
from tests.support.onlookers import bodies_of
from tests.support.until import until

SCOPES = ("north", "south")
IDS = {"n1": "north", "n2": "north", "n3": "north", "s1": "south", "s2": "south"}
NEVER_SHOWN = 900
"""A version that no history reaches."""
SHORT = 10
"""A push of no more changes is settled in one go. Between the portions of a longer one others come, and the model
knows nothing of that: tests/engine/test_portions.py does."""


@dataclass
class Phone:
    """A device that queues what it makes and keeps no copy, only versions that it was shown."""

    id: str
    ahead_ms: int
    n: int = 0
    queue: list[dict[str, Any]] = field(default_factory=list)
    shown: dict[str, int] = field(default_factory=dict)
    cursors: dict[str, str] = field(default_factory=dict)

    def make(self, dice: random.Random, now_ms: int) -> Iterator[dict[str, Any]]:
        """One change, or a group of them."""
        group = dice.choice([f"g{self.n}", "g"]) if dice.random() < 0.3 else None
        for _ in range(dice.randint(2, 3) if group else 1):
            self.n += 1
            name = dice.choice([*IDS, BAD_ID]) if dice.random() < 0.1 else dice.choice(list(IDS))
            scope = dice.choice(SCOPES) if dice.random() < 0.1 else IDS.get(name, "north")
            op = dice.choices(["create", "update", "delete"], [2, 6, 1])[0]
            base = dice.choice([0, self.shown.get(name, 0), self.shown.get(name, 0)])
            change: dict[str, Any] = {
                "n": self.n,
                "scope": scope,
                "type": "note",
                "id": name,
                "op": op,
                "base": NEVER_SHOWN if dice.random() < 0.03 else base,
                "stamp": str(Stamp(now_ms + self.ahead_ms - dice.choice([0, 0, 500]), self.n, self.id)),
            }
            if op != "delete":
                change["fields"] = {field: dice.randint(0, 2) for field in dice.sample("xyz", dice.randint(0, 3))}
            yield change | ({"group": group} if group else {})

    def batch(self, dice: random.Random) -> list[dict[str, Any]]:
        """What it sends of its queue, with what may go wrong on the way or in a bad client."""
        batch = list(self.queue)
        if dice.random() < 0.2:
            del batch[dice.randint(1, len(batch)) :]
        if dice.random() < 0.1:
            del batch[dice.randrange(len(batch))]
        if batch and dice.random() < 0.15:
            batch.insert(dice.randint(0, len(batch)), dict(dice.choice(batch)))
        if batch and dice.random() < 0.1:
            batch.insert(dice.randint(0, len(batch)), {**dice.choice(batch), "id": "n1"})
        return batch[:SHORT]


@dataclass
class Copy:
    """A watcher's copy of a scope. Goes by frames where they follow its cursor, and else pulls."""

    scope: str
    limit_bytes: int | None
    cursor: str | None = None
    held: dict[str, Any] = field(default_factory=dict)

    async def watch(self, engine: Engine, connection: Connection) -> None:
        standing = (await engine.watcher.subscribe(connection, {self.scope: self.cursor}))[self.scope]
        if standing.cursor is None:
            await self.pull(engine)
        else:
            self.cursor = standing.cursor
        async for frame in bodies_of(connection):
            message = json.loads(frame)
            if message["type"] == "delta" and message["after"] == self.cursor:
                self.cursor = message["upto"]
                self.held.update({state["id"]: state for state in message["entries"]})
            elif message["type"] == "pull" or message["upto"] != self.cursor:
                await self.pull(engine)

    async def pull(self, engine: Engine) -> None:
        more = True
        while more:
            page = (await engine.puller.pull(None, {self.scope: self.cursor}, self.limit_bytes))[self.scope]
            assert not page.reset or self.cursor is None
            self.cursor, more = page.cursor, page.more
            self.held.update({state["id"]: state for state in map(json.loads, page.bodies)})


class Play:
    """One history."""

    def __init__(self, path: Path, seed: int) -> None:
        self.path = path
        self.dice = random.Random(seed)
        self.bad_bus = seed % 2 == 1
        self.clock = SettableClock()
        self.model = ServerModel()
        ahead_ms = (0, 0, -20_000, 20_000, -7_200_000, 7_200_000)
        self.phones = [Phone(f"phone-{i}", self.dice.choice(ahead_ms)) for i in range(4)]
        self.copies = [Copy(self.dice.choice(SCOPES), self.dice.choice([None, 300])) for _ in range(3)]

    async def life(self) -> None:
        """The server is started, serves for some rounds, and is stopped."""
        async with open_engine(self.path, clock=self.clock) as engine, AsyncExitStack() as undo:
            publish = engine.bus.publish
            if self.bad_bus:
                self.spoil(engine)
            watchers: list[asyncio.Task[None]] = []
            for copy in self.copies:
                connection = engine.watcher.connect(max_frames=self.dice.choice([2, 256]))
                watching = asyncio.create_task(copy.watch(engine, connection))
                watchers.append(watching)
                undo.push_async_callback(asyncio.wait, [watching])
                undo.callback(engine.watcher.disconnect, connection)
            for _ in range(self.dice.randint(4, 8)):
                self.clock.advance(self.dice.choice([0, 0.01, 1, 30, 90]))
                await self.push_all(engine)
                for phone in self.phones:
                    if self.dice.random() < 0.6:
                        await self.pull(engine, phone)
            for scope in SCOPES:
                assert told(await engine.states(scope), scope) == self.expected(scope)
                if self.bad_bus:  # the slow poll of heads
                    publish(scope, self.model.heads.get(scope, 0))
            for copy, watching in zip(self.copies, watchers, strict=True):
                await until(lambda: self.is_told(copy, watching))  # noqa: B023  # called before the next turn
            await self.check_history(engine)

    def spoil(self, engine: Engine) -> None:
        """A bus and a memory as of many nodes: news is lost, late, doubled or of more than there is."""
        publish, offer, dice = engine.bus.publish, engine.watcher.offer, random.Random(self.dice.random())

        def spoilt(scope: str, version: int) -> None:
            fate = dice.choice(["lost", "late", "doubled", "exaggerated", "good", "good"])
            if fate == "late":
                asyncio.get_running_loop().call_soon(publish, scope, version)
            elif fate != "lost":
                publish(scope, version + (3 if fate == "exaggerated" else 0))
                if fate == "doubled":
                    publish(scope, version)

        engine.bus.publish = spoilt  # type: ignore[method-assign]
        engine.watcher.offer = lambda delta: offer(delta) if dice.random() < 0.6 else None  # type: ignore[method-assign]

    async def push_all(self, engine: Engine) -> None:
        """Many pushes at once: the engine commits them in groups, in the order in which they came."""
        dice, pushes = self.dice, []
        for phone in self.phones:
            for _ in range(dice.choice([0, 0, 1, 2])):
                phone.queue += phone.make(dice, self.clock())
            if phone.queue and dice.random() < 0.8:
                pushes += [(phone, phone.batch(dice))] * dice.choice([1, 1, 1, 2])
        dice.shuffle(pushes)
        waiting = [asyncio.create_task(engine.pusher.push(phone.id, 1, batch)) for phone, batch in pushes]
        for (phone, batch), push in zip(pushes, waiting, strict=True):
            expected = self.model.push(phone.id, batch, self.clock())
            reply = await push
            assert [
                Answer(outcome["n"], outcome["outcome"], outcome["version"], outcome.get("repeat", False))  # type: ignore[arg-type]
                for outcome in reply.outcomes
            ] == expected
            if dice.random() < 0.7:  # else the reply is lost
                phone.queue = [change for change in phone.queue if change["n"] > reply.settled]

    async def pull(self, engine: Engine, phone: Phone) -> None:
        """Some pages of each scope, or all."""
        for scope in SCOPES:
            more = True
            while more and self.dice.random() < 0.9:
                limit = self.dice.choice([None, 1, 300])
                page = (await engine.puller.pull(phone.id, {scope: phone.cursors.get(scope)}, limit))[scope]
                self.check_page(phone, scope, page)
                phone.cursors[scope], more = page.cursor, page.more

    def check_page(self, phone: Phone, scope: str, page: ScopePage) -> None:
        upto = int(page.cursor.rpartition(".")[2])
        mine = [fact for fact in self.model.history if (fact.replica, fact.scope) == (phone.id, scope)]
        assert page.settled == max((fact.n for fact in mine if fact.version <= upto), default=0), "law 4"
        states = {state["id"]: state for state in map(json.loads, page.bodies)}
        assert told(states, scope).items() <= self.expected(scope).items()
        for name, state in states.items():
            assert state["origin"][0] != phone.id or state["origin"][1] <= page.settled, "law 4"
            phone.shown[name] = state["version"]

    def is_told(self, copy: Copy, watching: asyncio.Task[None]) -> bool:
        """Whether the copy holds what the model does; raises what ended its watcher, if something did."""
        if watching.done():
            watching.result()
        return told(copy.held, copy.scope) == self.expected(copy.scope)

    def expected(self, scope: str) -> dict[str, Held]:
        return {name: held for name, held in self.model.resources.items() if held.scope == scope}

    async def check_history(self, engine: Engine) -> None:
        numbers = [(fact.replica, fact.n) for fact in self.model.history]
        async with engine.store.transaction(replicas=[], scopes=[]) as transaction:
            settled = (await transaction.load(Wanted(numbers=numbers))).settled
        assert sorted(map(as_fact, settled.values())) == sorted(self.model.history)


def as_fact(row: SettledRow) -> Fact:
    return Fact(row.replica, row.n, row.scope, row.version, row.kind)


def told(states: dict[str, Any], scope: str) -> dict[str, Held]:
    """Wire states by id in the model's words."""
    return {name: as_held(decode_state(raw, scope)) for name, raw in states.items()}


def as_held(state: State) -> Held:
    fields = {name: Value(value, *as_mark(state.marks[name])) for name, value in state.fields.items()}
    deleted = None if state.deleted is None else Value(None, *as_mark(state.deleted))
    return Held(state.scope, state.version, (state.origin.replica, state.origin.n), fields, deleted)


def as_mark(mark: Mark) -> tuple[int, Stamp]:
    return mark.version, mark.stamp


@pytest.mark.parametrize("seed", range(SIZES.engine_histories))
async def test_the_engine_does_what_the_model_does(tmp_path: Path, seed: int) -> None:
    play = Play(tmp_path / "syncd.db", seed)
    for _ in range(4):
        await play.life()
