"""What is in a SQLite file, in figures: for an operator, from a connection that only reads.

Every figure costs a scan of a table or of an index; none decodes what is stored, but for conflicts their status.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "Counts",
    "RejectedChange",
    "ReplicaSummary",
    "ScopeSummary",
    "read_counts",
    "read_rejected",
    "read_replicas",
    "read_scopes",
]


@dataclass(frozen=True, slots=True)
class Counts:
    """`resources`: that live. `rejected`: of `changes`; `quarantined`: of those, that nobody has dealt with yet, with
    the bytes that were sent; `exported`: that the quarantine had no room for. `open_conflicts`: that wait for a person.
    `documents`: with so many updates that no snapshot holds yet, of so many bytes, and so many bytes of snapshots.
    `last_change_at_ms`: 0 for none.
    """

    scopes: int
    resources: int
    tombstones: int
    replicas: int
    changes: int
    rejected: int
    quarantined: int
    quarantined_bytes: int
    exported: int
    open_conflicts: int
    documents: int
    document_updates: int
    document_update_bytes: int
    document_snapshot_bytes: int
    incarnations: int
    incarnation: str
    incarnation_since_ms: int
    last_change_at_ms: int


@dataclass(frozen=True, slots=True)
class ScopeSummary:
    """One scope. `bytes`: of its states, encoded."""

    name: str
    version: int
    resources: int
    tombstones: int
    bytes: int


@dataclass(frozen=True, slots=True)
class ReplicaSummary:
    """One replica. `changes`, `rejected`: in the ledger. `rejected_in_a_row`: the newest of them that were refused.
    `failed_updates`: see `ReplicaRow`.
    """

    id: str
    settled: int
    seen_at_ms: int
    clock_ahead_ms: int
    failed_updates: int
    failed_at_ms: int
    changes: int
    rejected: int
    rejected_in_a_row: int


@dataclass(frozen=True, slots=True)
class RejectedChange:
    """A change in the quarantine, and why. `scope`, `type` and `id` are "" where it could not be read."""

    replica: str
    n: int
    scope: str
    type: str
    id: str
    at_ms: int
    change: bytes
    outcome: bytes


_COUNTS = """
    SELECT
        (SELECT count(*) FROM scopes WHERE version > 0),
        (SELECT count(*) FROM states WHERE NOT deleted),
        (SELECT count(*) FROM states WHERE deleted),
        (SELECT count(*) FROM replicas),
        (SELECT count(*) FROM changes),
        (SELECT count(*) FROM changes WHERE kind = 'rejected'),
        (SELECT count(*) FROM changes WHERE kind = 'rejected' AND dealt = ''),
        (SELECT coalesce(sum(length(change)), 0) FROM changes WHERE kind = 'rejected' AND dealt = ''),
        (SELECT count(*) FROM changes WHERE kind = 'rejected' AND dealt = 'exported'),
        (SELECT count(*) FROM states WHERE type = 'conflict' AND NOT deleted
            AND json_extract(CAST(body AS TEXT), '$.fields.status') = 'open'),
        (SELECT count(*) FROM documents),
        (SELECT coalesce(sum(waiting), 0) FROM documents),
        (SELECT coalesce(sum(bytes), 0) FROM documents),
        (SELECT coalesce(sum(length(body)), 0) FROM document_snapshots),
        (SELECT count(*) FROM incarnations),
        coalesce((SELECT id FROM incarnations ORDER BY no DESC LIMIT 1), ''),
        coalesce((SELECT started_at_ms FROM incarnations ORDER BY no DESC LIMIT 1), 0),
        coalesce((SELECT at_ms FROM changes ORDER BY no DESC LIMIT 1), 0)
"""
_SCOPES = """
    SELECT sc.name, sc.version, count(st.no), coalesce(sum(st.deleted), 0), coalesce(sum(length(st.body)), 0)
    FROM scopes AS sc LEFT JOIN states AS st ON st.scope_no = sc.no
    WHERE sc.version > 0
    GROUP BY sc.no ORDER BY 5 DESC, sc.name LIMIT ?
"""
_REPLICAS = """
    WITH told AS (
        SELECT replica_no, count(*) AS changes, sum(kind = 'rejected') AS rejected,
               max(CASE WHEN kind = 'rejected' THEN 0 ELSE n END) AS last_taken, max(n) AS last
        FROM changes GROUP BY replica_no
    )
    SELECT r.id, r.settled, r.seen_at_ms, r.clock_ahead_ms, r.failed_updates, r.failed_at_ms,
           coalesce(t.changes, 0), coalesce(t.rejected, 0),
           coalesce((SELECT count(*) FROM changes AS c WHERE c.replica_no = r.no AND c.n > t.last_taken), 0)
    FROM replicas AS r LEFT JOIN told AS t ON t.replica_no = r.no
    ORDER BY r.seen_at_ms DESC, r.id LIMIT ?
"""
_REJECTED = """
    SELECT r.id, c.n, sc.name, c.type, c.id, c.at_ms, c.change, c.outcome
    FROM changes AS c
    JOIN replicas AS r ON r.no = c.replica_no
    JOIN scopes AS sc ON sc.no = c.scope_no
    WHERE c.kind = 'rejected' ORDER BY c.no DESC LIMIT ?
"""


def read_counts(connection: sqlite3.Connection) -> Counts:
    """How much there is of everything."""
    return Counts(*connection.execute(_COUNTS).fetchone())


def read_scopes(connection: sqlite3.Connection, limit: int = -1) -> Sequence[ScopeSummary]:
    """The scopes that were ever written to, the largest first; all of them if `limit` is -1."""
    return [
        ScopeSummary(name, version, rows - deleted, deleted, size)
        for name, version, rows, deleted, size in connection.execute(_SCOPES, (limit,))
    ]


def read_replicas(connection: sqlite3.Connection, limit: int = -1) -> Sequence[ReplicaSummary]:
    """The replicas that ever pushed or were seen, the last seen first; all of them if `limit` is -1."""
    return [ReplicaSummary(*row) for row in connection.execute(_REPLICAS, (limit,))]


def read_rejected(connection: sqlite3.Connection, limit: int) -> Sequence[RejectedChange]:
    """The newest changes in the quarantine, the newest first."""
    return [RejectedChange(*row) for row in connection.execute(_REJECTED, (limit,))]
