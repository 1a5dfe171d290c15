"""SQLite's accounts: the adapter of `AccountStore`, on the connections of the store whose file they share.

A writing transaction waits in the same line as a push's. The tables are in migrations/versions/0005_accounts.py, with
a column for each field of a row.
"""

from __future__ import annotations

import json
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Generic, TypeVar

from syncd.store.accounts import (
    AccountCommit,
    AccountRow,
    AccountStatus,
    ApiKeyRow,
    Barred,
    CodeRow,
    IdentityRow,
    LinkUseRow,
    MailRow,
    RevokedTokenRow,
    SessionRow,
)
from syncd.store.sqlite_connection import SqliteConnection
from syncd.store.sqlite_connections import SqliteConnections
from syncd.store.sqlite_writes import begin_write

__all__ = ["SqliteAccountTransaction", "SqliteAccounts"]

T = TypeVar("T")
Row = TypeVar("Row", bound=tuple[Any, ...])


class _Table(Generic[Row]):
    """How a kind of row is read and written: its columns are named like its fields, and the first is the key.

    `once`: a row is written once, and a second with its key is refused.
    """

    def __init__(self, name: str, row: type[Row], *, once: bool = False) -> None:
        self.row = row
        key, *others = columns = [f'"{field}"' for field in row._fields]  # type: ignore[attr-defined]
        self.select = f"SELECT {', '.join(columns)} FROM {name}"
        self.write = f"INSERT INTO {name} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
        if not once:
            changes = ", ".join(f"{column} = excluded.{column}" for column in others)
            self.write += f" ON CONFLICT ({key}) DO UPDATE SET {changes}"


_ACCOUNTS: Final = _Table("accounts", AccountRow)
_IDENTITIES: Final = _Table("identities", IdentityRow, once=True)
_SESSIONS: Final = _Table("sessions", SessionRow)
_CODES: Final = _Table("one_time_codes", CodeRow)
_API_KEYS: Final = _Table("api_keys", ApiKeyRow)
_REVOKED_TOKENS: Final = _Table("revoked_tokens", RevokedTokenRow)
_MAILS: Final = _Table("mails", MailRow)
_LINK_USES: Final = _Table("link_uses", LinkUseRow)

_BY_IDENTITY: Final = "WHERE id = (SELECT account FROM identities WHERE provider = ? AND subject = ?)"
_DROP_CODES: Final = "DELETE FROM one_time_codes WHERE account = ? AND purpose = ? AND used_at_ms IS NULL"
_DROP_MAILS_OF: Final = "DELETE FROM mails WHERE account = ? AND kind = ?"
_DROP_MAIL: Final = "DELETE FROM mails WHERE id = ?"
_DROP_IDENTITY: Final = "DELETE FROM identities WHERE provider = ? AND subject = ?"
_EMPTY: Final = (
    "DELETE FROM sessions WHERE account = ?",
    "DELETE FROM identities WHERE account = ?",
    "DELETE FROM api_keys WHERE account = ?",
    "DELETE FROM one_time_codes WHERE account = ?",
    # What was sent to his address from elsewhere, such as the word that somebody else has asked for it.
    'DELETE FROM mails WHERE account = ?1 OR "to" = (SELECT email FROM accounts WHERE id = ?1)',
)
_UNVERIFIED: Final = """
    SELECT a.id FROM accounts AS a
    WHERE a.created_at_ms < ? AND a.email IS NOT NULL AND a.verified_at_ms IS NULL AND a.status = 'active'
      AND NOT EXISTS (SELECT 1 FROM sessions AS s WHERE s.account = a.id)
      AND NOT EXISTS (SELECT 1 FROM identities AS i WHERE i.account = a.id)
      AND NOT EXISTS (SELECT 1 FROM api_keys AS k WHERE k.account = a.id)
"""
_PURGE: Final = "DELETE FROM accounts WHERE id = ?"
_SWEEPS: Final = (
    "DELETE FROM sessions WHERE expires_at_ms < :before",
    "DELETE FROM sessions WHERE revoked_at_ms IS NOT NULL AND revoked_at_ms < :before",
    "DELETE FROM api_keys WHERE expires_at_ms < :before OR revoked_at_ms < :before",
    "DELETE FROM one_time_codes WHERE expires_at_ms < :before OR used_at_ms < :before",
    "DELETE FROM revoked_tokens WHERE expires_at_ms < :before",
)


class _Reads(ABC):
    """Implements `AccountReads`, wherever it is that work is run."""

    @abstractmethod
    async def _run(self, work: Callable[..., T], *args: object) -> T: ...

    async def account(self, id: str) -> AccountRow | None:
        """See `AccountReads.account`."""
        return await self._one(_ACCOUNTS, "WHERE id = ?", id)

    async def account_by_email(self, email: str) -> AccountRow | None:
        """See `AccountReads.account_by_email`."""
        return await self._one(_ACCOUNTS, "WHERE email = ?", email)

    async def account_by_identity(self, provider: str, subject: str) -> AccountRow | None:
        """See `AccountReads.account_by_identity`."""
        return await self._one(_ACCOUNTS, _BY_IDENTITY, provider, subject)

    async def accounts(self, *, after: str = "", limit: int) -> Sequence[AccountRow]:
        """See `AccountReads.accounts`."""
        return await self._all(_ACCOUNTS, "WHERE id > ? ORDER BY id LIMIT ?", after, limit)

    async def identities_of(self, account: str) -> Sequence[IdentityRow]:
        """See `AccountReads.identities_of`."""
        return await self._all(_IDENTITIES, "WHERE account = ? ORDER BY provider, subject", account)

    async def session(self, id: str) -> SessionRow | None:
        """See `AccountReads.session`."""
        return await self._one(_SESSIONS, "WHERE id = ?", id)

    async def session_by_family(self, family: bytes) -> SessionRow | None:
        """See `AccountReads.session_by_family`."""
        return await self._one(_SESSIONS, "WHERE family = ?", family)

    async def sessions_of(self, account: str) -> Sequence[SessionRow]:
        """See `AccountReads.sessions_of`."""
        return await self._all(
            _SESSIONS, "WHERE account = ? AND revoked_at_ms IS NULL ORDER BY created_at_ms, id", account
        )

    async def code(self, digest: bytes) -> CodeRow | None:
        """See `AccountReads.code`."""
        return await self._one(_CODES, "WHERE digest = ?", digest)

    async def codes_of(self, account: str, purpose: str) -> Sequence[CodeRow]:
        """See `AccountReads.codes_of`."""
        return await self._all(
            _CODES,
            "WHERE account = ? AND purpose = ? AND used_at_ms IS NULL ORDER BY created_at_ms, digest",
            account,
            purpose,
        )

    async def api_key(self, id: str) -> ApiKeyRow | None:
        """See `AccountReads.api_key`."""
        return await self._one(_API_KEYS, "WHERE id = ?", id)

    async def api_keys_of(self, account: str) -> Sequence[ApiKeyRow]:
        """See `AccountReads.api_keys_of`."""
        return await self._all(_API_KEYS, "WHERE account = ? ORDER BY created_at_ms, id", account)

    async def mail(self, id: str) -> MailRow | None:
        """See `AccountReads.mail`."""
        return await self._one(_MAILS, "WHERE id = ?", id)

    async def mails_due(self, now_ms: int, *, limit: int) -> Sequence[MailRow]:
        """See `AccountReads.mails_due`."""
        return await self._all(_MAILS, "WHERE due_at_ms <= ? ORDER BY due_at_ms, id LIMIT ?", now_ms, limit)

    async def next_mail_at_ms(self) -> int | None:
        """See `AccountReads.next_mail_at_ms`."""
        return await self._run(_read_next_mail)

    async def link_uses(self, links: Collection[str]) -> Sequence[LinkUseRow]:
        """See `AccountReads.link_uses`."""
        where = "WHERE link IN (SELECT value FROM json_each(?)) ORDER BY link"
        return await self._all(_LINK_USES, where, json.dumps(sorted(links)))

    async def barred(self, since_ms: int, now_ms: int) -> Barred:
        """See `AccountReads.barred`."""
        return await self._run(_read_barred, since_ms, now_ms)

    async def _one(self, table: _Table[Row], where: str, *args: object) -> Row | None:
        rows = await self._all(table, where, *args)
        return rows[0] if rows else None

    async def _all(self, table: _Table[Row], where: str, *args: object) -> list[Row]:
        rows: list[Row] = await self._run(_read, table, where, args)
        return rows


class SqliteAccountTransaction(_Reads):
    """Implements `AccountTransaction`; it begins in the database with its first call."""

    def __init__(self, writer: SqliteConnection, wrote: Callable[[int], None]) -> None:
        self._writer = writer
        self._wrote = wrote
        self._begun = False

    async def commit(self, commit: AccountCommit) -> None:
        """See `AccountTransaction.commit`."""
        self._begun = True
        rows = await self._writer.run(_write_commit, commit)
        self._begun = False
        self._wrote(rows)

    async def end(self) -> None:
        """Roll back what was not committed."""
        if self._begun:
            await self._writer.rollback()

    async def _run(self, work: Callable[..., T], *args: object) -> T:
        self._begun = True
        return await self._writer.run(_in_write, work, *args)


class SqliteAccounts(_Reads):
    """Implements `AccountStore`."""

    def __init__(self, connections: SqliteConnections) -> None:
        self._connections = connections

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[SqliteAccountTransaction]:
        """See `AccountStore.transaction`. All transactions run one after the other."""
        async with self._connections.writing:
            transaction = SqliteAccountTransaction(self._connections.writer, self._connections.wrote)
            try:
                yield transaction
            finally:
                await transaction.end()

    async def sweep(self, before_ms: int) -> int:
        """See `AccountStore.sweep`."""
        return await self._connections.write(_sweep, before_ms)

    async def purge_unverified(self, before_ms: int) -> int:
        """See `AccountStore.purge_unverified`."""
        return await self._connections.write(_purge_unverified, before_ms)

    async def _run(self, work: Callable[..., T], *args: object) -> T:
        return await self._connections.read(work, *args)


def _in_write(connection: sqlite3.Connection, work: Callable[..., T], *args: object) -> T:
    begin_write(connection)
    return work(connection, *args)


def _read(connection: sqlite3.Connection, table: _Table[Row], where: str, args: Sequence[object]) -> list[Row]:
    return [_row(table.row, values) for values in connection.execute(f"{table.select} {where}", args)]


def _read_next_mail(connection: sqlite3.Connection) -> int | None:
    (found,) = connection.execute("SELECT min(due_at_ms) FROM mails").fetchone()
    return None if found is None else int(found)


def _read_barred(connection: sqlite3.Connection, since_ms: int, now_ms: int) -> Barred:
    def pairs(statement: str, *args: object) -> dict[Any, Any]:
        return dict(connection.execute(statement, args).fetchall())

    changed = connection.execute(
        "SELECT id, roles, tier, roles_at_ms FROM accounts WHERE roles_at_ms > 0 AND roles_at_ms >= ?", (since_ms,)
    ).fetchall()
    return Barred(
        sessions=pairs(
            "SELECT id, revoked_at_ms FROM sessions WHERE revoked_at_ms IS NOT NULL AND revoked_at_ms >= ?", since_ms
        ),
        keys=pairs("SELECT id, revoked_at_ms FROM api_keys WHERE revoked_at_ms >= ?", since_ms),
        tokens=pairs("SELECT id, expires_at_ms FROM revoked_tokens WHERE expires_at_ms > ?", now_ms),
        accounts={
            account: AccountStatus(status)
            for account, status in connection.execute("SELECT id, status FROM accounts WHERE status <> 'active'")
        },
        roles={
            account: ((_names(roles) or frozenset()) | ({tier} if tier else frozenset()), at_ms)
            for account, roles, tier, at_ms in changed
        },
    )


def _write_commit(connection: sqlite3.Connection, commit: AccountCommit) -> int:
    """Write all of it, and how many rows that were. Whatever it raises, the transaction is over."""
    try:
        begin_write(connection)
        connection.executemany(_DROP_CODES, commit.dropped_codes)
        connection.executemany(_DROP_MAILS_OF, commit.dropped_codes)
        connection.executemany(_DROP_MAIL, [(mail,) for mail in commit.dropped_mails])
        connection.executemany(_DROP_IDENTITY, commit.dropped_identities)
        for statement in _EMPTY if commit.emptied else ():
            connection.executemany(statement, [(account,) for account in commit.emptied])
        written = 0
        for table, rows in (
            (_ACCOUNTS, commit.accounts),
            (_IDENTITIES, commit.identities),
            (_SESSIONS, commit.sessions),
            (_CODES, commit.codes),
            (_API_KEYS, commit.api_keys),
            (_REVOKED_TOKENS, commit.revoked_tokens),
            (_MAILS, commit.mails),
            (_LINK_USES, commit.link_uses),
        ):
            connection.executemany(table.write, [[_stored(value) for value in row] for row in rows])
            written += len(rows)
        connection.execute("COMMIT")
        return written
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _sweep(connection: sqlite3.Connection, before_ms: int) -> int:
    begin_write(connection)
    swept = sum(connection.execute(statement, {"before": before_ms}).rowcount for statement in _SWEEPS)
    connection.execute("COMMIT")
    return swept


def _purge_unverified(connection: sqlite3.Connection, before_ms: int) -> int:
    begin_write(connection)
    found = connection.execute(_UNVERIFIED, (before_ms,)).fetchall()
    for statement in (*_EMPTY, _PURGE):
        connection.executemany(statement, found)
    connection.execute("COMMIT")
    return len(found)


def _stored(value: object) -> object:
    return json.dumps(sorted(value)) if isinstance(value, frozenset) else value


def _row(kind: type[Any], values: Sequence[Any]) -> Any:
    row = kind(*values)
    if kind is AccountRow:
        return row._replace(status=AccountStatus(row.status), roles=_names(row.roles))
    if kind is ApiKeyRow:
        return row._replace(scopes=_names(row.scopes))
    return row


def _names(text: str | None) -> frozenset[str] | None:
    return None if text is None else frozenset(json.loads(text))
