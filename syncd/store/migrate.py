"""Brings a SQLite file to the schema that this syncd knows: forward only, all or nothing, never past it.

alembic and SQLAlchemy are imported only when there is something to apply, so that a start on a file that is up to
date does not wait for them. Everything here blocks; an async caller runs it in a thread.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from syncd.errors import SchemaTooNew, SettingsError, StoreError
from syncd.store.sqlite_connection import BUSY_TIMEOUT_S
from syncd.store.sqlite_errors import store_error, translated_errors
from syncd.store.sqlite_lock import lock_database

__all__ = ["REVISIONS", "head_revision", "migrate", "migrate_locked", "migrations_folder", "schema_version", "upgrade"]

REVISIONS: Final = ("0001", "0002", "0003", "0004", "0005", "0006", "0007")
"""Every revision, oldest first; a test holds it against the migrations folder."""


def head_revision() -> str:
    """The revision that this syncd works with."""
    return REVISIONS[-1]


def schema_version(path: Path | str) -> str | None:
    """The revision of the file at `path`, None if there is no file or nothing in it.

    Raises `SettingsError` if it is a database of something else, `StoreError` if it cannot be read.
    """
    path = Path(path).absolute()
    if not path.exists():
        return None
    with translated_errors(), closing(_connect(path)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if "alembic_version" in tables:
            found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            return None if found is None else str(found[0])
    if tables:
        raise SettingsError(
            f"The file {path} is a database of another program.",
            hint="Choose another file with --database; syncd creates it.",
        )
    return None


def migrate(path: Path | str) -> list[str]:
    """Create the file at `path` or bring it up to date; returns the revisions applied, oldest first.

    Raises `SchemaTooNew` if a newer syncd has written it, `SettingsError` if a server is using it.
    """
    # Resolved, as a server does: another name for its file has the same lock.
    path = Path(path).resolve()
    with closing(lock_database(path)):
        return migrate_locked(path)


def migrate_locked(path: Path) -> list[str]:
    """Like `migrate`, for a caller who holds the lock."""
    found = schema_version(path)
    if found is None:
        missing = list(REVISIONS)
    elif found in REVISIONS:
        missing = list(REVISIONS[REVISIONS.index(found) + 1 :])
    else:
        raise SchemaTooNew(
            f"The database {path} has the schema {found!r}, and this syncd knows only up to {head_revision()!r}: "
            "a newer syncd has written it."
        )
    if missing:
        upgrade(path, migrations_folder())
    return missing


def migrations_folder() -> Path:
    """Where the revisions are: in the package if it was installed from a wheel, else beside it."""
    package = Path(__file__).resolve().parent.parent
    shipped = package / "_migrations"
    return shipped if shipped.is_dir() else package.parent / "migrations"


def upgrade(path: Path, folder: Path) -> None:
    """Apply every revision of `folder` that the file lacks, in one transaction; raises `StoreError`."""
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import Connection, create_engine, event
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    # The driver of its own accord commits before a CREATE TABLE, so that a revision that fails would leave its first
    # table behind. With isolation_level None it begins nothing, and the transaction is begun here.
    engine = create_engine("sqlite://", creator=lambda: _connect(path, create=True), poolclass=NullPool)
    event.listen(engine, "begin", begin)
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as error:
        if not isinstance(error.orig, sqlite3.Error):
            raise
        reason = store_error(error.orig)
        raise type(reason)(
            f"The database {path} could not be brought up to date, and is as it was before: {error.orig}.",
            hint=None if type(reason) is StoreError else reason.hint,
            retry_after_s=reason.retry_after_s,
        ) from error.orig
    finally:
        engine.dispose()


def _connect(path: Path, *, create: bool = False) -> sqlite3.Connection:
    mode = "rwc" if create else "rw"
    return sqlite3.connect(f"{path.as_uri()}?mode={mode}", uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)
