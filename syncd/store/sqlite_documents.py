"""SQLite's rows of documents: how far each is, its snapshot, and the log of updates that no snapshot holds.

Called on the connection's thread, inside a transaction that the caller has opened. The bytes mean nothing here.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping, Sequence

from syncd.errors import StoreError
from syncd.store.protocol import DocumentHead, DocumentKey, LogTail, Squashed, StoredDocument, UpdateRow

__all__ = [
    "read_document",
    "read_document_heads",
    "read_update_numbers",
    "read_updates_since",
    "write_drops",
    "write_squashes",
    "write_updates",
]

_BY_KEY = """
    json_each(?) AS k
    CROSS JOIN documents AS d
        ON d.type = json_extract(k.value, '$[0]')
        AND d.id = json_extract(k.value, '$[1]')
        AND d.field = json_extract(k.value, '$[2]')
"""
_HEADS = f"SELECT d.type, d.id, d.field, d.since, d.seq, d.snapshot_seq, d.waiting, d.bytes FROM {_BY_KEY}"
_NUMBERS = f"SELECT d.type, d.id, d.field, d.no FROM {_BY_KEY}"
_DOCUMENT = """
    SELECT d.no, d.since, d.seq, coalesce(s.body, x''), d.snapshot_seq
    FROM documents AS d LEFT JOIN document_snapshots AS s ON s.document_no = d.no
    WHERE d.type = ? AND d.id = ? AND d.field = ?
"""
_UPDATES = "SELECT seq, body, waited FROM document_updates WHERE document_no = ? ORDER BY seq"
_LOG_REACHES = """
    SELECT no FROM documents
    WHERE type = :type AND id = :id AND field = :field AND since = :since AND :seq BETWEEN snapshot_seq AND seq
"""
_UPDATE_NUMBERS = """
    SELECT u.seq, r.id, u.n
    FROM documents AS d
    CROSS JOIN json_each(:seqs) AS k
    CROSS JOIN document_updates AS u ON u.document_no = d.no AND u.seq = k.value
    CROSS JOIN replicas AS r ON r.no = u.replica_no
    WHERE d.type = :type AND d.id = :id AND d.field = :field AND d.since = :since
"""
_UPDATES_ABOVE = "SELECT body, waited FROM document_updates WHERE document_no = ? AND seq > ? ORDER BY seq"

_BEGIN_LIFE = """
    INSERT INTO documents (scope_no, type, id, field, since, seq, waiting, bytes)
    VALUES (:scope_no, :type, :id, :field, :since, :last, :count, :size)
"""
_GO_ON = """
    UPDATE documents SET seq = :last, waiting = waiting + :count, bytes = bytes + :size
    WHERE type = :type AND id = :id AND field = :field AND since = :since AND seq = :first - 1
"""
_APPEND = """
    INSERT INTO document_updates (document_no, seq, version, replica_no, n, body, waited) VALUES (?, ?, ?, ?, ?, ?, ?)
"""

# A life gives way only to another one: to append the first update of the same one twice is refused by the tables.
_OTHER_LIFE = "SELECT no FROM documents WHERE type = :type AND id = :id AND field = :field AND since IS NOT :since"
_DROP_UPDATES = f"DELETE FROM document_updates WHERE document_no = ({_OTHER_LIFE})"
_DROP_SNAPSHOT = f"DELETE FROM document_snapshots WHERE document_no = ({_OTHER_LIFE})"
_DROP_DOCUMENT = f"DELETE FROM documents WHERE no = ({_OTHER_LIFE})"

_BEHIND = """
    SELECT no FROM documents
    WHERE type = :type AND id = :id AND field = :field
        AND since = :since AND snapshot_seq < :snapshot_seq AND seq >= :snapshot_seq
"""
_PUT_SNAPSHOT = "INSERT OR REPLACE INTO document_snapshots (document_no, body) VALUES (:no, :snapshot)"
_TRIM = """
    DELETE FROM document_updates
    WHERE document_no = :no AND seq <= :snapshot_seq AND seq NOT IN (SELECT value FROM json_each(:keep))
"""
_COUNT_LEFT = """
    UPDATE documents SET snapshot_seq = :snapshot_seq, (waiting, bytes) =
        (SELECT count(*), coalesce(sum(length(body)), 0) FROM document_updates WHERE document_no = :no)
    WHERE no = :no
"""


def read_document_heads(
    connection: sqlite3.Connection, keys: Collection[DocumentKey]
) -> dict[DocumentKey, DocumentHead]:
    """What `Loaded.documents` has; no statement for no keys."""
    if not keys:
        return {}
    rows = connection.execute(_HEADS, (json.dumps([*keys]),))
    return {DocumentKey(*row[:3]): DocumentHead(*row[3:]) for row in rows}


def read_document(connection: sqlite3.Connection, key: DocumentKey) -> StoredDocument | None:
    """See `Snapshot.document`."""
    found = connection.execute(_DOCUMENT, key).fetchone()
    if found is None:
        return None
    no, since, seq, snapshot, snapshot_seq = found
    rows = connection.execute(_UPDATES, (no,)).fetchall()
    updates = [(row[0], row[1]) for row in rows]
    return StoredDocument(since, seq, snapshot, snapshot_seq, updates, any(row[2] for row in rows))


def read_update_numbers(
    connection: sqlite3.Connection, key: DocumentKey, since: int, seqs: Collection[int]
) -> Mapping[int, tuple[str, int]]:
    """See `Snapshot.update_numbers`."""
    asked = {**key._asdict(), "since": since, "seqs": json.dumps([*seqs])}
    return {seq: (replica, n) for seq, replica, n in connection.execute(_UPDATE_NUMBERS, asked)}


def read_updates_since(connection: sqlite3.Connection, key: DocumentKey, since: int, seq: int) -> LogTail | None:
    """See `Snapshot.updates_since`."""
    found = connection.execute(_LOG_REACHES, {**key._asdict(), "since": since, "seq": seq}).fetchone()
    if found is None:
        return None
    rows = connection.execute(_UPDATES_ABOVE, (found[0], seq)).fetchall()
    return LogTail([body for body, _ in rows], any(waited for _, waited in rows))


def write_drops(connection: sqlite3.Connection, keys: Sequence[DocumentKey]) -> None:
    """Delete documents, whole; what is not there needs no deleting."""
    _drop(connection, [{**key._asdict(), "since": None} for key in keys])


def write_updates(
    connection: sqlite3.Connection,
    rows: Sequence[UpdateRow],
    scope_nos: Mapping[str, int],
    replica_nos: Mapping[str, int],
) -> None:
    """Append updates; raises `StoreError` unless each follows on what its document has."""
    runs = _runs(rows)
    steps = [
        {
            **key._asdict(),
            "scope_no": scope_nos[run[0].scope],
            "since": run[0].since,
            "first": run[0].seq,
            "last": run[-1].seq,
            "count": len(run),
            "size": sum(len(row.update) for row in run),
        }
        for key, run in runs.items()
    ]
    begun = [step for step in steps if step["first"] == 1]
    further = [step for step in steps if step["first"] != 1]
    if begun:
        _drop(connection, begun)
        connection.executemany(_BEGIN_LIFE, begun)
    if further and connection.executemany(_GO_ON, further).rowcount != len(further):
        raise StoreError("An update does not follow on what its document has.")
    numbers = {
        (type_, id_, field): no for type_, id_, field, no in connection.execute(_NUMBERS, (json.dumps([*runs]),))
    }
    connection.executemany(
        _APPEND,
        [
            (numbers[key], row.seq, row.version, replica_nos[row.replica], row.n, row.update, int(row.waited))
            for key, run in runs.items()
            for row in run
        ],
    )


def write_squashes(connection: sqlite3.Connection, squashes: Sequence[Squashed]) -> None:
    """Put snapshots in the place of the updates that they hold; see `Squashed` for those that come too late."""
    for squashed in squashes:
        step = {
            **squashed.key._asdict(),
            "since": squashed.since,
            "snapshot": squashed.snapshot,
            "snapshot_seq": squashed.snapshot_seq,
            "keep": json.dumps([*squashed.keep]),
        }
        found = connection.execute(_BEHIND, step).fetchone()
        if found is not None:
            step["no"] = found[0]
            for statement in (_PUT_SNAPSHOT, _TRIM, _COUNT_LEFT):
                connection.execute(statement, step)


def _runs(rows: Sequence[UpdateRow]) -> dict[DocumentKey, list[UpdateRow]]:
    """The rows of each document that are to stay: of several lives the last; raises `StoreError` for a gap."""
    runs: dict[DocumentKey, list[UpdateRow]] = {}
    for row in rows:
        run = runs.setdefault(row.key, [])
        if run and row.seq == 1 and row.since != run[-1].since:
            run.clear()
        if run and (row.since, row.seq) != (run[-1].since, run[-1].seq + 1):
            raise StoreError("An update does not follow on the one before it.")
        run.append(row)
    return runs


def _drop(connection: sqlite3.Connection, keys: Sequence[Mapping[str, object]]) -> None:
    for statement in (_DROP_UPDATES, _DROP_SNAPSHOT, _DROP_DOCUMENT):
        connection.executemany(statement, keys)
