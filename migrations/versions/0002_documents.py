"""Documents: what rule `crdt` keeps beside the states.

docs/decisions/0008-documents-beside-states.md has the figures behind the layout.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

SQLITE = [
    # How far each document is. `since`: the version at which this life of it began; `seq`: of its newest update;
    # `snapshot_seq`: how far its snapshot reaches, 0 for none; `waiting` and `bytes`: of the updates left in the log.
    """
    CREATE TABLE documents (
        no INTEGER PRIMARY KEY,
        scope_no INTEGER NOT NULL,
        type TEXT NOT NULL,
        id TEXT NOT NULL,
        field TEXT NOT NULL,
        since INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        snapshot_seq INTEGER NOT NULL DEFAULT 0,
        waiting INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        UNIQUE (type, id, field)
    )
    """,
    # Apart from what every edit changes, for a row is written as a whole.
    "CREATE TABLE document_snapshots (document_no INTEGER PRIMARY KEY, body BLOB NOT NULL)",
    # The updates that no snapshot holds yet; `replica_no` and `n`: the change that brought each.
    """
    CREATE TABLE document_updates (
        no INTEGER PRIMARY KEY,
        document_no INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        version INTEGER NOT NULL,
        replica_no INTEGER NOT NULL,
        n INTEGER NOT NULL,
        body BLOB NOT NULL,
        UNIQUE (document_no, seq)
    )
    """,
]


def upgrade() -> None:
    """Create the three tables."""
    for statement in {"sqlite": SQLITE}[op.get_context().dialect.name]:
        op.execute(statement)
