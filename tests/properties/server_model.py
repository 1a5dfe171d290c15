"""What a server makes of pushes, said a second time in the plainest way: dictionaries, one push after the other.

Written from the laws and not from the engine, so that both must be wrong in the same way for a fault to hide. Knows the
rule `merge`, deletes, groups, numbers and effective stamps; no apps, no hooks, no stores.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple

from conflict_rules import MAX_DRIFT_MS, JsonValue, Stamp

__all__ = ["BAD_ID", "Answer", "Fact", "Held", "ServerModel"]

BAD_ID = "not an id!"
"""A change to this one cannot be read: its number is settled, in no scope, as rejected."""

RawChange = dict[str, Any]
REFUSED = ("rejected", "overruled")


class Answer(NamedTuple):
    """What a change is answered."""

    n: int
    outcome: str
    version: int = 0
    repeat: bool = False


class Value(NamedTuple):
    """A field's value, the version at which it was set, and the stamp it was set with."""

    value: JsonValue
    version: int
    stamp: Stamp


class Fact(NamedTuple):
    """A line of the history."""

    replica: str
    n: int
    scope: str
    version: int
    outcome: str


@dataclass
class Held:
    """A resource. `deleted`: its tombstone has no fields, and one mark."""

    scope: str
    version: int
    origin: tuple[str, int]
    fields: dict[str, Value] = field(default_factory=dict)
    deleted: Value | None = None


@dataclass
class ServerModel:
    """Everything the server remembers."""

    heads: dict[str, int] = field(default_factory=dict)
    resources: dict[str, Held] = field(default_factory=dict)
    settled: dict[str, int] = field(default_factory=dict)
    stamps: dict[str, Stamp] = field(default_factory=dict)
    outcomes: dict[tuple[str, int], tuple[str, Answer]] = field(default_factory=dict)
    history: list[Fact] = field(default_factory=list)

    def push(self, replica: str, changes: list[RawChange], now_ms: int) -> list[Answer]:
        """Settle a push that arrives at `now_ms`."""
        runs = [(group, list(members)) for group, members in groupby(changes, key=lambda change: change.get("group"))]
        times = Counter(group for group, _ in runs)
        answers: list[Answer] = []
        for group, members in runs:
            units = [[member] for member in members] if group is None else [members]
            for unit in units:
                answers += self._unit(replica, unit, now_ms, scattered=group is not None and times[group] > 1)
        return answers

    def _unit(self, replica: str, unit: list[RawChange], now_ms: int, *, scattered: bool) -> list[Answer]:
        first = self.settled.get(replica, 0) + 1
        new: dict[int, RawChange] = {}
        for member in unit:
            if member["n"] == first + len(new):
                new[member["n"]] = member
        if any(member["n"] >= first + len(new) for member in unit):  # law 3: a gap
            return [
                Answer(member["n"], "retry_later") if member["n"] >= first else self._old(replica, member)
                for member in unit
            ]
        others = [member for member in unit if new.get(member["n"]) is not member]
        spoiled: list[str] = []
        for member in others:
            twin = new.get(member["n"])
            outcome = (
                self._old(replica, member).outcome if twin is None else "applied" if twin == member else "rejected"
            )
            spoiled += [outcome] if outcome in REFUSED else []
        spoiled += ["rejected"] if scattered else []
        before = copy.deepcopy(self)
        fates = [self._settle(replica, member, now_ms, spoiled[0] if spoiled else None) for member in new.values()]
        culprit = next((fate for kind in REFUSED for fate in fates if fate.outcome == kind), None)
        if len(new) > 1 and culprit is not None and not spoiled:  # all or none
            stamps = self.stamps
            self.__dict__.update(before.__dict__)
            self.stamps = stamps
            for member in new.values():
                held = self.resources.get(member["id"])
                version = min(culprit.version, held.version) if held and member["n"] == culprit.n else 0
                self._note(replica, member, culprit.outcome, version)
        given = {n: self._old(replica, member)._replace(repeat=False) for n, member in new.items()}
        return [given[member["n"]] if new.get(member["n"]) is member else self._old(replica, member) for member in unit]

    def _old(self, replica: str, change: RawChange) -> Answer:
        content, answer = self.outcomes[replica, change["n"]]
        return answer if content == _content(change) else Answer(change["n"], "rejected")  # id_reuse

    def _settle(self, replica: str, change: RawChange, now_ms: int, refusal: str | None) -> Answer:
        head = self.heads.get(change["scope"], 0)
        outcome, version = (refusal, 0) if refusal else self._apply(replica, change, now_ms)
        self._note(replica, change, outcome, version, head)
        return Answer(change["n"], outcome, version)

    def _note(self, replica: str, change: RawChange, outcome: str, version: int, head: int | None = None) -> None:
        n, scope = change["n"], "" if change["id"] == BAD_ID else change["scope"]
        if head is None:
            head = self.heads.get(scope, 0)
        self.settled[replica] = n
        self.outcomes[replica, n] = (_content(change), Answer(n, outcome, version, repeat=True))
        # Law 4: at the version it made, or where the scope stood.
        self.history.append(Fact(replica, n, scope, max(head, version) if scope else 0, outcome))

    def _apply(self, replica: str, change: RawChange, now_ms: int) -> tuple[str, int]:
        held = self.resources.get(change["id"])
        if change["id"] == BAD_ID or (held is not None and held.scope != change["scope"]):
            return "rejected", 0
        stamp = self._effective(replica, Stamp.parse(change["stamp"]), now_ms)
        head = self.heads.get(change["scope"], 0)
        base = change["base"] if change["base"] <= head else 0
        if held is None:
            if change["op"] == "update":
                return "rejected", 0  # law 9
            if change["op"] == "delete":
                return "applied", 0
            fields = {name: Value(value, head + 1, stamp) for name, value in change.get("fields", {}).items()}
            return "applied", self._put(change, Held(change["scope"], head + 1, (replica, change["n"]), fields))

        def seen(value: Value) -> bool:
            return value.version <= base or value.stamp.replica == replica  # law 1

        if held.deleted is not None:
            if change["op"] == "delete":
                return "applied", held.version
            return "rejected" if seen(held.deleted) else "overruled", held.version
        kind = "applied" if held.version <= base or all(map(seen, held.fields.values())) else "merged"
        origin = (replica, change["n"])
        if change["op"] == "delete":
            tombstone = Held(held.scope, head + 1, origin, deleted=Value(None, head + 1, stamp))
            return kind, self._put(change, tombstone)
        fields, sent = dict(held.fields), change.get("fields", {})
        taken, lost = False, 0
        for name, value in sent.items():
            old = held.fields.get(name)
            if old is None or seen(old) or stamp > old.stamp:  # law 2
                if old is None or old.stamp != stamp or old.value != value:
                    above = stamp if old is None or stamp > old.stamp else old.stamp.next(replica)
                    fields[name], taken = Value(value, head + 1, above), True
            elif old.value != value:
                lost += 1
        if lost and lost == len(sent):
            return "overruled", held.version
        return kind, self._put(change, Held(held.scope, head + 1, origin, fields)) if taken else held.version

    def _put(self, change: RawChange, held: Held) -> int:
        self.resources[change["id"]] = held
        self.heads[held.scope] = held.version
        return held.version

    def _effective(self, replica: str, stamp: Stamp, now_ms: int) -> Stamp:
        if stamp.wall_ms > now_ms + MAX_DRIFT_MS:
            stamp = Stamp(now_ms + MAX_DRIFT_MS, 0, replica)
        last = self.stamps.get(replica)
        self.stamps[replica] = stamp if last is None or stamp > last else last.next(replica)
        return self.stamps[replica]


def _content(change: RawChange) -> str:
    return json.dumps(change, sort_keys=True)
