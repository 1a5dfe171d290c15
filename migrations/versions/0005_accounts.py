"""Accounts: who somebody is, on which devices, and the mail that tells of it.

Times are in milliseconds since 1970. Sets of names (roles, scopes) are JSON arrays. Of tokens and codes there are only
digests.
"""

from alembic import op

revision = "0005"
down_revision = "0004"

SQLITE = [
    # `status`: active, suspended or erased. `totp_step`: the last one that was used.
    """
    CREATE TABLE accounts (
        id TEXT PRIMARY KEY,
        created_at_ms INTEGER NOT NULL,
        email TEXT UNIQUE,
        verified_at_ms INTEGER,
        password_hash TEXT,
        name TEXT NOT NULL,
        status TEXT NOT NULL,
        roles TEXT NOT NULL,
        roles_at_ms INTEGER NOT NULL,
        tier TEXT NOT NULL,
        totp_secret TEXT,
        totp_since_ms INTEGER,
        totp_step INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
    # The few that are read at every start.
    "CREATE INDEX accounts_barred ON accounts (status) WHERE status <> 'active'",
    "CREATE INDEX accounts_roles ON accounts (roles_at_ms) WHERE roles_at_ms > 0",
    """
    CREATE TABLE identities (
        provider TEXT NOT NULL,
        subject TEXT NOT NULL,
        account TEXT NOT NULL,
        created_at_ms INTEGER NOT NULL,
        PRIMARY KEY (provider, subject)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX identities_of_account ON identities (account)",
    # `family`, `current`, `previous`: digests of the parts of a refresh token. `device_id`: '' for none.
    """
    CREATE TABLE sessions (
        id TEXT PRIMARY KEY,
        account TEXT NOT NULL,
        family BLOB NOT NULL UNIQUE,
        current BLOB NOT NULL,
        created_at_ms INTEGER NOT NULL,
        used_at_ms INTEGER NOT NULL,
        expires_at_ms INTEGER NOT NULL,
        previous BLOB,
        salt BLOB NOT NULL,
        rotated_at_ms INTEGER,
        device_id TEXT NOT NULL,
        device_name TEXT NOT NULL,
        platform TEXT NOT NULL,
        revoked_at_ms INTEGER,
        revoked_why TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE INDEX sessions_of_account ON sessions (account) WHERE revoked_at_ms IS NULL",
    "CREATE INDEX sessions_revoked ON sessions (revoked_at_ms) WHERE revoked_at_ms IS NOT NULL",
    "CREATE INDEX sessions_expiring ON sessions (expires_at_ms)",
    # `email`: where it was sent, '' for nowhere.
    """
    CREATE TABLE one_time_codes (
        digest BLOB PRIMARY KEY,
        purpose TEXT NOT NULL,
        account TEXT NOT NULL,
        created_at_ms INTEGER NOT NULL,
        expires_at_ms INTEGER,
        email TEXT NOT NULL,
        used_at_ms INTEGER
    ) WITHOUT ROWID
    """,
    "CREATE INDEX one_time_codes_of_account ON one_time_codes (account, purpose) WHERE used_at_ms IS NULL",
    # `scopes`: the only ones it opens, NULL for no such restriction.
    """
    CREATE TABLE api_keys (
        id TEXT PRIMARY KEY,
        account TEXT NOT NULL,
        digest BLOB NOT NULL UNIQUE,
        name TEXT NOT NULL,
        created_at_ms INTEGER NOT NULL,
        used_at_ms INTEGER,
        expires_at_ms INTEGER,
        revoked_at_ms INTEGER,
        scopes TEXT
    ) WITHOUT ROWID
    """,
    "CREATE INDEX api_keys_of_account ON api_keys (account)",
    """
    CREATE TABLE revoked_tokens (
        id TEXT PRIMARY KEY,
        revoked_at_ms INTEGER NOT NULL,
        expires_at_ms INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
    # What is sent, or given up, goes.
    """
    CREATE TABLE mails (
        id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        "to" TEXT NOT NULL,
        account TEXT NOT NULL,
        created_at_ms INTEGER NOT NULL,
        due_at_ms INTEGER NOT NULL,
        attempts INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE INDEX mails_due ON mails (due_at_ms)",
    # By the id of the resource that the link is.
    """
    CREATE TABLE link_uses (
        link TEXT PRIMARY KEY,
        uses INTEGER NOT NULL,
        used_at_ms INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
]


def upgrade() -> None:
    """Create the tables."""
    for statement in {"sqlite": SQLITE}[op.get_context().dialect.name]:
        op.execute(statement)
