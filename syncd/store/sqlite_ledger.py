"""Reading SQLite's ledger: the history of one resource, and the quarantine.

Plain functions on the driver's connection, inside a transaction that the caller has opened: the store's readers and
the commands that read beside a server both use them.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable
from typing import Any, Final

from syncd.store.protocol import Dealt, LedgerPage, LedgerRow, QuarantineTotal, ResourceKey, SettledRow

__all__ = [
    "read_changes_in",
    "read_changes_of",
    "read_history",
    "read_ledger",
    "read_owners",
    "read_quarantine",
    "read_quarantine_totals",
]

_COLUMNS: Final = """
    c.no, c.dealt,
    r.id, c.n, c.digest, sc.name, c.type, c.id, c.version, c.kind, c.at_ms, c.stamp, c.change, c.outcome
"""
_NAMES: Final = """
    CROSS JOIN replicas AS r ON r.no = c.replica_no
    CROSS JOIN scopes AS sc ON sc.no = c.scope_no
"""
_BY_NUMBER: Final = f"""
    SELECT {_COLUMNS}
    FROM json_each(?) AS k
    CROSS JOIN replicas AS r ON r.id = json_extract(k.value, '$[0]')
    CROSS JOIN changes AS c ON c.replica_no = r.no AND c.n = json_extract(k.value, '$[1]')
    CROSS JOIN scopes AS sc ON sc.no = c.scope_no
"""
_FORWARDS: Final = f"""
    SELECT {_COLUMNS} FROM changes AS c {_NAMES}
    WHERE c.type = :type AND c.id = :id AND c.no > :after ORDER BY c.no
"""
_BACKWARDS: Final = f"""
    SELECT {_COLUMNS} FROM changes AS c {_NAMES}
    WHERE c.type = :type AND c.id = :id AND (:after = 0 OR c.no < :after) ORDER BY c.no DESC
"""
_OF_REPLICA: Final = f"""
    SELECT {_COLUMNS} FROM changes AS c {_NAMES}
    WHERE c.replica_no = (SELECT no FROM replicas WHERE id = :replica) AND c.n > :after ORDER BY c.n
"""
_IN_SCOPE: Final = f"""
    SELECT {_COLUMNS} FROM changes AS c {_NAMES}
    WHERE c.scope_no = (SELECT no FROM scopes WHERE name = :scope) AND c.no > :after ORDER BY c.no
"""
# The conditions are those of the partial index; SQLite takes it only if it finds them here, word for word.
_QUARANTINE: Final = f"""
    SELECT {_COLUMNS} FROM changes AS c INDEXED BY changes_in_quarantine {_NAMES}
    WHERE c.kind = 'rejected' AND c.dealt = '' AND c.no > :after
"""
_FILTERS: Final = {
    "replica": " AND c.replica_no = (SELECT no FROM replicas WHERE id = :replica)",
    "scope": " AND sc.name = :scope",
    "scopes": " AND c.scope_no IN (SELECT no FROM scopes WHERE name IN (SELECT value FROM json_each(:scopes)))",
    "type": " AND c.type = :type",
    "user": " AND c.replica_no IN (SELECT no FROM replicas WHERE user = :user)",
}
_TOTALS: Final = """
    SELECT r.id, count(*), sum(length(c.change))
    FROM changes AS c INDEXED BY changes_in_quarantine CROSS JOIN replicas AS r ON r.no = c.replica_no
    WHERE c.kind = 'rejected' AND c.dealt = ''
"""
_OWNERS: Final = "SELECT r.id, r.user FROM json_each(?) AS k CROSS JOIN replicas AS r ON r.id = k.value"
_OF_REPLICAS: Final = (
    " AND c.replica_no IN (SELECT q.no FROM json_each(:replicas) AS k CROSS JOIN replicas AS q ON q.id = k.value)"
)


def read_ledger(
    connection: sqlite3.Connection, numbers: Collection[tuple[str, int]]
) -> dict[tuple[str, int], LedgerRow]:
    """See `Snapshot.ledger`."""
    rows = connection.execute(_BY_NUMBER, (json.dumps(list(numbers)),)) if numbers else ()
    return {(row.settled.replica, row.settled.n): row for row in map(_row, rows)}


def read_history(
    connection: sqlite3.Connection,
    resource: ResourceKey,
    *,
    after: int = 0,
    backwards: bool = False,
    limit: int,
    limit_bytes: int,
) -> LedgerPage:
    """See `Snapshot.history`."""
    type_name, resource_id = resource
    found = connection.execute(
        _BACKWARDS if backwards else _FORWARDS, {"type": type_name, "id": resource_id, "after": after}
    )
    return _page(found, limit, limit_bytes)


def read_changes_of(
    connection: sqlite3.Connection, replica: str, after: int, limit: int, limit_bytes: int
) -> LedgerPage:
    """See `Traces.changes_of`."""
    return _page(connection.execute(_OF_REPLICA, {"replica": replica, "after": after}), limit, limit_bytes)


def read_changes_in(connection: sqlite3.Connection, scope: str, after: int, limit: int, limit_bytes: int) -> LedgerPage:
    """See `Traces.changes_in`."""
    return _page(connection.execute(_IN_SCOPE, {"scope": scope, "after": after}), limit, limit_bytes)


def read_quarantine(
    connection: sqlite3.Connection,
    *,
    replica: str | None = None,
    scope: str | None = None,
    scopes: Collection[str] | None = None,
    type: str | None = None,
    user: str | None = None,
    after: int = 0,
    limit: int,
    limit_bytes: int,
) -> LedgerPage:
    """See `Snapshot.quarantine`."""
    given = {"replica": replica, "scope": scope, "scopes": _listed(scopes), "type": type, "user": user}
    conditions = "".join(_FILTERS[name] for name, value in given.items() if value is not None)
    found = connection.execute(f"{_QUARANTINE}{conditions} ORDER BY c.no", {**given, "after": after})
    return _page(found, limit, limit_bytes)


def read_quarantine_totals(
    connection: sqlite3.Connection,
    replicas: Collection[str] | None = None,
    user: str | None = None,
    scopes: Collection[str] | None = None,
) -> list[QuarantineTotal]:
    """See `Snapshot.quarantine_totals`."""
    conditions = ("" if replicas is None else _OF_REPLICAS) + ("" if user is None else " AND r.user = :user")
    conditions += "" if scopes is None else _FILTERS["scopes"]
    given = {"replicas": _listed(replicas), "user": user, "scopes": _listed(scopes)}
    return [
        QuarantineTotal(*row) for row in connection.execute(f"{_TOTALS}{conditions} GROUP BY r.no ORDER BY r.id", given)
    ]


def read_owners(connection: sqlite3.Connection, replicas: Collection[str]) -> dict[str, str]:
    """See `Snapshot.owners`."""
    return dict(connection.execute(_OWNERS, (json.dumps([*replicas]),)).fetchall())


def _listed(names: Collection[str] | None) -> str | None:
    return None if names is None else json.dumps([*names])


def _page(found: Iterable[Any], limit: int, limit_bytes: int) -> LedgerPage:
    rows: list[LedgerRow] = []
    room = limit_bytes
    for columns in found:
        row = _row(columns)
        room -= len(row.settled.change) + len(row.settled.outcome)
        if rows and (len(rows) == limit or room < 0):
            return LedgerPage(rows, more=True)
        rows.append(row)
    return LedgerPage(rows, more=False)


def _row(columns: tuple[Any, ...]) -> LedgerRow:
    no, dealt, *settled = columns
    return LedgerRow(no, SettledRow(*settled), Dealt(dealt))
