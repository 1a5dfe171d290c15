"""What must hold between the rows of a SQLite file, and can be checked without decoding what is stored.

Each check returns what breaks it, at most `limit` of them. The repair writes; its caller holds the file's lock.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from syncd.store.protocol import DocumentKey
from syncd.store.sqlite_connection import BUSY_TIMEOUT_S
from syncd.store.sqlite_errors import translated_errors

__all__ = [
    "DocumentFault",
    "NumberFault",
    "VersionFault",
    "journal_mode",
    "quick_check",
    "read_document_faults",
    "read_number_faults",
    "read_stored_digests",
    "read_unsquashed",
    "read_version_faults",
    "write_digests",
]


@dataclass(frozen=True, slots=True)
class VersionFault:
    """A scope that stands at `version`, while its newest state has `newest`, and its ledger knows of `told`."""

    scope: str
    version: int
    newest: int
    told: int


@dataclass(frozen=True, slots=True)
class NumberFault:
    """A replica that is settled up to `settled`, while the ledger has `changes` of its changes, from first to last."""

    replica: str
    settled: int
    first: int
    last: int
    changes: int


class DocumentFault(StrEnum):
    """What may be wrong with a document, the worst first."""

    MISSING = "missing"
    """A field holds the marker of one, and there is none."""
    GAP = "gap"
    """Its newest update is not the one that it says, or one before is missing."""
    SNAPSHOT = "snapshot"
    """It says how far its snapshot reaches, and there is none, or the other way round."""
    MARKER = "marker"
    """Its resource is gone, or holds another marker: state and updates of one commit were parted."""
    STRAY = "stray"
    """There are updates or a snapshot, and no document to which they belong."""
    COUNTS = "counts"
    """It does not count what is left in its log as it is."""


_VERSIONS = """
    WITH ledger AS (SELECT scope_no, max(version) AS told FROM changes GROUP BY scope_no),
    facts AS (
        SELECT sc.name, sc.version,
               coalesce((SELECT max(st.version) FROM states AS st WHERE st.scope_no = sc.no), 0) AS newest,
               coalesce(ledger.told, 0) AS told
        FROM scopes AS sc LEFT JOIN ledger ON ledger.scope_no = sc.no WHERE sc.name <> ''
    )
    SELECT name, version, newest, told FROM facts WHERE newest <> version OR told > version ORDER BY name LIMIT ?
"""
_NUMBERS = """
    WITH facts AS (
        SELECT r.id, r.settled, coalesce(min(c.n), 0) AS first, coalesce(max(c.n), 0) AS last, count(c.no) AS changes
        FROM replicas AS r LEFT JOIN changes AS c ON c.replica_no = r.no GROUP BY r.no
    )
    SELECT id, settled, first, last, changes FROM facts
    WHERE settled <> last OR (changes > 0 AND last - first + 1 <> changes) ORDER BY id LIMIT ?
"""
# A field with a marker, in what lives or in what a tombstone keeps. Bodies without one are passed over unread.
_MARKERS = """
    SELECT st.type, st.id, f.key AS field,
           json_extract(f.value, '$.document.since') AS since, json_extract(f.value, '$.document.seq') AS seq
    FROM (SELECT type, id, CASE WHEN json_valid(CAST(body AS TEXT)) THEN CAST(body AS TEXT) ELSE '{}' END AS body
          FROM states WHERE instr(body, CAST('"document":{' AS BLOB))) AS st,
         json_each(coalesce(json_extract(st.body, '$.fields'), json_extract(st.body, '$.kept.fields'), '{}')) AS f
    WHERE f.type = 'object' AND json_type(f.value, '$.document.since') = 'integer'
        AND json_type(f.value, '$.document.seq') = 'integer'
"""
_DOCUMENTS = f"""
    WITH markers AS ({_MARKERS}),
    facts AS (
        SELECT d.no, d.type, d.id, d.field, d.since, d.seq, d.snapshot_seq, d.waiting, d.bytes,
               count(u.no) AS rows, coalesce(sum(length(u.body)), 0) AS size,
               coalesce(sum(u.seq > d.snapshot_seq), 0) AS above, max(coalesce(max(u.seq), 0), d.snapshot_seq) AS newest
        FROM documents AS d LEFT JOIN document_updates AS u ON u.document_no = d.no GROUP BY d.no
    )
    SELECT 'missing', m.type, m.id, m.field FROM markers AS m
    WHERE NOT EXISTS (SELECT 1 FROM documents AS d WHERE d.type = m.type AND d.id = m.id AND d.field = m.field)
    UNION ALL
    SELECT 'gap', type, id, field FROM facts WHERE newest <> seq OR above <> seq - snapshot_seq
    UNION ALL
    SELECT 'snapshot', type, id, field FROM facts AS f
    WHERE (snapshot_seq > 0) <> EXISTS (SELECT 1 FROM document_snapshots AS s WHERE s.document_no = f.no)
    UNION ALL
    SELECT 'marker', f.type, f.id, f.field FROM facts AS f LEFT JOIN markers AS m USING (type, id, field)
    WHERE m.since IS NOT f.since OR m.seq IS NOT f.seq
    UNION ALL
    SELECT DISTINCT 'stray', '', '', '' FROM (
        SELECT document_no FROM document_updates UNION SELECT document_no FROM document_snapshots
        EXCEPT SELECT no FROM documents
    )
    UNION ALL
    SELECT 'counts', type, id, field FROM facts WHERE waiting <> rows OR bytes <> size
    LIMIT ?
"""
# A server squashes at 200, and the log of a large document when it is in proportion to that.
_UNSQUASHED = """
    SELECT d.type, d.id, d.field, d.seq - d.snapshot_seq AS behind
    FROM documents AS d LEFT JOIN document_snapshots AS s ON s.document_no = d.no
    WHERE behind > 1000 * max(1, coalesce(length(s.body), 0) / 131072) ORDER BY behind DESC LIMIT ?
"""


def quick_check(connection: sqlite3.Connection, limit: int = 10) -> Sequence[str]:
    """What SQLite finds wrong with its own pages and rows; nothing, in a sound file."""
    found = [str(text) for (text,) in connection.execute(f"PRAGMA quick_check({int(limit)})")]
    return [] if found == ["ok"] else found


def journal_mode(connection: sqlite3.Connection) -> str:
    """`wal` once a server has opened it; `delete` for a backup that none has opened yet."""
    return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


def read_version_faults(connection: sqlite3.Connection, limit: int = 10) -> Sequence[VersionFault]:
    """Scopes that do not stand where their newest state does: a commit takes the next version for what it writes."""
    return [VersionFault(*row) for row in connection.execute(_VERSIONS, (limit,))]


def read_number_faults(connection: sqlite3.Connection, limit: int = 10) -> Sequence[NumberFault]:
    """Replicas whose settled number is not that of their last change, or whose ledger has gaps (law 3)."""
    return [NumberFault(*row) for row in connection.execute(_NUMBERS, (limit,))]


def read_document_faults(
    connection: sqlite3.Connection, limit: int = 10
) -> Sequence[tuple[DocumentFault, DocumentKey]]:
    """Documents that are not what their rows and the marker in their resource's state say.

    The key is empty where it is not known.
    """
    return [(DocumentFault(row[0]), DocumentKey(*row[1:])) for row in connection.execute(_DOCUMENTS, (limit,))]


def read_unsquashed(connection: sqlite3.Connection, limit: int = 10) -> Sequence[tuple[DocumentKey, int]]:
    """Documents whose log is many times as long as a server leaves it, with how long it is: squashing them fails."""
    return [(DocumentKey(*row[:3]), row[3]) for row in connection.execute(_UNSQUASHED, (limit,))]


def read_stored_digests(connection: sqlite3.Connection) -> Mapping[str, bytes]:
    """The stored digest of each scope that was ever written to (invariant 13)."""
    return dict(connection.execute("SELECT name, digest FROM scopes WHERE version > 0 ORDER BY name"))


def write_digests(path: Path, digests: Mapping[str, bytes]) -> None:
    """Store these digests in place of what is there; all or none. Raises `StoreError`."""
    with (
        translated_errors(),
        closing(
            sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        ) as connection,
    ):
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.executemany(
                "UPDATE scopes SET digest = ? WHERE name = ?", [(digest, name) for name, digest in digests.items()]
            )
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
