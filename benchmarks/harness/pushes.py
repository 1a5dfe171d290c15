"""What clients push, as whole requests: notes, to syncd and to the peers, and the matches of the football app.

Notes are those of `records.py`, each with a new random id. In W1 their texts come again and again, from a pool of some
hundred that are encoded beforehand: the driver must not be what is slow. Where a database is filled, each note has a
text of its own (`fresh`): repeated ones would compress better than any user's. Matches have 50 changes each, as one
phone logs them: a match, a line-up, taps, events, substitutions and corrections.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import cycle, islice
from typing import Any, Final, Protocol

from benchmarks.harness.http_driver import request_bytes
from benchmarks.harness.records import encoded, record

__all__ = ["CHANGES_OF_MATCH", "Changes", "Matches", "NewNotes", "Notes", "Replica"]

_POOL: Final = 512
_MOST_COUNTED: Final = 0xFFFF
_KINDS: Final = (
    *("goal", "save", "tackle", "foul", "free_kick"),
    *("ball_out", "key_pass", "interception", "assist", "own_goal"),
)


class NewNotes:
    """New records without end, each an id and the inside of the JSON object of its other fields.

    `fresh`: each with a text of its own, not from the pool. The same `seed` gives the same records, however many are
    taken at a time.
    """

    def __init__(self, seed: str, *, fresh: bool = False) -> None:
        self._dice = random.Random(seed)
        self._insides: Iterator[str] = _fresh(self._dice) if fresh else cycle(_pool())
        self._last = ("", "")

    def take(self, count: int) -> list[tuple[str, str]]:
        """The next ones."""
        taken = [(self._new_id(), inside) for inside in islice(self._insides, count)]
        self._last = taken[-1]
        return taken

    def last(self) -> tuple[str, str]:
        """Of the last one taken: its id and its text."""
        key, inside = self._last
        return key, inside.partition('"text":"')[2].removesuffix('"')

    def _new_id(self) -> str:
        """A random UUID of version 4, faster than `uuid` makes it."""
        digits = f"{self._dice.getrandbits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def _fresh(dice: random.Random) -> Iterator[str]:
    while True:
        yield _inside(record(dice))


@cache
def _pool() -> Sequence[str]:
    dice = random.Random(1)
    return [_inside(record(dice)) for _ in range(_POOL)]


def _inside(note: dict[str, object]) -> str:
    """Its JSON without the braces and without the id, which comes first."""
    return encoded(note).decode().partition('",')[2].removesuffix("}")


class Changes(Protocol):
    """Where a replica's changes come from."""

    def take(self, count: int) -> list[str]:
        """The next ones: the inside of the JSON object of each, without `n` and `stamp`."""
        ...


class Notes:
    """Creations of notes, without an app. `scope`: of what is taken from now on. `fresh`: see `NewNotes`."""

    def __init__(self, seed: str, scope: str = "main", *, fresh: bool = False) -> None:
        self._notes = NewNotes(seed, fresh=fresh)
        self.scope = scope

    def take(self, count: int) -> list[str]:
        """See `Changes`."""
        head = f'"scope":"{self.scope}","type":"note","op":"create","base":0'
        return [f'{head},"id":"{key}","fields":{{{inside}}}' for key, inside in self._notes.take(count)]


class Matches:
    """Whole matches of the football app, one after the other, each in a scope of its own."""

    def __init__(self, seed: str) -> None:
        self._dice = random.Random(seed)
        self._changes = self._endless()

    def take(self, count: int) -> list[str]:
        """See `Changes`."""
        return list(islice(self._changes, count))

    def _endless(self) -> Iterator[str]:
        while True:
            match = f"{self._dice.getrandbits(64):016x}"
            for change in _MATCH:
                yield change.replace("@", match)


class Replica:
    """One client of syncd's: counts its changes and stamps them, and writes whole requests. `path`: where they go."""

    def __init__(self, name: str, port: int, changes: Changes, path: str = "/sync/v1/push") -> None:
        self._n = 0
        self._name = name
        self._port = port
        self._changes = changes
        self._path = path
        self._last = ""

    def push(self, batch: int) -> bytes:
        """A request with the next `batch` changes."""
        wall = f"{time.time_ns() // 1_000_000:012x}"
        first = self._n + 1
        self._n += batch
        taken = self._changes.take(batch)
        self._last = taken[-1]
        changes = ",".join(
            [
                f'{{"n":{n},"stamp":"{wall}.{n & _MOST_COUNTED:04x}.{self._name}",{change}}}'
                for n, change in enumerate(taken, start=first)
            ]
        )
        body = f'{{"replica":"{self._name}","schema":1,"changes":[{changes}]}}'
        return request_bytes("POST", self._port, self._path, body.encode())

    def last(self) -> dict[str, Any]:
        """The last change of the last push."""
        change: dict[str, Any] = json.loads(f"{{{self._last}}}")
        return change


def _change(type: str, id: str, op: str, **fields: object) -> str:
    change = {"scope": "match:@", "type": type, "id": id, "op": op, "base": 0, "fields": fields}
    return json.dumps(change, separators=(",", ":"))[1:-1]


def _of_match() -> Iterator[str]:
    """The changes of one match, in the order in which they are logged; `@` stands for its id."""
    yield _change("match", "@", "create", home_team="Rovers", away_team="Athletic", date="2026-11-21", half_minutes=35)
    for number in range(1, 12):
        entry = {"team": "home", "player": f"Player {number}", "shirt_number": number, "starter": True}
        yield _change("lineup", f"@-home-{number:02}", "create", match_id="@", **entry)
    for period, began, half in ((1, 0, "first"), (2, 35, "second")):
        hour = 10 + period // 2
        yield _change("match", "@", "update", **{f"{half}_half_started_at": f"2026-11-21T{hour}:05:00Z"})
        for place, kind in enumerate(_KINDS):
            minute = began + 3 * (place + 1)
            told = {"kind": kind, "team": "home" if place % 3 else "away", "player": f"Player {place + 1}"}
            event = f"@-event-{period}-{place:02}"
            yield _change("event", event, "create", match_id="@", minute=minute, period=period, **told)
            if place in (0, 4, 8):
                yield _change("event", event, "update", notes=f"put right in minute {minute + 1}")
            if place in (2, 5, 7):
                number = 3 * period + place - 2
                yield _change("lineup", f"@-home-{number:02}", "update", position="left back", shirt_number=20 + number)
        pair = {"player_off": f"Player {period + 6}", "player_on": f"Player {period + 13}", "minute": began + 30}
        yield _change("substitution", f"@-sub-{period}", "create", match_id="@", team="home", period=period, **pair)
        yield _change("match", "@", "update", **{f"{half}_half_ended_at": f"2026-11-21T{hour}:40:00Z"})


_MATCH: Final = tuple(_of_match())
CHANGES_OF_MATCH: Final = len(_MATCH)
"""How many changes one match has: 1 and 11 creations, 20 events, 2 substitutions, and 16 updates."""
