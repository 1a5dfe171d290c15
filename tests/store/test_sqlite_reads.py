"""A page takes little more from the file than it holds."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from syncd.store.sqlite_reads import read_page

ROWS = 400


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    """One scope with rows of a kilobyte."""
    made = sqlite3.connect(":memory:")
    made.execute("CREATE TABLE scopes (no INTEGER PRIMARY KEY, name TEXT, version INTEGER)")
    made.execute("CREATE TABLE states (scope_no INTEGER, version INTEGER, type TEXT, body BLOB)")
    made.execute("INSERT INTO scopes VALUES (1, 'main', ?)", (ROWS,))
    made.executemany(
        "INSERT INTO states VALUES (1, ?, 'note', ?)", [(each, b"x" * 1024) for each in range(1, ROWS + 1)]
    )
    yield made
    made.close()


@pytest.mark.parametrize("limit_bytes", [1, 1024, 5 * 1024, 8 * 1024, 9 * 1024, 100 * 1024, 1024 * 1024])
def test_a_page_of_any_size_is_whole_and_reads_about_twice_as_much_at_most(
    connection: sqlite3.Connection, limit_bytes: int
) -> None:
    read = 0

    def counted(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> tuple[Any, ...]:
        nonlocal read
        read += 1
        return row

    connection.row_factory = counted
    page = read_page(connection, "main", 0, limit_bytes)
    held = min(ROWS, max(1, limit_bytes // 1024))
    assert (len(page.bodies), page.upto, page.more) == (held, held, held < ROWS)
    assert page.types == ["note"] * held
    # One row is the scope's; the first look is at eight.
    assert read <= 1 + max(8, 2 * held + 8)


def test_pages_follow_each_other_without_a_gap(connection: sqlite3.Connection) -> None:
    after, met, more = 0, 0, True
    while more:
        page = read_page(connection, "main", after, 30 * 1024)
        met += len(page.bodies)
        after, more = page.upto, page.more
    assert (after, met) == (ROWS, ROWS)
