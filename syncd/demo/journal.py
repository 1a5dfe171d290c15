"""The journal: what the server has acknowledged, written down before the phone hears of it.

It stands outside of the SDK and of the server: whatever either of them forgets, this file does not. One JSON object per
line, on the disk before `add` returns.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from conflict_rules import JsonValue, Kind
from conflict_rules.wire import change_digest

__all__ = ["Acknowledgement", "Journal", "acknowledgements", "read_journal"]


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """One outcome in the reply to one push, beside the change that it answers.

    `heard`: whether the reply was passed on to the phone. `digest`: hexadecimal, of the change as it was sent.
    `conflicts`: the ids of the questions that it raised.
    """

    phone: str
    replica: str
    n: int
    outcome: str
    version: int
    repeat: bool
    heard: bool
    digest: str
    scope: str
    type: str
    id: str
    op: str
    fields: dict[str, JsonValue] = field(default_factory=dict)
    code: str | None = None
    conflicts: Sequence[str] = ()

    @property
    def settles(self) -> bool:
        """Whether the server said by it that the change is settled, so that the phone may forget it."""
        return self.outcome != Kind.RETRY_LATER and self.code != "id_reuse"


class Journal:
    """The open file; append only."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("ab")

    def add(self, entries: Iterable[Acknowledgement]) -> None:
        """Write the entries and make them durable."""
        lines = [json.dumps(asdict(entry), ensure_ascii=False) + "\n" for entry in entries]
        self._file.write("".join(lines).encode())
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._file.close()


def acknowledgements(phone: str, request: object, reply: object, *, heard: bool) -> list[Acknowledgement]:
    """Every outcome of a push `reply`, joined with the change of the `request` that it answers, in order.

    Both are decoded JSON. What does not look like a push and its reply acknowledges nothing.
    """
    if not isinstance(request, dict) or not isinstance(reply, dict):
        return []
    changes, outcomes = request.get("changes"), reply.get("outcomes")
    if not isinstance(changes, list) or not isinstance(outcomes, list):
        return []
    return [
        Acknowledgement(
            phone=phone,
            replica=str(request.get("replica")),
            n=outcome["n"],
            outcome=str(outcome["outcome"]),
            version=int(outcome.get("version", 0)),
            repeat=bool(outcome.get("repeat", False)),
            heard=heard,
            digest=change_digest(change).hex(),
            scope=str(change.get("scope", "")),
            type=str(change.get("type", "")),
            id=str(change.get("id", "")),
            op=str(change.get("op", "")),
            fields=dict(change.get("fields", {})),
            code=outcome.get("code"),
            conflicts=list(outcome.get("conflicts", ())),
        )
        for change, outcome in zip(changes, outcomes, strict=False)
    ]


def read_journal(path: Path) -> Sequence[Acknowledgement]:
    """Every entry, in the order in which the server's replies came by."""
    return [Acknowledgement(**json.loads(line)) for line in path.read_bytes().splitlines()]
