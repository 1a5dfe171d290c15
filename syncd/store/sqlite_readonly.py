"""One moment of a SQLite file, read beside the server that may be writing to it: nothing is locked and nothing waits.

While it is open, the server's log cannot be folded back into the file, so it is not kept open for long.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from syncd.errors import SettingsError
from syncd.store.migrate import schema_version
from syncd.store.sqlite_connection import BUSY_TIMEOUT_S
from syncd.store.sqlite_errors import translated_errors

__all__ = ["Moment", "database_revision", "one_moment"]

Moment = sqlite3.Connection
"""One moment of a database; what reads it is in `sqlite_summary`, `sqlite_export` and `sqlite_checks`."""


def database_revision(path: Path) -> str:
    """The schema revision of the database at `path`, known to this syncd or not.

    Raises `SettingsError` if there is no database of syncd, `StoreError` if it cannot be read.
    """
    found = schema_version(path)
    if found is None:
        what = "is empty" if path.exists() else "does not exist"
        raise SettingsError(
            f"The database {path} {what}.",
            hint="Name another one with --database; 'syncd serve' makes one where there is none.",
            code="no_database",
        )
    return found


@contextmanager
def one_moment(path: Path, *, alone: bool = False) -> Iterator[Moment]:
    """A connection that only reads, and sees the database as it was at its start whatever is committed meanwhile.

    `alone`: nobody else has the file open, nor is anything in a log; then no file is made beside it.
    Raises `StoreError` for the driver's errors inside of the block too.
    """
    uri = f"{path.as_uri()}?{'immutable=1' if alone else 'mode=ro'}"
    with (
        translated_errors(),
        closing(sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)) as connection,
    ):
        connection.execute("BEGIN")
        # The moment is that of the first read.
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        yield connection
