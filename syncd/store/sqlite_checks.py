"""What must hold between the rows of a SQLite file, and can be checked without decoding what is stored.

Each check returns what breaks it, at most `limit` of them. The repair writes; its caller holds the file's lock.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from syncd.store.sqlite_connection import BUSY_TIMEOUT_S
from syncd.store.sqlite_errors import translated_errors

__all__ = [
    "NumberFault",
    "VersionFault",
    "journal_mode",
    "quick_check",
    "read_number_faults",
    "read_stored_digests",
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
