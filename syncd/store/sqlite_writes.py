"""Writing SQLite's rows: one transaction's worth, all or nothing, in one call on the connection's thread."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

from syncd.store.protocol import Commit, Deal, Dealt, ReplicaRow, SettledRow, StateRow
from syncd.store.sqlite_documents import write_drops, write_squashes, write_updates

__all__ = ["begin_write", "write_commit", "write_incarnation"]

_STATE = """
    INSERT INTO states (scope_no, version, type, id, deleted, body) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (type, id) DO UPDATE SET
        scope_no = excluded.scope_no, version = excluded.version, deleted = excluded.deleted, body = excluded.body
"""
_REPLICA = """
    INSERT INTO replicas (id, settled, last_stamp, clock_ahead_ms, seen_at_ms, failed_updates, failed_at_ms, user)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET
        settled = excluded.settled, last_stamp = excluded.last_stamp,
        clock_ahead_ms = excluded.clock_ahead_ms, seen_at_ms = excluded.seen_at_ms,
        failed_updates = excluded.failed_updates, failed_at_ms = excluded.failed_at_ms
"""
# Apart, and hardly ever: a column that is set has its index written, a page for each commit, even if it stays the same.
_OWNER = "UPDATE replicas SET user = ? WHERE id = ? AND user <> ?"
_CHANGE = """
    INSERT INTO changes
        (replica_no, n, digest, scope_no, type, id, version, kind, at_ms, stamp, change, outcome)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_DEAL = """
    UPDATE changes SET dealt = :dealt, change = CASE WHEN :dropped THEN zeroblob(0) ELSE change END
    WHERE replica_no = (SELECT no FROM replicas WHERE id = :replica) AND n = :n AND kind = 'rejected' AND dealt = ''
"""

# Law 10: only a scope that this incarnation has not written to before is noted, as it stands now.
_NOTE_INCARNATION = """
    INSERT INTO scope_incarnations (scope_no, incarnation_no, version_before)
    SELECT no, :incarnation_no, version FROM scopes WHERE no = :scope_no AND incarnation_no <> :incarnation_no
"""
_HEAD = """
    UPDATE scopes
    SET version = :version, digest = coalesce(:digest, digest), incarnation_no = :incarnation_no WHERE no = :scope_no
"""


def write_incarnation(connection: sqlite3.Connection, incarnation: str, now_ms: int) -> int:
    """Begin an incarnation; returns its number, above that of any before."""
    cursor = connection.execute("INSERT INTO incarnations (id, started_at_ms) VALUES (?, ?)", (incarnation, now_ms))
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def begin_write(connection: sqlite3.Connection) -> None:
    """Open a writing transaction, unless it is open: at the first read or write, to save a call."""
    if not connection.in_transaction:
        connection.execute("BEGIN IMMEDIATE")


def write_commit(connection: sqlite3.Connection, commit: Commit, incarnation_no: int) -> None:
    """See `Transaction.commit`. Whatever it raises, the transaction is over."""
    try:
        begin_write(connection)
        _write(connection, commit, incarnation_no)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _write(connection: sqlite3.Connection, commit: Commit, incarnation_no: int) -> None:
    scopes = {*commit.scopes, *(row.scope for rows in (commit.states, commit.settled, commit.updates) for row in rows)}
    scope_nos = _numbers(connection, "scopes", "name", scopes)
    heads = [
        {
            "version": version,
            "digest": commit.digests.get(scope),
            "incarnation_no": incarnation_no,
            "scope_no": scope_nos[scope],
        }
        for scope, version in commit.scopes.items()
    ]
    connection.executemany(_NOTE_INCARNATION, heads)
    connection.executemany(_HEAD, heads)
    _write_states(connection, commit.states, scope_nos)
    _write_replicas(connection, commit.replicas)
    _write_settled(connection, commit.settled, scope_nos)
    if commit.deals:
        _write_deals(connection, commit.deals)
    if commit.dropped:
        write_drops(connection, commit.dropped)
    if commit.updates:
        replica_nos = _numbers(connection, "replicas", "id", {row.replica for row in commit.updates})
        write_updates(connection, commit.updates, scope_nos, replica_nos)
    if commit.squashed:
        write_squashes(connection, commit.squashed)


def _write_states(connection: sqlite3.Connection, rows: Sequence[StateRow], scope_nos: dict[str, int]) -> None:
    connection.executemany(
        _STATE, [(scope_nos[row.scope], row.version, row.type, row.id, int(row.deleted), row.body) for row in rows]
    )


def _write_replicas(connection: sqlite3.Connection, rows: Sequence[ReplicaRow]) -> None:
    connection.executemany(_REPLICA, rows)
    connection.executemany(_OWNER, [(row.user, row.id, row.user) for row in rows])


def _write_settled(connection: sqlite3.Connection, rows: Sequence[SettledRow], scope_nos: dict[str, int]) -> None:
    replica_nos = _numbers(connection, "replicas", "id", {row.replica for row in rows})
    connection.executemany(
        _CHANGE,
        [
            (
                replica_nos[row.replica],
                row.n,
                row.digest,
                scope_nos[row.scope],
                row.type,
                row.id,
                row.version,
                row.kind,
                row.at_ms,
                row.stamp,
                row.change,
                row.outcome,
            )
            for row in rows
        ],
    )


def _write_deals(connection: sqlite3.Connection, deals: Sequence[Deal]) -> None:
    connection.executemany(
        _DEAL,
        [
            {"replica": deal.replica, "n": deal.n, "dealt": deal.dealt.value, "dropped": deal.dealt is Dealt.EXPORTED}
            for deal in deals
        ],
    )


def _numbers(connection: sqlite3.Connection, table: str, column: str, names: Iterable[str]) -> dict[str, int]:
    """The short number that stands for each name in every other table; new names get one."""
    keys = json.dumps(sorted(names))
    select = f"SELECT t.{column}, t.no FROM json_each(?) AS k CROSS JOIN {table} AS t ON t.{column} = k.value"
    numbers = dict(connection.execute(select, (keys,)).fetchall())
    if len(numbers) < len(json.loads(keys)):
        connection.execute(f"INSERT OR IGNORE INTO {table} ({column}) SELECT value FROM json_each(?)", (keys,))
        numbers = dict(connection.execute(select, (keys,)).fetchall())
    return numbers
