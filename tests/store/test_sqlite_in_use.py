"""Who uses a database is told without taking its lock."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.store import sqlite_in_use
from syncd.store.sqlite_in_use import InUse, in_use
from syncd.store.sqlite_lock import lock_database

HOLD = """
import sys
from pathlib import Path
from syncd.store.sqlite_lock import lock_database
lock = lock_database(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock; killed at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_nobody_uses_what_was_never_opened_and_no_file_is_made(path: Path) -> None:
    assert in_use(path) is None
    assert list(path.parent.iterdir()) == []


def test_linux_tells_who_it_is(path: Path, holder: subprocess.Popen[str]) -> None:
    assert in_use(path) == InUse(holder.pid if Path("/proc/locks").exists() else None)


def test_where_the_system_names_nobody_the_lock_tells_that_somebody_is_there(
    path: Path, holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_in_use, "_LOCKS", Path("/nowhere"))
    assert in_use(path) == InUse(None)
    holder.kill()
    holder.wait()
    assert in_use(path) is None


def test_the_lock_is_left_to_whoever_comes_next(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock_database(path).close()
    for locks in (sqlite_in_use._LOCKS, Path("/nowhere")):
        monkeypatch.setattr(sqlite_in_use, "_LOCKS", locks)
        assert in_use(path) is None
        lock_database(path).close()


def test_looking_does_not_take_the_lock_from_this_very_process(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = lock_database(path)
    for locks in (sqlite_in_use._LOCKS, Path("/nowhere")):
        monkeypatch.setattr(sqlite_in_use, "_LOCKS", locks)
        user = in_use(path)
        assert user is not None
        assert user.pid in (os.getpid(), None)
    held = subprocess.run(
        [sys.executable, "-c", HOLD, str(path)], capture_output=True, text=True, check=False, input=""
    )
    assert "Another syncd is using" in held.stderr
    lock.close()
