"""Updates of documents: whether one came before something that it needs, so that a log that is in order need not be put
in order for whoever reads it. Of older ones nobody knows."""

from alembic import op

revision = "0004"
down_revision = "0003"

SQLITE = ["ALTER TABLE document_updates ADD COLUMN waited INTEGER NOT NULL DEFAULT 1"]


def upgrade() -> None:
    """Add the column."""
    for statement in {"sqlite": SQLITE}[op.get_context().dialect.name]:
        op.execute(statement)
