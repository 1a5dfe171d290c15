"""${message}."""

from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}

SQLITE = [
    """
    """,
]


def upgrade() -> None:
    """Say what it brings."""
    for statement in {"sqlite": SQLITE}[op.get_context().dialect.name]:
        op.execute(statement)
