"""Every state of a SQLite file, and its documents, from a connection that only reads: for export and for checks."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

from syncd.store.protocol import DocumentKey, StateRow, StoredDocument
from syncd.store.sqlite_documents import read_document

__all__ = ["count_states", "documents_of", "iterate_scope", "scope_names"]

_STATES = """
    SELECT st.type, st.id, st.version, st.deleted, st.body
    FROM scopes AS sc CROSS JOIN states AS st ON st.scope_no = sc.no
    WHERE sc.name = ? ORDER BY st.version
"""
_FIELDS = "SELECT field FROM documents WHERE type = ? AND id = ? ORDER BY field"


def scope_names(connection: sqlite3.Connection) -> Sequence[str]:
    """The scopes that were ever written to, by name."""
    return [name for (name,) in connection.execute("SELECT name FROM scopes WHERE version > 0 ORDER BY name")]


def count_states(connection: sqlite3.Connection) -> int:
    """How many states there are, tombstones included."""
    return int(connection.execute("SELECT count(*) FROM states").fetchone()[0])


def iterate_scope(connection: sqlite3.Connection, scope: str) -> Iterator[StateRow]:
    """The states of one scope, tombstones included, in version order; never all of them in memory."""
    for type_, id_, version, deleted, body in connection.execute(_STATES, (scope,)):
        yield StateRow(scope, type_, id_, version, bool(deleted), body)


def documents_of(connection: sqlite3.Connection, row: StateRow) -> dict[str, StoredDocument]:
    """The documents of a resource, by field; empty for most."""
    if b'"document":{' not in row.body:
        return {}
    fields = connection.execute(_FIELDS, (row.type, row.id)).fetchall()
    found = {field: read_document(connection, DocumentKey(row.type, row.id, field)) for (field,) in fields}
    return {field: document for field, document in found.items() if document is not None}
