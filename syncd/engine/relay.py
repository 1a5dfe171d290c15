"""Relay: updates of documents that travel with a delta, as they were committed, so that whoever holds the rest of a
document applies them and asks for nothing.

Pure, and an accelerator only: what is left out, for its size or for whatever else, is asked for
(`POST /sync/v1/documents`). Nothing is merged here: law 12 keeps the bytes of clients away from what could.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from syncd.store.protocol import DocumentKey, UpdateRow

__all__ = ["Run", "encode_runs", "joined", "runs_of", "within"]


@dataclass(frozen=True, slots=True)
class Run:
    """The updates after `after`, without a gap and in order, of the life of a document that began at `since`."""

    since: int
    after: int
    updates: tuple[bytes, ...]

    @property
    def seq(self) -> int:
        """How far the document is with them."""
        return self.after + len(self.updates)

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(map(len, self.updates))

    def then(self, later: Run) -> Run:
        """This and what follows it; only the later one if it does not follow, as in another life, or over a gap."""
        if (later.since, later.after) != (self.since, self.seq):
            return later
        return Run(self.since, self.after, self.updates + later.updates)


Runs = Mapping[DocumentKey, Run]


def runs_of(rows: Iterable[UpdateRow]) -> dict[str, dict[DocumentKey, Run]]:
    """The updates of one commit, by scope and document. `rows`: of each document in order."""
    scopes: dict[str, dict[DocumentKey, tuple[int, int, list[bytes]]]] = {}
    for row in rows:
        runs = scopes.setdefault(row.scope, {})
        known = runs.get(row.key)
        if known is not None and (known[0], known[1] + len(known[2])) == (row.since, row.seq - 1):
            known[2].append(row.update)
        else:
            runs[row.key] = (row.since, row.seq - 1, [row.update])
    return {
        scope: {key: Run(since, after, tuple(updates)) for key, (since, after, updates) in runs.items()}
        for scope, runs in scopes.items()
    }


def joined(runs: Runs, later: Runs) -> Runs:
    """What follows each other, as one for each document."""
    if not runs or not later:
        return runs or later
    return {**runs, **{key: runs[key].then(run) if key in runs else run for key, run in later.items()}}


def within(runs: Runs, max_bytes: int) -> Runs:
    """Those that have room in so many bytes, each whole or not at all: a part would leave its reader to ask as well."""
    room = max_bytes
    found: dict[DocumentKey, Run] = {}
    for key, run in runs.items():
        if run.size <= room:
            room -= run.size
            found[key] = run
    return found


def encode_runs(runs: Runs) -> bytes:
    """As they stand in a frame of JSON."""
    told = [
        {
            **key._asdict(),
            "since": run.since,
            "after": run.after,
            "seq": run.seq,
            "updates": [base64.b64encode(update).decode() for update in run.updates],
        }
        for key, run in runs.items()
    ]
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
