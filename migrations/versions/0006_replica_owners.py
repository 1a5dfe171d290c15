"""Replicas: the account that each belongs to, '' for none."""

from alembic import op

revision = "0006"
down_revision = "0005"

SQLITE = ["ALTER TABLE replicas ADD COLUMN user TEXT NOT NULL DEFAULT ''"]


def upgrade() -> None:
    """Add the column."""
    for statement in {"sqlite": SQLITE}[op.get_context().dialect.name]:
        op.execute(statement)
