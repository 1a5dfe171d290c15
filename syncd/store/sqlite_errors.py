"""What SQLite's errors mean to a server: translated once, here, with the driver's exception kept as the cause."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from syncd.errors import StoreCorrupt, StoreError, StoreUnavailable

__all__ = ["store_error", "translated_errors"]

_RETRY_AFTER_S: Final = 1

# Source: https://www.sqlite.org/rescode.html; the low byte of an extended code is its primary code.
_CORRUPT: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_UNAVAILABLE: Final = {
    sqlite3.SQLITE_BUSY: "another program is writing to it",
    sqlite3.SQLITE_LOCKED: "another program is writing to it",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "reading or writing the disk failed",
    sqlite3.SQLITE_CANTOPEN: "its file cannot be opened",
    sqlite3.SQLITE_READONLY: "its file cannot be written to",
    sqlite3.SQLITE_PERM: "its file cannot be written to",
    sqlite3.SQLITE_PROTOCOL: "its lock cannot be had",
    sqlite3.SQLITE_NOMEM: "there is not enough memory",
    sqlite3.SQLITE_INTERRUPT: "the work was interrupted",
}


def store_error(error: sqlite3.Error) -> StoreError:
    """The store's error for one of the driver's; the caller raises it from `error`."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _CORRUPT:
        return StoreCorrupt(f"The database file is damaged, or not a database of syncd ({error}).")
    if code in _UNAVAILABLE:
        return StoreUnavailable(
            f"The database cannot be used now: {_UNAVAILABLE[code]} ({error}).", retry_after_s=_RETRY_AFTER_S
        )
    return StoreError(f"The database refused an operation ({error}).")


@contextmanager
def translated_errors() -> Iterator[None]:
    """Raise the store's errors instead of the driver's."""
    try:
        yield
    except sqlite3.Error as error:
        raise store_error(error) from error
