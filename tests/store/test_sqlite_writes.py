"""A commit writes the pages that it changes, and no others."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.store.protocol import Commit, ReplicaRow
from syncd.store.sqlite_writes import write_commit
from tests.support.database import prepare_database

_FRAME_BYTES = 4096 + 24
"""Of the write-ahead log: a page and its header (https://www.sqlite.org/fileformat2.html#walformat)."""


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    prepare_database(tmp_path / "syncd.db")
    made = sqlite3.connect(tmp_path / "syncd.db", isolation_level=None)
    made.execute("PRAGMA journal_mode = WAL")
    made.execute("PRAGMA wal_autocheckpoint = 0")
    yield made
    made.close()


@pytest.mark.parametrize(
    ("before", "after", "pages"), [("", "", 1), ("ann", "ann", 1), ("ann", "bob", 2), ("", "ann", 2)]
)
def test_the_index_of_owners_is_written_when_an_owner_changes_and_else_not(
    connection: sqlite3.Connection, tmp_path: Path, before: str, after: str, pages: int
) -> None:
    log = tmp_path / "syncd.db-wal"
    write_commit(connection, Commit([], {}, [], [ReplicaRow("r", 1, user=before)]), 1)
    size = log.stat().st_size
    write_commit(connection, Commit([], {}, [], [ReplicaRow("r", 2, user=after)]), 1)
    assert (log.stat().st_size - size) / _FRAME_BYTES == pages
