"""Replicas: how many of their updates of documents have failed in a worker, and when the last did."""

from alembic import op

revision = "0003"
down_revision = "0002"

SQLITE = [
    "ALTER TABLE replicas ADD COLUMN failed_updates INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE replicas ADD COLUMN failed_at_ms INTEGER NOT NULL DEFAULT 0",
]


def upgrade() -> None:
    """Add the two columns."""
    for statement in {"sqlite": SQLITE}[op.get_context().dialect.name]:
        op.execute(statement)
