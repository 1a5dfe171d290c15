"""The first tables.

Names that recur in many rows (scopes, replicas, incarnations) have a short number, `no`, that stands for them.
docs/decisions/0001-sqlite-layout.md has the figures behind the layout.
"""

from alembic import op

revision = "0001"
down_revision = None

SQLITE = [
    # Each start on this file (law 10).
    """
    CREATE TABLE incarnations (
        no INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        started_at_ms INTEGER NOT NULL
    )
    """,
    # `version`: the head. `digest`: of what lives there at the head (invariant 13). `incarnation_no`: the last that
    # wrote here, 0 for none. Rejected changes that name no readable scope hang on the scope ''.
    """
    CREATE TABLE scopes (
        no INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        version INTEGER NOT NULL DEFAULT 0,
        digest BLOB NOT NULL DEFAULT (zeroblob(16)),
        incarnation_no INTEGER NOT NULL DEFAULT 0
    )
    """,
    # Where a scope stood when an incarnation first wrote to it.
    """
    CREATE TABLE scope_incarnations (
        scope_no INTEGER NOT NULL,
        incarnation_no INTEGER NOT NULL,
        version_before INTEGER NOT NULL,
        PRIMARY KEY (scope_no, incarnation_no)
    ) WITHOUT ROWID
    """,
    # The newest state of each resource, tombstones included. `body`: its wire form, sent on as it is.
    """
    CREATE TABLE states (
        no INTEGER PRIMARY KEY,
        scope_no INTEGER NOT NULL,
        version INTEGER NOT NULL,
        type TEXT NOT NULL,
        id TEXT NOT NULL,
        deleted INTEGER NOT NULL,
        body BLOB NOT NULL,
        UNIQUE (type, id),
        UNIQUE (scope_no, version)
    )
    """,
    # `settled`: the highest settled number, kept for ever (law 3).
    """
    CREATE TABLE replicas (
        no INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        settled INTEGER NOT NULL DEFAULT 0,
        last_stamp TEXT NOT NULL DEFAULT '',
        clock_ahead_ms INTEGER NOT NULL DEFAULT 0,
        seen_at_ms INTEGER NOT NULL DEFAULT 0
    )
    """,
    # Every settled change in the order of settling: stored outcomes (law 3), history and quarantine (invariant 5).
    # `dealt`: what has been done about a rejected one, '' for nothing yet.
    """
    CREATE TABLE changes (
        no INTEGER PRIMARY KEY,
        replica_no INTEGER NOT NULL,
        n INTEGER NOT NULL,
        digest BLOB NOT NULL,
        scope_no INTEGER NOT NULL,
        type TEXT NOT NULL,
        id TEXT NOT NULL,
        version INTEGER NOT NULL,
        kind TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        stamp TEXT NOT NULL,
        change BLOB NOT NULL,
        outcome BLOB NOT NULL,
        dealt TEXT NOT NULL DEFAULT '',
        UNIQUE (replica_no, n)
    )
    """,
    # Answers law 4, how far a replica is settled in a scope at a version, with one look.
    "CREATE UNIQUE INDEX changes_settled ON changes (replica_no, scope_no, version, n)",
    # The history of one resource; SQLite adds `no`, and with it the order of settling.
    "CREATE INDEX changes_of_resource ON changes (type, id)",
    # The quarantine: nothing is added to it by a change that is not rejected.
    "CREATE INDEX changes_in_quarantine ON changes (replica_no) WHERE kind = 'rejected' AND dealt = ''",
]


def upgrade() -> None:
    """Create every table."""
    for statement in {"sqlite": SQLITE}[op.get_context().dialect.name]:
        op.execute(statement)
