"""The driver's errors become the store's, at its edge; what failed has left nothing, and the store goes on."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from syncd.errors import SettingsError, StoreCorrupt, StoreError, StoreUnavailable
from syncd.store.sqlite import SqliteStore
from syncd.store.sqlite_errors import store_error
from tests.conformance.rows import load, note, versions, write_notes


@contextmanager
def another_program_writing(path: Path) -> Iterator[None]:
    """Such as the sqlite3 shell."""
    other = sqlite3.connect(path, isolation_level=None, timeout=0)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


async def test_a_locked_database_is_unavailable_for_a_moment(path: Path, store: SqliteStore) -> None:
    with another_program_writing(path), pytest.raises(StoreUnavailable) as caught:
        await write_notes(store, note("s", "x", 1))
    assert caught.value.retry_after_s is not None
    assert caught.value.retry_after_s > 0
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
    assert "another program" in caught.value.message
    assert await versions(store, "s") == []
    await write_notes(store, note("s", "x", 1))
    assert await versions(store, "s") == ["x@1"]


async def test_loading_from_a_locked_database_says_the_same(path: Path, store: SqliteStore) -> None:
    with another_program_writing(path), pytest.raises(StoreUnavailable):
        await load(store, scopes=("s",))
    assert (await load(store, scopes=("s",))).scopes == {"s": 0}


async def test_a_transaction_left_without_a_commit_keeps_nobody_out(path: Path, store: SqliteStore) -> None:
    await load(store, scopes=("s",))
    with another_program_writing(path):
        pass


async def test_readers_go_on_while_another_program_writes(path: Path, store: SqliteStore) -> None:
    await write_notes(store, note("s", "x", 1))
    with another_program_writing(path):
        assert await versions(store, "s") == ["x@1"]
        await store.check()


async def test_a_full_disk_is_unavailable_and_nothing_of_the_commit_is_there(store: SqliteStore) -> None:
    await write_notes(store, note("s", "x", 1))
    (pages,) = await store._writer.run(lambda connection: connection.execute("PRAGMA page_count").fetchone())
    await store._writer.run(lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchone())
    with pytest.raises(StoreUnavailable) as caught:
        await write_notes(store, note("s", "x", 2), note("s", "big", 3, body=b"x" * 100_000))
    assert "disk is full" in caught.value.message
    assert caught.value.retry_after_s is not None
    assert await versions(store, "s") == ["x@1"]
    await store._writer.run(lambda connection: connection.execute("PRAGMA max_page_count = 1000000").fetchone())
    await write_notes(store, note("s", "x", 2))
    assert await versions(store, "s") == ["x@2"]


async def test_a_damaged_file_is_corrupt_and_says_so(path: Path) -> None:
    store = await SqliteStore.open(path)
    await write_notes(store, *(note("s", f"id-{n}", n, body=b"x" * 500) for n in range(1, 500)))
    await store.close()
    with path.open("r+b") as file:
        # The tables themselves are in the first half.
        half = path.stat().st_size // 2
        file.seek(half)
        file.write(os.urandom(path.stat().st_size - half))
    store = await SqliteStore.open(path)
    with pytest.raises(StoreCorrupt) as caught:
        await versions(store, "s")
    assert isinstance(caught.value.__cause__, sqlite3.DatabaseError)
    assert "backup" in caught.value.hint
    await store.close()


async def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"Dear diary, today it rained. " * 100)
    with pytest.raises(StoreCorrupt) as caught:
        await SqliteStore.open(path)
    assert "not a database" in caught.value.message
    assert path.read_bytes().startswith(b"Dear diary")


async def test_a_database_of_another_program_is_refused_and_left_alone(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE recipes (name TEXT)")
    other.close()
    with pytest.raises(SettingsError) as caught:
        await SqliteStore.open(path)
    assert "another program" in caught.value.message
    other = sqlite3.connect(path)
    assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("recipes",)]
    other.close()


async def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        await SqliteStore.open(tmp_path / "missing" / "syncd.db")
    assert "missing" in caught.value.message
    assert "--database" in caught.value.hint


@pytest.mark.parametrize("replace", [Path.unlink, lambda path: os.replace(path.with_name("other.db"), path)])
async def test_the_check_notices_a_file_that_was_removed_or_replaced(
    path: Path, store: SqliteStore, replace: Callable[[Path], None]
) -> None:
    """Otherwise the server acknowledges what it writes to a file that nobody will ever see again."""
    path.with_name("other.db").write_bytes(b"")
    await store.check()
    replace(path)
    with pytest.raises(StoreUnavailable) as caught:
        await store.check()
    assert "removed or replaced" in caught.value.message


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("SQLITE_BUSY", StoreUnavailable),
        ("SQLITE_BUSY_SNAPSHOT", StoreUnavailable),
        ("SQLITE_LOCKED", StoreUnavailable),
        ("SQLITE_FULL", StoreUnavailable),
        ("SQLITE_IOERR", StoreUnavailable),
        ("SQLITE_IOERR_FSYNC", StoreUnavailable),
        ("SQLITE_CANTOPEN", StoreUnavailable),
        ("SQLITE_READONLY", StoreUnavailable),
        ("SQLITE_CORRUPT", StoreCorrupt),
        ("SQLITE_CORRUPT_INDEX", StoreCorrupt),
        ("SQLITE_NOTADB", StoreCorrupt),
        ("SQLITE_CONSTRAINT_UNIQUE", StoreError),
    ],
)
def test_each_kind_of_error_has_its_meaning(name: str, expected: type[StoreError]) -> None:
    error = sqlite3.OperationalError("as SQLite says it")
    error.sqlite_errorcode = getattr(sqlite3, name)
    translated = store_error(error)
    assert type(translated) is expected
    assert "as SQLite says it" in translated.message
    assert (translated.retry_after_s is not None) == (expected is StoreUnavailable)
