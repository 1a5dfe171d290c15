"""Whether a server is using a SQLite file: looks at its lock without taking it.

The lock is that of `sqlite_lock`. Its file stays when the server has gone, and means nothing by itself.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from syncd.store.sqlite_errors import translated_errors

__all__ = ["InUse", "in_use"]

_LOCKS: Final = Path("/proc/locks")


@dataclass(frozen=True, slots=True)
class InUse:
    """Somebody holds the lock. `pid`: who, where the system tells it."""

    pid: int | None


def in_use(path: Path) -> InUse | None:
    """Who is using the database at `path`, None if nobody is. Raises `StoreError` if that cannot be told."""
    lock = Path(f"{path}-lock")
    if not lock.exists():
        return None
    pid = _holder(lock)
    if pid is not None:
        return InUse(pid)
    return InUse(None) if _is_locked(lock) else None


def _holder(lock: Path) -> int | None:
    """The process that Linux names for it; None where it names none (another system, another container).

    Preferred to trying the lock, which would for that moment keep a server from starting.
    """
    try:
        stat = lock.stat()
        lines = _LOCKS.read_text().splitlines()
    except OSError:
        return None
    file = f"{os.major(stat.st_dev):02x}:{os.minor(stat.st_dev):02x}:{stat.st_ino}"
    # Such as "1: POSIX  ADVISORY  WRITE 10866 fe:00:2154503 1073741824 1073742335"; a waiting one has "->" in front.
    for line in lines:
        words = line.split()
        if len(words) >= 6 and words[5] == file and words[1] == "POSIX" and words[4].isdigit():
            return int(words[4]) or None
    return None


def _is_locked(lock: Path) -> bool:
    with (
        translated_errors(),
        closing(sqlite3.connect(f"{lock.as_uri()}?mode=ro", uri=True, timeout=0, isolation_level=None)) as connection,
    ):
        try:
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                return True
            raise
    return False
