"""Reading SQLite's rows: plain functions on the driver's connection, one statement for any number of keys.

Called on the connection's thread, inside a transaction that the caller has opened.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from syncd.store.protocol import Loaded, Page, ReplicaRow, ResourceKey, SettledRow, StateRow, Wanted
from syncd.store.sqlite_documents import read_document_heads

__all__ = [
    "read_digests",
    "read_ends_of",
    "read_heads",
    "read_of_type",
    "read_page",
    "read_pages",
    "read_scope",
    "read_settled",
    "read_states",
    "read_wanted",
]

# CROSS JOIN fixes the order of the loops: the keys outside, a look-up in an index for each inside.
_HEADS = "SELECT s.name, s.version FROM json_each(?) AS k CROSS JOIN scopes AS s ON s.name = k.value"
_HEADS_AND_DIGESTS = """
    SELECT s.name, s.version, s.digest FROM json_each(?) AS k CROSS JOIN scopes AS s ON s.name = k.value
"""
_PLACES = "SELECT s.name, s.no, s.version FROM json_each(?) AS k CROSS JOIN scopes AS s ON s.name = k.value"
_DIGESTS = "SELECT s.name, s.digest FROM json_each(?) AS k CROSS JOIN scopes AS s ON s.name = k.value"
_REPLICAS = """
    SELECT r.id, r.settled, r.last_stamp, r.clock_ahead_ms, r.seen_at_ms, r.failed_updates, r.failed_at_ms,
        r.user
    FROM json_each(?) AS k CROSS JOIN replicas AS r ON r.id = k.value
"""
_STATES = """
    SELECT sc.name, st.type, st.id, st.version, st.deleted, st.body
    FROM json_each(:ids) AS k
    CROSS JOIN states AS st ON st.type = :type AND st.id = k.value
    CROSS JOIN scopes AS sc ON sc.no = st.scope_no
"""
_STATE = """
    SELECT sc.name, st.type, st.id, st.version, st.deleted, st.body
    FROM states AS st CROSS JOIN scopes AS sc ON sc.no = st.scope_no
    WHERE st.type = ? AND st.id = ?
"""
_CHANGES = """
    SELECT r.id, c.n, c.digest, sc.name, c.type, c.id, c.version, c.kind, c.at_ms, c.stamp, c.change, c.outcome
    FROM json_each(?) AS k
    CROSS JOIN replicas AS r ON r.id = json_extract(k.value, '$[0]')
    CROSS JOIN changes AS c ON c.replica_no = r.no AND c.n = json_extract(k.value, '$[1]')
    CROSS JOIN scopes AS sc ON sc.no = c.scope_no
"""
_SCOPE = """
    SELECT sc.name, st.type, st.id, st.version, st.deleted, st.body
    FROM scopes AS sc CROSS JOIN states AS st ON st.scope_no = sc.no
    WHERE sc.name = ? ORDER BY st.version
"""
_OF_TYPE = """
    SELECT sc.name, st.type, st.id, st.version, st.deleted, st.body
    FROM states AS st CROSS JOIN scopes AS sc ON sc.no = st.scope_no
    WHERE st.type = :type AND st.id > :after AND st.deleted = 0 AND (:scope IS NULL OR sc.name = :scope)
    ORDER BY st.id LIMIT :limit
"""
_PAGE = "SELECT version, type, body FROM states WHERE scope_no = ? AND version > ? ORDER BY version"
# The body of a hidden state is not even read: it is the last column, and a large one lies on pages of its own.
_PAGE_OF_TYPES = """
    SELECT version, type, CASE WHEN type IN (SELECT value FROM json_each(?)) THEN body END
    FROM states WHERE scope_no = ? AND version > ? ORDER BY version
"""

_FEW_ROWS, _MANY_ROWS = 8, 128
_FEW_KEYS = 2
"""That are looked up sooner one by one than as a list: most pushes are about one resource, and one membership."""
# A replica's versions in a scope never fall as its numbers rise (see SettledRow), so the last of the index is it.
_SETTLED = """
    SELECT k.key, (
        SELECT n FROM changes WHERE replica_no = r.no AND scope_no = s.no AND version <= k.value
        ORDER BY version DESC, n DESC LIMIT 1)
    FROM replicas AS r CROSS JOIN json_each(:upto) AS k CROSS JOIN scopes AS s ON s.name = k.key
    WHERE r.id = :replica AND (:user IS NULL OR r.user IN ('', :user))
"""

# Law 10: where a scope stood when an incarnation ended is what the next one that wrote to it found there.
_ENDS_OF = """
    SELECT k.value, coalesce(
        (SELECT si.version_before FROM scope_incarnations AS si
         WHERE si.scope_no = s.no AND si.incarnation_no > i.no ORDER BY si.incarnation_no LIMIT 1),
        s.version,
        0)
    FROM incarnations AS i CROSS JOIN json_each(:scopes) AS k LEFT JOIN scopes AS s ON s.name = k.value
    WHERE i.id = :incarnation
"""


def read_wanted(connection: sqlite3.Connection, wanted: Wanted) -> Loaded:
    """See `Transaction.load`."""
    replicas = {row[0]: ReplicaRow(*row) for row in _rows(connection, _REPLICAS, wanted.replicas)}
    # Most numbers are new, and their replicas know it: no need to look for what cannot be there.
    settled = [
        (replica, n) for replica, n in wanted.numbers if (row := replicas.get(replica)) is None or n <= row.settled
    ]
    changes = _rows(connection, _CHANGES, settled)
    heads = _rows(connection, _HEADS_AND_DIGESTS, wanted.scopes)
    return Loaded(
        replicas=replicas,
        scopes={**dict.fromkeys(wanted.scopes, 0), **{name: version for name, version, _ in heads}},
        digests={name: digest for name, _, digest in heads},
        states=read_states(connection, wanted.resources),
        settled={(row[0], row[1]): SettledRow(*row) for row in changes},
        documents=read_document_heads(connection, wanted.documents),
    )


def read_states(connection: sqlite3.Connection, resources: Collection[ResourceKey]) -> dict[ResourceKey, StateRow]:
    """See `Snapshot.states`."""
    ids: dict[str, list[str]] = {}
    for type_name, resource_id in resources:
        ids.setdefault(type_name, []).append(resource_id)
    rows: list[Any] = []
    for type_name, wanted in ids.items():
        if len(wanted) <= _FEW_KEYS:
            for resource_id in wanted:
                rows += connection.execute(_STATE, (type_name, resource_id)).fetchall()
        else:
            rows += connection.execute(_STATES, {"type": type_name, "ids": json.dumps(wanted)}).fetchall()
    return {(row[1], row[2]): _state(row) for row in rows}


def read_heads(connection: sqlite3.Connection, scopes: Collection[str]) -> dict[str, int]:
    """See `Snapshot.heads`."""
    return {**dict.fromkeys(scopes, 0), **dict(_rows(connection, _HEADS, scopes))}


def read_digests(connection: sqlite3.Connection, scopes: Collection[str]) -> dict[str, bytes]:
    """See `Snapshot.digests`."""
    return {**dict.fromkeys(scopes, bytes(16)), **dict(_rows(connection, _DIGESTS, scopes))}


def read_scope(connection: sqlite3.Connection, scope: str) -> Sequence[StateRow]:
    """See `Transaction.scan`."""
    return [_state(row) for row in connection.execute(_SCOPE, (scope,))]


def read_of_type(
    connection: sqlite3.Connection, type: str, *, scope: str | None, after: str, limit: int
) -> Sequence[StateRow]:
    """See `Snapshot.of_type`."""
    wanted = {"type": type, "scope": scope, "after": after, "limit": limit}
    return [_state(row) for row in connection.execute(_OF_TYPE, wanted)]


def read_page(
    connection: sqlite3.Connection,
    scope: str,
    after: int,
    limit_bytes: int,
    *,
    types: Collection[str] | None = None,
    limit_rows: int | None = None,
) -> Page:
    """See `Snapshot.page`."""
    for _, no, head in _rows(connection, _PLACES, [scope]):
        return _page(connection, (no, head), after, limit_bytes, types, limit_rows)
    return Page([], 0, more=False)


def read_pages(
    connection: sqlite3.Connection,
    after: Mapping[str, int],
    limit_bytes: int,
    *,
    types: Collection[str] | None = None,
    limit_rows: int | None = None,
) -> dict[str, Page]:
    """See `Snapshot.pages`."""
    places = {name: (no, head) for name, no, head in _rows(connection, _PLACES, after)}
    pages: dict[str, Page] = {}
    room = limit_bytes
    for scope, version in after.items():
        if room <= 0:
            break
        page = pages[scope] = _page(connection, places.get(scope, (0, 0)), version, room, types, limit_rows)
        room -= sum(map(len, page.bodies))
    return pages


def _page(
    connection: sqlite3.Connection,
    place: tuple[int, int],
    after: int,
    limit_bytes: int,
    types: Collection[str] | None,
    limit_rows: int | None,
) -> Page:
    """`place`: the scope's number and its head."""
    scope_no, head = place
    if after >= head:
        # Whoever comes back finds most scopes as they were: only their heads are looked at.
        return Page([], head, more=False)
    if types is None:
        rows = connection.execute(_PAGE, (scope_no, after))
    else:
        rows = connection.execute(_PAGE_OF_TYPES, (json.dumps(sorted(types)), scope_no, after))
    bodies: list[bytes] = []
    types_of: list[str] = []
    upto, room = after, limit_bytes
    looked_at = 0
    at_once = _FEW_ROWS
    while block := rows.fetchmany(at_once):
        if types is None and limit_rows is None:
            # Most pages show everything, and most blocks fit: no row is looked at by itself.
            versions, names, found = zip(*block, strict=True)
            size = sum(map(len, found))
            if size <= room:
                bodies += found
                types_of += names
                upto, room = versions[-1], room - size
                # Not many at first: they may be large, and not go into the page.
                at_once = min(2 * at_once, _MANY_ROWS)
                continue
        for version, type_, body in block:
            if looked_at == limit_rows:
                return Page(bodies, upto, True, types_of)
            looked_at += 1
            if body is not None:
                room -= len(body)
                if room < 0 and bodies:
                    return Page(bodies, upto, True, types_of)
                bodies.append(body)
                types_of.append(type_)
            upto = version
    return Page(bodies, head, False, types_of)


def read_settled(
    connection: sqlite3.Connection, replica: str, upto: Mapping[str, int], user: str | None = None
) -> dict[str, int]:
    """See `Snapshot.settled`."""
    if not upto:
        return {}
    asked = {"replica": replica, "user": user, "upto": json.dumps(dict(upto))}
    return {**dict.fromkeys(upto, 0), **{scope: n or 0 for scope, n in connection.execute(_SETTLED, asked)}}


def read_ends_of(connection: sqlite3.Connection, incarnations: Mapping[str, str]) -> dict[str, int]:
    """See `Snapshot.ends_of`."""
    scopes: dict[str, list[str]] = {}
    for scope, incarnation in incarnations.items():
        scopes.setdefault(incarnation, []).append(scope)
    return {
        scope: end
        for incarnation, named in scopes.items()
        for scope, end in connection.execute(_ENDS_OF, {"scopes": json.dumps(named), "incarnation": incarnation})
    }


def _rows(connection: sqlite3.Connection, sql: str, keys: Iterable[object]) -> list[Any]:
    keys = list(keys)
    return connection.execute(sql, (json.dumps(keys),)).fetchall() if keys else []


def _state(row: tuple[str, str, str, int, int, bytes]) -> StateRow:
    scope, type_, id_, version, deleted, body = row
    return StateRow(scope, type_, id_, version, bool(deleted), body)
