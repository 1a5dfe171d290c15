"""Random histories of two to eight replicas: the real SDK, engine and SQLite, beside the reference model.

`await play(seed, folder)` plays one, checks it as it goes, and tells what it came to. The same seed plays the same
history: replica ids, clocks and the network's faults come from its dice, and one thing happens at a time.
"""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import client_sdk.replica
from client_sdk import Client, NotHere, Unfit
from client_sdk.errors import TransportError
from client_sdk.sync_loop import SyncLoop
from conflict_rules import InvalidValue
from syncd.app import App
from syncd.store.protocol import Wanted
from tests.reference.field_rules import key
from tests.reference.in_process import InProcess, Network
from tests.reference.model import Reference
from tests.reference.strangers import Stranger
from tests.reference.types import ASKING, FIELDS, RULES, SCOPES, WRITTEN, app_of, rule_of
from tests.support.engine import NOON_MS, Engine, SettableClock, open_engine

__all__ = ["Play", "Sum", "play"]

DAY_MS = 86_400_000
WORDS = ("a", "bb", "cc", "ddd", "é", "")
MISTAKES: dict[Any, tuple[Any, ...]] = {
    "counter": (1, 1, True, "1", {"increment": "1"}, {"increment": 1.5}, {}),
    "max": (True, [], 3, "text"),
    "min": (False, {}, 3, "text"),
    "set": (["red"], {"add": "red"}, {"take": ["red"]}, {"add": [["red"]]}, {}),
}
"""What an author gets wrong, by rule."""
ELEMENTS: tuple[Any, ...] = ("red", "blue", 1, True, "1", 2.5)


@dataclass
class Sum:
    """What a history came to. `concurrent`: changes that met something they had not seen, or that did not see them."""

    histories: int = 0
    changes: int = 0
    concurrent: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)

    def __iadd__(self, other: Sum) -> Sum:
        self.histories += other.histories
        self.changes += other.changes
        self.concurrent += other.concurrent
        self.kinds += other.kinds
        self.codes += other.codes
        return self

    def as_dict(self) -> dict[str, int]:
        """What a test's report can carry."""
        return {"histories": self.histories, "changes": self.changes, "concurrent": self.concurrent}

    def sentence(self) -> str:
        share = self.concurrent / max(1, self.changes)
        came_to = ", ".join(f"{count} {kind}" for kind, count in self.kinds.most_common())
        return f"{self.histories} histories, {self.changes} changes, {share:.0%} truly concurrent: {came_to}"


class Device:
    """One replica and its clock."""

    def __init__(self, play: Play, name: str) -> None:
        self.play = play
        self.name = name
        self.ahead_ms = 0
        self.online = True
        self.client: Client | None = None
        self.was_shown: set[tuple[str, str, str]] = set()
        self.made_after: list[frozenset[tuple[str, str, str]]] = []
        """For each of its changes, what its person had been shown by then: (resource, field, stamp)."""
        self.made_of: list[frozenset[str]] = []
        """For each of its changes, the fields that its resource was shown with."""

    def now_ms(self) -> int:
        return self.play.clock() + self.ahead_ms

    def catch_up(self) -> None:
        """Changes that the SDK made by itself, of what its person had made: he had been shown no more than by now."""
        assert self.here._replica is not None
        while len(self.made_after) < self.here._replica.row.next_n - 1:
            self.made_after.append(frozenset(self.was_shown))
            self.made_of.append(frozenset())

    async def start(self) -> None:
        """Open the replica's file, as a process that starts does; its sync loop is stepped by hand."""
        client = Client(
            "http://in-process",
            replica=self.play.folder / f"{self.name}.db",
            app=self.play.app,
            scopes=sorted(set(SCOPES.values())),
            now_ms=self.now_ms,
            dice=random.Random(1),
        )
        client._transport = InProcess(self.play.network)  # type: ignore[assignment]
        with (
            mock.patch.object(SyncLoop, "start"),
            mock.patch.object(client_sdk.replica, "new_replica_id", return_value=self.name),
        ):
            await client.__aenter__()
        self.client = client

    async def stop(self) -> None:
        if self.client is not None:
            client, self.client = self.client, None
            await client.close()

    @property
    def here(self) -> Client:
        assert self.client is not None
        return self.client

    @property
    def loop(self) -> SyncLoop:
        assert self.here._loop is not None
        return self.here._loop

    async def look_at(self, kind: str, resource: str, field: str | None = None) -> None:
        """Remember what the person is shown of a resource, or of one field, to hold his changes to law 1."""
        assert self.here._replica is not None
        state = await self.here._replica.state((kind, resource))
        for name, mark in ({} if state is None else state.marks).items():
            if field in (None, name):
                self.was_shown.add((resource, name, str(mark.stamp)))

    async def push(self) -> None:
        """Send what waits, until something goes wrong."""
        try:
            while self.loop._push.due():
                await self.loop._push.once()
        except TransportError:
            pass

    async def pull(self) -> None:
        """Bring every scope up to date, until something goes wrong."""
        self.loop._pull.check(self.here.scopes)
        try:
            while self.loop._pull.due():
                await self.loop._pull.once()
        except TransportError:
            pass


class Play:
    """One history."""

    def __init__(self, seed: int, folder: Path, names: list[str], template: Path | None = None) -> None:
        self.seed = seed
        self.folder = folder
        self.dice = random.Random(seed)
        dice = self.dice
        asking = [name for name in names if name in ASKING]
        names = asking if asking and dice.random() < 0.2 else names
        self.types = sorted(dice.sample(names, min(len(names), dice.randint(1, 3))))
        self.app: App = app_of(self.types)
        self.ids = [f"{kind}-{i}" for kind in self.types for i in range(dice.randint(1, 3))]
        self.signal = dice.choice([0.4, 0.8, 0.97])
        self.clock = SettableClock(NOON_MS)
        self.model = Reference({name: RULES[name] for name in self.types})
        self.network = Network(dice, self.told)
        self.devices = [Device(self, f"r{i}") for i in range(dice.choice([2, 2, 3, 3, 4, 5, 6, 8]))]
        self.strangers = [Stranger(self, f"s{i}") for i in range(2 if asking is names else dice.choice([0, 0, 1, 2]))]
        self.server: AsyncExitStack | None = None
        self.sent: dict[tuple[str, int], dict[str, Any]] = {}
        self.meetings: dict[tuple[str, str], list[tuple[str, int, int, int]]] = {}
        self.sum = Sum()
        if template is not None:
            shutil.copyfile(template, folder / "server.db")

    async def run(self) -> Sum:
        """Play it, and check that all agree in the end."""
        await self.start_server()
        try:
            for device in self.devices:
                await device.start()
            for _ in range(self.dice.randint(4, 10)):
                await self.round()
            await self.quiet()
            await self.check()
        finally:
            for device in self.devices:
                await device.stop()
            await self.stop_server()
        return self.sum

    # What happens

    async def start_server(self) -> None:
        self.server = AsyncExitStack()
        opened = open_engine(self.folder / "server.db", app=self.app, clock=self.clock)
        self.network.engine = await self.server.enter_async_context(opened)

    async def stop_server(self) -> None:
        self.network.engine = None
        if self.server is not None:
            server, self.server = self.server, None
            await server.aclose()

    async def round(self) -> None:
        dice = self.dice
        if dice.random() < 0.08:
            await self.stop_server()
            await self.start_server()
        for device in dice.sample(self.devices, len(self.devices)):
            self.clock.now_ms += dice.choice([0, 0, 1, 7, 1_000, 90_000, 4_000_000])
            if dice.random() < 0.1:
                device.ahead_ms = dice.choice([0, 0, -20_000, 20_000, -DAY_MS, DAY_MS])  # its clock jumps
            if dice.random() < 0.06:
                await device.stop()
                await device.start()
            if dice.random() < 0.4:
                device.online = dice.random() < self.signal  # an offline spell begins, or ends
            if device.online and dice.random() < self.signal:
                await device.pull()
            for _ in range(dice.choice([0, 1, 1, 2])):
                await self.edit(device)
            if device.online:
                for step in dice.sample([device.push, device.pull], 2 if dice.random() < self.signal else 1):
                    await step()
            if self.network.late and dice.random() < 0.5:
                await self.network.deliver(dice.choice(self.network.late))
        for stranger in self.strangers:
            self.clock.now_ms += 1
            await stranger.act()

    async def look(self) -> dict[tuple[str, str], dict[str, Any]]:
        """What anybody may pull."""
        return await states_of(self.network.server())

    async def quiet(self) -> None:
        """Everything that is late arrives, every fault ends, and everybody syncs."""
        self.network.faulty = False
        for late in list(self.network.late):
            await self.network.deliver(late)
        for stranger in self.strangers:
            self.clock.now_ms += 1
            await stranger.finish()
        for device in self.devices:
            self.clock.now_ms += 1
            await device.push()
            assert device.here.status.pending == 0, f"{device.name} still has changes without an outcome"
        for device in self.devices:
            await device.pull()
            assert not device.loop._pull.due(), f"{device.name} could not catch up"

    async def edit(self, device: Device) -> None:
        if self.dice.random() < 0.12:
            async with device.here.group():
                for _ in range(self.dice.randint(2, 3)):
                    await self.one_edit(device)
        else:
            await self.one_edit(device)

    async def one_edit(self, device: Device) -> None:
        """What a person does next, of what the SDK lets him do with what he is shown."""
        dice, resource = self.dice, self.dice.choice(self.ids)
        kind = resource.partition("-")[0]
        collection = device.here.collection(kind, scope=SCOPES[kind])
        chosen = dice.sample(self.fields_of(kind), dice.choice([1, 1, 2]))
        shown = await collection.get(resource)
        await device.look_at(kind, resource)
        try:
            if dice.random() < 0.15 and await self.answer(device):
                pass
            elif shown is None and dice.random() < 0.3:
                await collection.restore(resource, **{name: self.first_value(kind, name) for name in chosen})
            elif shown is None:
                await collection.put({"id": resource, **{name: self.first_value(kind, name) for name in chosen}})
            elif dice.random() < 0.1:
                await collection.delete(resource)
            else:
                await collection.update(resource, **{name: self.next_value(kind, name) for name in chosen})
        except (NotHere, Unfit, InvalidValue):
            pass
        else:
            device.made_after.append(frozenset(device.was_shown))
            device.made_of.append(frozenset(shown or ()) - {"id"})

    def fields_of(self, kind: str) -> tuple[str, ...]:
        """The fields that are set by value."""
        return FIELDS[kind]

    async def answer(self, device: Device) -> bool:
        """Settle a conflict, or open one again; False if this person knows of none."""
        dice = self.dice
        conflicts = await device.here.conflicts.all(open=dice.choice([True, True, None]))
        if not conflicts:
            return False
        conflict = dice.choice(conflicts)
        if conflict.field is not None:
            # It shows the value that is accepted meanwhile; what is shown of the field from then on may be the answer.
            await device.look_at(conflict.about["type"], conflict.about["id"], conflict.field)
        if not conflict.open and dice.random() < 0.5:
            await device.here.conflicts.reopen(conflict)
        elif dice.random() < 0.5:
            await device.here.conflicts.settle(conflict, value=dice.randint(0, 5))
        else:
            await device.here.conflicts.settle(conflict, choice=dice.choice(conflict.candidates)["key"])
        return True

    def first_value(self, kind: str, name: str) -> Any:
        dice, rule = self.dice, rule_of(kind, name)
        if rule == "set":
            return dice.sample(ELEMENTS, dice.randint(0, 3))
        if rule == "counter":
            return dice.randint(-2, 3)
        return self.plain_value(rule, name)

    def next_value(self, kind: str, name: str) -> Any:
        dice, rule = self.dice, rule_of(kind, name)
        if rule in MISTAKES and dice.random() < 0.06:
            return dice.choice(MISTAKES[rule])
        if rule == "set":
            edit = dice.sample(["add", "remove"], dice.choice([1, 1, 1, 2]))
            return {what: dice.sample(ELEMENTS, dice.randint(1, 3)) for what in edit}
        if rule == "counter":
            return {"increment": dice.choice([1, 1, -1, 5, 2**52])}
        return self.plain_value(rule, name)

    def plain_value(self, rule: Any, name: str) -> Any:
        if rule in ("max", "min") and name == "y":
            return self.dice.choice(WORDS)
        return self.dice.randint(0, 5)

    # What is checked

    def told(self, replica: str, changes: list[dict[str, Any]], outcomes: list[dict[str, Any]]) -> None:
        """A push reached the server: the model must say the same of each change."""
        new = [change for change in changes if change["n"] > self.model.settled.get(replica, 0)]
        expected = self.model.push(replica, changes, self.clock())
        assert len(expected) == len(outcomes)
        for change, ours, theirs in zip(changes, expected, outcomes, strict=True):
            for part in compared(ours):
                told = sorted(theirs.get("lost", ())) if part == "lost" else theirs.get(part)
                assert told == ours[part], f"{part} of {change}\n  model  {ours}\n  engine {theirs}"
        for change in new:
            self.count(replica, change)

    def count(self, replica: str, change: dict[str, Any]) -> None:
        if self.model.settled.get(replica, 0) < change["n"]:
            return
        self.sent[replica, change["n"]] = change
        outcome = self.model.ledger[replica, change["n"]][1]
        self.sum.kinds[outcome["outcome"]] += 1
        self.sum.codes[outcome.get("code") or "-"] += 1
        self.meetings.setdefault((change["type"], change["id"]), []).append(
            (replica, change["n"], change["base"], outcome.get("version", 0))
        )
        device = next((each for each in self.devices if each.name == replica), None)
        if device is None:
            return
        for name, stamp in self.model.overwrote.pop((replica, change["n"]), ()):
            shown = (change["id"], name, stamp)
            assert shown in device.made_after[change["n"] - 1], f"law 1: {change} claims to have seen {shown}"
        if RULES.get(change["type"], {}).get("rule") == "lww" and change["op"] == "update":
            assert change["fields"].keys() >= device.made_of[change["n"] - 1], "counterexample 5: a record, not a patch"

    async def check(self) -> None:
        engine = self.network.engine
        assert engine is not None
        expected = self.model.content()
        for resource in expected.values():
            if "question" in resource:
                resource["question"] = as_question(resource["question"])
        served = await states_of(engine)
        found = {name: canonical_state(state) for name, state in served.items()}
        for name in found.keys() | expected.keys():
            assert found.get(name) == expected.get(name), f"the server holds another {name}"
        for device in self.devices:
            held = await held_by(device)
            assert held.keys() == served.keys(), f"{device.name} holds other resources"
            for name, state in held.items():
                assert state == served[name], f"{device.name} holds another {name}"
            await self.check_shown(device, expected)
        await self.check_ledger(engine)
        self.sum.histories = 1
        self.sum.changes = len(self.sent)
        self.sum.concurrent = len(concurrent(self.meetings) | self.model.met_unseen & self.sent.keys())

    async def check_shown(self, device: Device, expected: dict[tuple[str, str], Any]) -> None:
        """The view is the confirmed state: nothing is pending any more."""
        for kind in self.types:
            shown = {(kind, state.pop("id")): state for state in await device.here.collection(kind).all()}
            living = {
                each: state["fields"] for each, state in expected.items() if each[0] == kind and "fields" in state
            }
            assert shown == living, f"{device.name} shows another {kind}"

    async def check_ledger(self, engine: Engine) -> None:
        """Nothing acknowledged is missing, and what was overruled or rejected can be found with its values."""
        async with engine.store.transaction(replicas=[], scopes=[]) as transaction:
            kept = (await transaction.load(Wanted(numbers=list(self.sent)))).settled
        assert kept.keys() == self.sent.keys(), "an acknowledged change is missing from the ledger"
        for number, row in kept.items():
            assert json.loads(row.change) == self.sent[number]
            outcome = self.model.ledger[number][1]
            assert outcome.get("unspecified") or row.kind == outcome["outcome"]
        for device in self.devices:
            made = {n for name, n in self.sent if name == device.name}
            assert made == set(range(1, device.here._replica.row.next_n)), "a change never came to an outcome"  # type: ignore[union-attr]


def compared(outcome: dict[str, Any]) -> list[str]:
    """What of the model's outcome is specified to the letter."""
    parts = ["n"] if outcome.get("unspecified") else ["n", "outcome"]
    if outcome.get("repeat"):
        parts.append("repeat")
    if outcome["outcome"] in ("applied", "merged", "overruled", "conflict") and not str(
        outcome.get("code", "")
    ).startswith("group_"):
        parts.append("version")
    if outcome.get("code") is not None:
        parts.append("code")
    if outcome.get("lost"):
        parts.append("lost")
    return parts


def canonical_state(state: dict[str, Any]) -> dict[str, Any]:
    """A wire state in the model's words."""
    marks = marks_of(state)
    made = {"version": state["version"], "origin": tuple(state["origin"])}
    if state.get("deleted"):
        return made | {"deleted": marks.default}
    if state["type"] == "conflict":
        return made | {"question": as_question(state["fields"])}
    data = state.get("rule_data", {})
    return made | {
        "fields": state["fields"],
        "marks": {name: marks[name] for name in state["fields"]},
        "dots": {name: dots_of(each) for name, each in data.items() if isinstance(each, list) and each},
        "disputes": {
            name: each["conflict"] for name, each in data.items() if isinstance(each, dict) and each.get("open")
        },
    }


def as_question(fields: dict[str, Any]) -> dict[str, Any]:
    """A conflict, without what the product may say in its own way: its words, and the key of what was accepted."""
    first, *others = fields["candidates"]
    return {
        **{name: fields[name] for name in ("about", "field", "question", "others", "accepted", "base", "status")},
        "candidates": [
            {name: first.get(name) for name in ("value", "replica", "stamp")},
            *({name: each.get(name) for name in ("key", "value", "replica", "n", "stamp", "group")} for each in others),
        ],
        "settlement": as_settlement(fields["settlement"]),
        "settlements": [as_settlement(each) for each in fields["settlements"]],
    }


def as_settlement(entry: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if entry is None else {name: entry.get(name) for name in ("value", "replica", "n", "stamp")}


class Marks(dict[str, tuple[int, str]]):
    """By field; `default` for those that are not named."""

    default: tuple[int, str] | None = None

    def __missing__(self, name: str) -> tuple[int, str]:
        assert self.default is not None
        return self.default


def marks_of(state: dict[str, Any]) -> Marks:
    """See docs/protocol.md: one entry without fields covers all that no other names."""
    marks = Marks()
    for version, stamp, *names in state["marks"]:
        if not names:
            marks.default = (version, stamp)
        for name in names[0] if names else ():
            marks[name] = (version, stamp)
    return marks


def dots_of(data: list[Any]) -> dict[str, list[tuple[int, str]]]:
    """The dots of a set, by element."""
    return {key(element): [(version, stamp) for version, stamp in dots] for element, dots in data}


async def states_of(engine: Engine) -> dict[tuple[str, str], dict[str, Any]]:
    """What a fresh replica pulls of every scope."""
    states: dict[tuple[str, str], dict[str, Any]] = {}
    for scope in sorted(set(SCOPES.values())):
        page = (await engine.puller.pull(None, {scope: None}, 1 << 20))[scope]
        assert not page.more
        states |= {(state["type"], state["id"]): state for state in map(json.loads, page.bodies)}
    return states


async def held_by(device: Device) -> dict[tuple[str, str], dict[str, Any]]:
    """The confirmed states in a replica's file, tombstones among them, with all that stands beside the fields."""
    replica = device.here._replica
    assert replica is not None
    async with replica.reading():
        rows = await replica.store.resources(None, None)
    return {(row.type, row.id): json.loads(row.body) for row in rows}


def concurrent(meetings: dict[tuple[str, str], list[tuple[str, int, int, int]]]) -> set[tuple[str, int]]:
    """The changes that have a partner at the same resource, of another replica, neither of them seen by the other.

    Of two, the one that arrived later has not seen the earlier one if its base lies below the version that this led to.
    The earlier one cannot have seen what was not there.
    """
    found: set[tuple[str, int]] = set()
    for changes in meetings.values():
        for place, (replica, n, _, version) in enumerate(changes):
            for other, other_n, base, _ in changes[place + 1 :]:
                if other != replica and base < version:
                    found |= {(replica, n), (other, other_n)}
    return found


async def play(seed: int, folder: Path, template: Path | None = None, names: list[str] | None = None) -> Sum:
    """Play the history of that seed in an empty folder; raises `AssertionError` where anything differs."""
    print(f"history {seed}")
    return await Play(seed, folder, names or [name for name in RULES if name not in WRITTEN], template).run()
