"""One server for each SQLite file, whatever becomes of the one before."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from syncd.errors import SettingsError
from syncd.store.migrate import migrate
from syncd.store.sqlite import SqliteStore
from syncd.store.sqlite_lock import lock_database
from tests.conformance.rows import note, versions, write_notes

HOLD = """
import sys
from pathlib import Path
from syncd.store.sqlite_lock import lock_database
lock = lock_database(Path(sys.argv[1]))
"""
WAIT = "print('held', flush=True); sys.stdin.read()"
FORK_AND_WAIT = """
import os, time
child = os.fork()
if child == 0:
    time.sleep(600)
print(child, flush=True); sys.stdin.read()
"""


@contextmanager
def another_process(script: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock of `path`; killed at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD + script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line_from(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    assert line, "the other process has failed"
    return line


async def test_a_second_server_in_another_process_is_refused_with_what_to_do(path: Path) -> None:
    with another_process(WAIT, path) as other:
        line_from(other)
        with pytest.raises(SettingsError) as caught:
            await SqliteStore.open(path)
    assert str(path) in caught.value.message
    assert "Stop the other one first" in caught.value.hint
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)


async def test_a_second_store_in_the_same_process_is_refused_and_the_first_goes_on(
    path: Path, store: SqliteStore
) -> None:
    with pytest.raises(SettingsError):
        await SqliteStore.open(path)
    await write_notes(store, note("s", "x", 1))
    assert await versions(store, "s") == ["x@1"]


async def test_another_name_for_the_same_file_is_the_same_file(path: Path, store: SqliteStore) -> None:
    link = path.with_name("link.db")
    link.symlink_to(path)
    with pytest.raises(SettingsError):
        await SqliteStore.open(link)
    with pytest.raises(SettingsError):
        migrate(link)


async def test_a_running_server_is_not_migrated_under_its_feet(path: Path, store: SqliteStore) -> None:
    with pytest.raises(SettingsError):
        migrate(path)


async def test_closing_gives_the_lock_back(path: Path, store: SqliteStore) -> None:
    await store.close()
    lock_database(path).close()


async def test_an_opening_that_fails_gives_the_lock_back(path: Path) -> None:
    path.write_bytes(b"not a database " * 100)
    with pytest.raises(Exception, match="not a database"):
        await SqliteStore.open(path)
    lock_database(path).close()


def test_kill_9_gives_the_lock_back(path: Path) -> None:
    with another_process(WAIT, path) as other:
        line_from(other)
        other.send_signal(signal.SIGKILL)
        other.wait()
        lock_database(path).close()


def test_a_child_that_outlives_a_killed_server_does_not_keep_the_lock(path: Path) -> None:
    """As a worker process may, which was forked and not yet told."""
    with another_process(FORK_AND_WAIT, path) as other:
        child = int(line_from(other))
        try:
            other.send_signal(signal.SIGKILL)
            other.wait()
            lock_database(path).close()
        finally:
            os.kill(child, signal.SIGKILL)
