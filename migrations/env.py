"""Runs the revisions on the connection that syncd/store/migrate.py opened: one transaction, all of them or none."""

from alembic import context

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("Run 'syncd migrate': it opens the database in the way that the revisions rely on.")

context.configure(connection=connection, target_metadata=None)
with context.begin_transaction():
    context.run_migrations()
