"""One server for each SQLite file: a second would believe, like the first, that it is the only writer.

The lock is SQLite's own exclusive lock on an empty database beside the real one. The system takes it back when the
process dies, however it dies, and a forked child does not inherit it, as it would inherit one of flock(2).
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from syncd.errors import SettingsError

__all__ = ["lock_database"]

_PATIENCE_S: Final = 0.2
"""For whoever only looks whether it is taken (`sqlite_in_use`) to have looked."""


def lock_database(path: Path) -> sqlite3.Connection:
    """Take the lock of the database at `path`; closing what is returned, from any thread, gives it back.

    Raises `SettingsError` if somebody else has it, or if the folder cannot be written to.
    """
    lock: sqlite3.Connection | None = None
    try:
        lock = sqlite3.connect(f"{path}-lock", timeout=_PATIENCE_S, isolation_level=None, check_same_thread=False)
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        if lock is not None:
            lock.close()
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            raise SettingsError(
                f"Another syncd is using the database {path}; a SQLite file serves one process at a time.",
                hint="Stop the other one first, or give this one a file of its own with --database.",
            ) from error
        raise SettingsError(
            f"The database {path} cannot be opened: {error}.",
            hint="Create its folder and let syncd write to it, or choose another place with --database.",
        ) from error
    return lock
