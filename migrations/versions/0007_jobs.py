"""Jobs: long work on one account's data, which a stop of the server does not lose. And which replicas are whose."""

from alembic import op

revision = "0007"
down_revision = "0006"

SQLITE = [
    # `state`: queued, running, done or failed. `detail`: JSON; while it is under way what the job itself has to know,
    # afterwards its receipt. `file`: the name of the result, '' for none; `digest`: its SHA-256 in hexadecimal.
    """
    CREATE TABLE jobs (
        id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        account TEXT NOT NULL,
        created_at_ms INTEGER NOT NULL,
        state TEXT NOT NULL,
        started_at_ms INTEGER,
        finished_at_ms INTEGER,
        done INTEGER NOT NULL,
        total INTEGER NOT NULL,
        message TEXT NOT NULL,
        detail TEXT NOT NULL,
        file TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        digest TEXT NOT NULL,
        expires_at_ms INTEGER
    ) WITHOUT ROWID
    """,
    "CREATE INDEX jobs_of_account ON jobs (account)",
    "CREATE INDEX jobs_under_way ON jobs (created_at_ms) WHERE state IN ('queued', 'running')",
    "CREATE INDEX replicas_of_user ON replicas (user) WHERE user <> ''",
]


def upgrade() -> None:
    """Create the table and the indexes."""
    for statement in {"sqlite": SQLITE}[op.get_context().dialect.name]:
        op.execute(statement)
