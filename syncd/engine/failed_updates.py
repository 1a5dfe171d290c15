"""Replicas are marked by what their updates of documents do to whoever reads them: how often one has ended, hung or
panicked a worker, or failed the round trip, and when the last did. Pure.

The mark is written with the outcome, so that it counts what was settled, once, however often it was tried or sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from conflict_rules import Outcome
from syncd.engine.incoming import Incoming
from syncd.store.protocol import ReplicaRow

__all__ = ["marked", "newly_marked"]

_FAILED: Final = "document_update_failed"


def marked(row: ReplicaRow, member: Incoming, outcome: Outcome, now_ms: int) -> ReplicaRow:
    """The row of a replica after a change of it was settled so."""
    if outcome.code != _FAILED or member.refused is not None:
        # Refused without having been tried is nobody's doing.
        return row
    return row._replace(failed_updates=row.failed_updates + 1, failed_at_ms=now_ms)


def newly_marked(before: Mapping[str, ReplicaRow], after: Iterable[ReplicaRow]) -> Iterator[ReplicaRow]:
    """Those that a commit has marked, or marked again."""
    for row in after:
        known = before.get(row.id)
        if row.failed_updates > (0 if known is None else known.failed_updates):
            yield row
