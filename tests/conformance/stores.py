"""The adapters under test: how each opens a database, opens it again, and takes a copy of it.

A new adapter is a class here and one line in `DATABASES`.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Protocol

from syncd.store.protocol import Store
from syncd.store.sqlite import SqliteStore
from tests.support.database import prepare_database

__all__ = ["DATABASES", "Database"]


class Database(Protocol):
    """One database of some adapter, in a folder that the test owns."""

    def __init__(self, folder: Path) -> None: ...

    async def open(self) -> Store:
        """Open it as a server would; once at a time."""
        ...

    def copy(self, folder: Path) -> Database:
        """What an operator's backup of this moment would hold, open or not, restored in another folder."""
        ...


class SqliteDatabase:
    """A file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "syncd.db"

    async def open(self) -> Store:
        prepare_database(self.path)
        return await SqliteStore.open(self.path)

    def copy(self, folder: Path) -> SqliteDatabase:
        restored = SqliteDatabase(folder)
        with closing(sqlite3.connect(self.path)) as source, closing(sqlite3.connect(restored.path)) as target:
            source.backup(target)
        return restored


DATABASES: dict[str, type[Database]] = {"sqlite": SqliteDatabase}
