"""The outbox: changes made here, from the moment they are made until the confirmed state holds them.

An index in memory over the rows of the local file, which `Replica` writes in step. Two questions are kept apart: does a
change still wait for its outcome (then it is sent again), and does the view still replay it (then it is pending).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import cast

from client_sdk.errors import FileUnusable
from client_sdk.json_text import read_json
from client_sdk.local_rows import ChangeRow
from client_sdk.numbered import Numbered
from client_sdk.rebase import Pending
from conflict_rules import Change, Op, Outcome
from conflict_rules.values import JsonValue, canonical_json
from conflict_rules.wire import (
    MalformedChange,
    decode_change,
    decode_outcome,
    decode_own,
    encode_change,
    outcome_text,
)

__all__ = ["Entry", "Outbox", "ResourceKey", "all_of", "decode_row", "encode_result", "in_units", "stand_in"]

ResourceKey = tuple[str, str]
"""(type, id)"""

Lift = Callable[[Change], Change | None]
"""What a change means to the app here; None: nothing."""


def _as_it_is(change: Change) -> Change:
    return change


@dataclass(slots=True)
class Entry:
    """One change. `body`: exactly what is sent, so that a repeat has the same content (law 3). `outcome`: None while it
    waits. `shown`: whether the view replays it. `sent`: whether the server may have it without our knowing its answer.
    `meaning`: the change as the app here reads it, which may be newer than the one it was made under; None: not at all.
    `told`: by whoever keeps it, to be told when it becomes another.
    """

    seq: int
    change: Change
    meaning: Change | None
    body: str
    made_ms: int
    outcome: Outcome | None = None
    shown: bool = True
    sent: bool = False
    told: Callable[[Entry], None] | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, seq: int, change: Change, made_ms: int, lift: Lift = _as_it_is) -> Entry:
        """A change that was just made, or is made anew."""
        return cls(seq, change, lift(change), encode_body(change), made_ms)

    @property
    def key(self) -> ResourceKey:
        """The resource it is about, as the app here calls it."""
        change = self.meaning or self.change
        return (change.type, change.id)

    @property
    def waiting(self) -> bool:
        """Whether it has no outcome yet."""
        return self.outcome is None

    @property
    def pending(self) -> Pending | None:
        """It, for the replay, if it means anything."""
        return None if self.meaning is None else Pending(self.seq, self.meaning)

    def row(self) -> ChangeRow:
        """It, for the file."""
        outcome = None if self.outcome is None else encode_result(self.change.n, self.outcome)
        return ChangeRow(self.seq, self.change.replica, self.change.n, self.body, self.made_ms, outcome, self.shown)

    def become(self, other: Entry) -> None:
        """Take on the number and fate of `other`, which has the same `seq`: whoever holds this one sees it change."""
        self.change, self.meaning, self.body = other.change, other.meaning, other.body
        self.outcome, self.shown, self.sent = other.outcome, other.shown, other.sent
        if self.told is not None:
            self.told(self)

    def made_anew(self, replica: str, n: int, base: int) -> Entry:
        """The same intent under another replica id and number. Its stamp keeps its time, and names the new replica."""

        def anew(change: Change) -> Change:
            return replace(change, replica=replica, n=n, base=base, stamp=change.stamp._replace(replica=replica))

        meaning = None if self.meaning is None else anew(self.meaning)
        return Entry.of(self.seq, anew(self.change), self.made_ms, lambda change: meaning)

    def sent_as_read(self) -> Entry | None:
        """The same under its number, but sent as the app here reads it; None if that is how it is sent already."""
        if self.meaning is None or self.meaning.schema == self.change.schema:
            return None
        return Entry.of(self.seq, self.meaning, self.made_ms)


class Outbox:
    """Entries that wait or are pending. Thousands may wait, and each edit, each batch and each delta asks: what was
    added last, what is sent next, and what may be confirmed are found without looking at the others.

    Whoever changes what is asked for here says so: by `tidy`, `note_sent`, or `Entry.become`.
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._open: dict[int, Entry] = {}
        self._waiting: Numbered[Entry] = Numbered()
        self._queues: dict[str, Numbered[Entry]] = defaultdict(Numbered)
        """What waits, by replica id and number."""
        self._doubtful: dict[int, Entry] = {}
        self._answered: dict[str, dict[int, Entry]] = defaultdict(dict)
        """What has its outcome and is pending still, by scope."""
        self._places: dict[int, tuple[str, int, str]] = {}
        """Where each entry was put: replica id, number and scope, by its `seq`."""
        self._by_key: dict[ResourceKey, dict[int, Entry]] = defaultdict(dict)
        self._revisions: dict[ResourceKey, int] = {}
        self._revision = 0
        for entry in entries:
            self.add(entry)

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._open.values()))

    def add(self, entry: Entry) -> None:
        """Take in an entry, or put it in the place of the one with its `seq`."""
        self.remove(entry.seq)
        siblings = self._by_key[entry.key]
        last = next(reversed(siblings), None)
        self._open[entry.seq] = siblings[entry.seq] = entry
        entry.told = self._changed
        self._sort(entry)
        if last is None or last > entry.seq:
            self._by_key[entry.key] = dict(sorted(siblings.items()))
            self._revise(entry)

    def remove(self, seq: int) -> None:
        """Let go of an entry, if it is here."""
        entry = self._open.pop(seq, None)
        if entry is not None:
            self._revise(entry)
            self._unsort(entry)
            entry.told = None
            siblings = self._by_key[entry.key]
            del siblings[seq]
            if not siblings:
                del self._by_key[entry.key], self._revisions[entry.key]

    def tidy(self, seq: int) -> None:
        """What became of an entry has changed: let go of it, if it neither waits nor is pending."""
        entry = self._open.get(seq)
        if entry is None:
            return
        if entry.waiting or entry.shown:
            self._changed(entry)
        else:
            self.remove(seq)

    def revision(self, key: ResourceKey) -> int:
        """Another number than ever before whenever anything happened to the entries of a resource but that more were
        added at their end; 0 if there are none."""
        return self._revisions.get(key, 0)

    def get(self, seq: int) -> Entry | None:
        """The entry with that `seq`, if it is still here."""
        return self._open.get(seq)

    def shown_of(self, key: ResourceKey) -> list[Entry]:
        """What the view replays over this resource, in the order made."""
        return [entry for entry in self._by_key.get(key, {}).values() if entry.shown]

    def shown_after(self, key: ResourceKey, seq: int) -> list[Entry]:
        """What the view replays over this resource and was made after the entry at `seq`."""
        found: list[Entry] = []
        for entry in reversed(self._by_key.get(key, {}).values()):
            if entry.seq <= seq:
                break
            if entry.shown:
                found.append(entry)
        return found[::-1]

    def last_shown(self, key: ResourceKey) -> Entry | None:
        """The last that the view replays over this resource."""
        return next((entry for entry in reversed(self._by_key.get(key, {}).values()) if entry.shown), None)

    def pending(self, key: ResourceKey) -> list[Pending]:
        """What the view replays over this resource, in the order made."""
        return [pending for entry in self.shown_of(key) if (pending := entry.pending) is not None]

    def first_pending(self, key: ResourceKey) -> Pending | None:
        """The first that the view replays over this resource."""
        entries = self._by_key.get(key, {}).values()
        return next((pending for entry in entries if entry.shown and (pending := entry.pending) is not None), None)

    def pending_keys(self, type_name: str | None, scope: str | None) -> list[ResourceKey]:
        """Resources with something pending, of a type or all, in a scope or all."""
        return [
            key
            for key, entries in self._by_key.items()
            if type_name in (None, key[0])
            and any(entry.shown and scope in (None, entry.change.scope) for entry in entries.values())
        ]

    def shown_in(self, scope: str) -> list[Entry]:
        """What the view replays in a scope, in the order made."""
        found = [entry for entry in self._open.values() if entry.shown and entry.change.scope == scope]
        return sorted(found, key=lambda entry: entry.seq)

    def waiting_in(self, scope: str) -> list[Entry]:
        """What has no outcome yet in a scope, in the order made, whether the view replays it or not."""
        return [entry for entry in self._waiting if entry.change.scope == scope]

    def shown_and_answered(self, scope: str) -> list[Entry]:
        """What of that has its outcome."""
        found = [entry for entry in self._answered.get(scope, {}).values() if entry.shown]
        return sorted(found, key=lambda entry: entry.seq)

    def may_be_held(self, scope: str, settled: Mapping[str, int]) -> list[Entry]:
        """What the view replays in a scope and a message may hold, in the order made: what has its outcome, and of what
        waits, the numbers up to those `settled`, by replica id."""
        found = self.shown_and_answered(scope)
        for replica, n in settled.items():
            for entry in self._queues.get(replica, ()):
                if entry.change.n > n:
                    break
                if entry.shown and entry.change.scope == scope:
                    found.append(entry)
        return sorted(found, key=lambda entry: entry.seq)

    def note_sent(self, entries: Iterable[Entry], *, sent: bool) -> None:
        """From now on the server may have these without our knowing its answer; or it is known that it does not."""
        for entry in entries:
            entry.sent = sent
            if entry.seq in self._open:
                self._doubt(entry)

    def doubtful(self) -> list[Entry]:
        """What was sent and has no known answer, in the order made."""
        found = [entry for entry in self._doubtful.values() if entry.sent and entry.waiting]
        return sorted(found, key=lambda entry: entry.seq)

    def in_doubt(self, scope: str) -> bool:
        """Whether a change of this scope was sent whose answer is not known, so that a delta may hold it already."""
        return any(
            entry.sent and entry.waiting and entry.shown and entry.change.scope == scope
            for entry in self._doubtful.values()
        )

    def waiting(self) -> list[Entry]:
        """What has no outcome yet, in the order made."""
        return list(self._waiting)

    def has_waiting(self, upto_seq: int | None = None) -> bool:
        """Whether any change, or any made up to `upto_seq`, has no outcome yet."""
        first = self._waiting.first()
        return first is not None and (upto_seq is None or first.seq <= upto_seq)

    @property
    def waiting_count(self) -> int:
        """How many changes have no outcome yet."""
        return len(self._waiting)

    def oldest_ms(self) -> int | None:
        """When the oldest change without an outcome was made."""
        return min((entry.made_ms for entry in self._waiting), default=None)

    def next_batch(self, current: str, max_changes: int, max_bytes: int, *, behind: int = 0) -> list[list[Entry]]:
        """The next units to send: of one replica id, by number, within the limits; a group is one unit.

        Ids that this replica had before come first: what was numbered under them was made first. A unit that
        is over the limits by itself goes alone. `behind`: numbers up to this one are on their way.
        """
        queues = [(queue.first(), queue) for queue in self._queues.values()]
        firsts = [(first.seq, first.change.replica == current, queue) for first, queue in queues if first is not None]
        if not firsts:
            return []
        earlier = [(seq, queue) for seq, is_current, queue in firsts if not is_current]
        _, of_one = min(earlier or [(seq, queue) for seq, _, queue in firsts], key=lambda found: found[0])
        batch: list[list[Entry]] = []
        count = size = 0
        for unit in in_units(entry for entry in of_one if entry.change.n > behind):
            count += len(unit)
            size += sum(len(entry.body.encode()) + 1 for entry in unit)
            if batch and (count > max_changes or size > max_bytes):
                break
            batch.append(unit)
        return batch

    def _changed(self, entry: Entry) -> None:
        self._unsort(entry)
        self._sort(entry)
        self._revise(entry)

    def _revise(self, entry: Entry) -> None:
        self._revision += 1
        self._revisions[entry.key] = self._revision

    def _sort(self, entry: Entry) -> None:
        replica, n, scope = place = entry.change.replica, entry.change.n, entry.change.scope
        if entry.waiting:
            self._waiting.put(entry.seq, entry)
            self._queues[replica].put(n, entry)
            self._doubt(entry)
        elif entry.shown:
            self._answered[scope][entry.seq] = entry
        self._places[entry.seq] = place

    def _unsort(self, entry: Entry) -> None:
        replica, n, scope = self._places.pop(entry.seq)
        self._waiting.drop(entry.seq, entry)
        self._doubtful.pop(entry.seq, None)
        if (queue := self._queues.get(replica)) is not None:
            queue.drop(n, entry)
            if not queue:
                del self._queues[replica]
        if (answered := self._answered.get(scope)) is not None:
            answered.pop(entry.seq, None)
            if not answered:
                del self._answered[scope]

    def _doubt(self, entry: Entry) -> None:
        if entry.sent:
            self._doubtful[entry.seq] = entry
        else:
            self._doubtful.pop(entry.seq, None)


def in_units(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Entries by number → units that must not be divided: neighbours of one group, or a single change."""
    for group, members in groupby(entries, key=lambda entry: entry.change.group):
        if group is None:
            yield from ([member] for member in members)
        else:
            yield list(members)


def stand_in(entry: Entry, schema: int | None = None) -> str:
    """What settles the number of a change that the server will not even read: a delete of nothing.

    `schema`: under which version of the app, if not that of the change.

    A gap would stop everything behind it (law 3).
    """
    change = entry.change
    harmless = Change(
        change.replica,
        change.n,
        change.scope,
        change.type,
        f"none-{change.replica}-{change.n}",
        Op.DELETE,
        change.stamp,
        schema=change.schema if schema is None else schema,
    )
    return encode_body(harmless)


def encode_body(change: Change) -> str:
    """A change as it is sent and kept."""
    return canonical_json(encode_change(change)).decode()


def encode_result(n: int, outcome: Outcome) -> str:
    """An outcome as it is kept."""
    return outcome_text(n, outcome).decode()


def decode_result(text: str) -> Outcome:
    """An outcome as it was kept."""
    raw = read_json(text)
    assert isinstance(raw, dict), "an outcome was kept"
    return decode_outcome(raw)


def decode_row(row: ChangeRow, lift: Lift = _as_it_is) -> Entry:
    """An entry as the file has it. One that waits may have been sent before the process ended."""
    raw = read_json(row.body)
    change: Change | MalformedChange
    try:
        # Thousands may wait when a file is opened.
        change = decode_own(cast("dict[str, JsonValue]", raw), row.replica)
    except (KeyError, TypeError, ValueError):
        change = decode_change(raw, row.replica)
    if isinstance(change, MalformedChange):
        raise FileUnusable(f"the file holds a change that cannot be read (number {row.n}): {change.message}")
    outcome = None if row.outcome is None else decode_result(row.outcome)
    return Entry(row.seq, change, lift(change), row.body, row.made_ms, outcome, row.shown, sent=outcome is None)


def all_of(units: Sequence[Sequence[Entry]]) -> list[Entry]:
    """The entries of units, in order."""
    return [entry for unit in units for entry in unit]
