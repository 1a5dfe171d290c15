"""One line of a history: a settled change as the ledger has it, read: who, when, by whose clock, and what came of it.

Pure. What was sent may be unreadable; then the line has what could be read of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from conflict_rules import Change, Outcome, Stamp, StampError
from conflict_rules.scrubbed import SERVER_REPLICA
from conflict_rules.values import JsonValue, valid_replica
from conflict_rules.wire import decode_change, decode_outcome
from syncd.store.protocol import Dealt, LedgerRow

__all__ = ["DROPPED_REPLICA", "REPLAY_REPLICA", "SERVER_REPLICA", "Entry", "read_entry", "replay_replica"]

REPLAY_REPLICA: Final = "replay-"
"""How those begin under which changes of the quarantine are made anew."""
DROPPED_REPLICA: Final = "dropped-"
"""How those begin under which it keeps updates that were taken, and then fitted nowhere."""
_MAX_REPLICA: Final = 64


@dataclass(frozen=True, slots=True)
class Entry:
    """`replica`, `n`: who, and which of its changes. `author`: the change that was replayed from the quarantine by this
    one, None for any other. `change`: what was sent, None if it cannot be read (or its payload was exported); its
    stamp is the effective one if it came to that, and its scope the one in which it was settled.

    `stamp`: by the device's clock, as sent. `at_ms`: of arrival, by the server's clock. `fields`: as sent.
    """

    no: int
    replica: str
    n: int
    author: tuple[str, int] | None
    scope: str
    type: str
    id: str
    op: str
    fields: Mapping[str, JsonValue]
    change: Change | None
    stamp: Stamp | None
    effective: Stamp | None
    at_ms: int
    outcome: Outcome
    dealt: Dealt
    sent: Mapping[str, Any] = field(repr=False, default_factory=dict)

    @property
    def exported(self) -> bool:
        """Whether what was sent is in a file, and here no more."""
        return self.dealt is Dealt.EXPORTED

    @property
    def name(self) -> str:
        """Who, for people: `phone #3`."""
        replica, n = self.author or (self.replica, self.n)
        again = " (replayed)" if self.author else ""
        return f"{'the server' if replica.startswith(SERVER_REPLICA) else replica} #{n}{again}"

    def as_dict(self) -> dict[str, JsonValue]:
        """As it goes over the wire; what is absent is left out."""
        outcome = self.outcome
        told: dict[str, JsonValue] = {
            "no": self.no,
            "replica": self.replica,
            "n": self.n,
            "scope": self.scope,
            "type": self.type,
            "id": self.id,
            "op": self.op,
            "arrived_at_ms": self.at_ms,
            "outcome": outcome.kind.value,
            "version": outcome.version,
        }
        if self.fields:
            told["fields"] = dict(self.fields)
        if self.change is not None:
            told["base"] = self.change.base
            told["schema"] = self.change.schema
        if self.change is not None and self.change.group is not None:
            told["group"] = self.change.group
        if self.author is not None:
            told["author"] = {"replica": self.author[0], "n": self.author[1]}
        if self.replica.startswith(SERVER_REPLICA):
            told["by_server"] = True
        if self.stamp is not None:
            told["made_at_ms"] = self.stamp.wall_ms
            told["stamp"] = str(self.stamp)
        if self.effective is not None:
            told["effective_stamp"] = str(self.effective)
            if self.stamp is not None and self.stamp.wall_ms > self.effective.wall_ms:
                told["clock_ahead_ms"] = self.stamp.wall_ms - self.effective.wall_ms
        why = {"code": outcome.code, "message": outcome.message, "field": outcome.field}
        told.update({key: value for key, value in why.items() if value is not None})
        if outcome.lost:
            told["lost"] = list(outcome.lost)
        if outcome.conflicts:
            told["conflicts"] = list(outcome.conflicts)
        if outcome.told:
            told["told"] = list(outcome.told)
        if outcome.kind.value == "rejected":
            told["quarantine"] = self.dealt.value or "waiting"
        return told

    def as_waiting(self) -> dict[str, JsonValue]:
        """As it goes over the wire from the quarantine: with what was sent, whatever that is."""
        return {**self.as_dict(), "change": dict(self.sent)}


def read_entry(row: LedgerRow) -> Entry:
    """Read a row of the ledger; never raises for what a device has sent."""
    settled = row.settled
    sent = _sent(settled.change)
    decoded = decode_change(sent, settled.replica, stamp=Stamp(settled.at_ms, 0, settled.replica)) if sent else None
    change = decoded if isinstance(decoded, Change) else None
    effective = _stamp(settled.stamp)
    if change is not None:
        # A base above where the scope stood was shown by a database that was restored since (law 10).
        base = change.base if change.base <= settled.version else 0
        change = replace(change, scope=settled.scope, stamp=effective or change.stamp, base=base)
    fields = sent.get("fields")
    return Entry(
        no=row.no,
        replica=settled.replica,
        n=settled.n,
        author=_author(settled.replica),
        scope=settled.scope,
        type=settled.type,
        id=settled.id,
        op=str(sent.get("op", "")),
        fields=fields if isinstance(fields, dict) else {},
        change=change,
        stamp=_stamp(sent.get("stamp")),
        effective=effective,
        at_ms=settled.at_ms,
        outcome=decode_outcome(json.loads(settled.outcome)),
        dealt=row.dealt,
        sent=sent,
    )


def replay_replica(replica: str, n: int) -> str:
    """The replica under which a change from the quarantine is settled anew: one for each, named after it.

    So a replay that is asked for twice is a repeat (law 3), claims to have seen nothing that its author had not (law
    1), and takes its place by the author's stamp.
    """
    name = f"{REPLAY_REPLICA}{replica}-{n}"
    if len(name) <= _MAX_REPLICA:
        return name
    return f"{REPLAY_REPLICA}{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def _author(replica: str) -> tuple[str, int] | None:
    if not replica.startswith(REPLAY_REPLICA):
        return None
    author, _, number = replica.removeprefix(REPLAY_REPLICA).rpartition("-")
    return (author, int(number)) if valid_replica(author) and number.isascii() and number.isdigit() else None


def _sent(change: bytes) -> Mapping[str, Any]:
    value = json.loads(change) if change else {}
    return value if isinstance(value, dict) else {}


def _stamp(text: object) -> Stamp | None:
    try:
        return Stamp.parse(text) if text else None
    except StampError:
        return None
