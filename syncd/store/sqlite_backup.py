"""Copies of a SQLite file: taken while a server writes to it, and put in the place of one that nobody uses.

A copy is one file, complete in itself, with one moment of the database in it. It gets its name only when it has been
checked and is on the disk, so that whatever has the name is whole.

Source: https://www.sqlite.org/backup.html, and https://www.sqlite.org/howtocorrupt.html on logs left beside a file.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from syncd.errors import CommandError, StoreCorrupt, StoreError
from syncd.store.sqlite_checks import quick_check
from syncd.store.sqlite_connection import BUSY_TIMEOUT_S
from syncd.store.sqlite_errors import translated_errors
from syncd.store.sqlite_readonly import one_moment

__all__ = ["Kept", "back_up", "put_in_place", "verified_copy"]

_STEP_PAGES: Final = 1024
"""Copied between two reports of progress: 4 MiB, as SQLite's pages are."""

_BESIDE: Final = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a file while it is open."""

Progress = Callable[[int, int], None]
"""Called with pages done and pages in all."""


def back_up(source: Path, target: Path, *, overwrite: bool, progress: Progress) -> None:
    """Copy the database at `source`, in use or not, to `target`, durably.

    Raises `CommandError` if `target` is there and is not to be overwritten, or its folder cannot be used,
    `StoreCorrupt` if the copy is not sound; then `target` is as it was.
    """
    if not overwrite and target.exists():
        raise _taken(target)
    with verified_copy(source, target, progress) as copy:
        if overwrite:
            copy.replace(target)
        else:
            _claim(copy, target)
        _sync_folder(target.parent)


@contextmanager
def verified_copy(source: Path, near: Path, progress: Progress) -> Iterator[Path]:
    """A sound copy of `source` on the disk, in the folder of `near` under a passing name; gone at the end unless moved.

    Raises like `back_up`.
    """
    copy = near.with_name(f".{near.name}.{os.getpid()}.partial")
    # As closed to others as the source, from the first byte on.
    mode = source.stat().st_mode & 0o777
    try:
        os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_RDWR, mode))
    except OSError as failure:
        raise _unusable(copy.parent, failure) from failure
    try:
        _copy(source, copy, progress)
        _sync_file(copy)
        yield copy
    finally:
        for end in ("", *_BESIDE):
            Path(f"{copy}{end}").unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a database is that was replaced. `whole`: in one file; if not, what is only in its log stands beside it."""

    file: Path
    whole: bool


def put_in_place(copy: Path, database: Path, *, now_s: Callable[[], float] = time.time) -> Kept | None:
    """Make `copy` the file at `database`; returns where the file that was there is kept, None if there was none.

    The caller holds the lock of `database`. Both stand in one folder; at no moment is there no file at `database`,
    and what was there has its other name before anything is done to it.
    """
    kept = _keep(database, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_s()))) if database.exists() else None
    if kept is not None:
        # Whoever runs the server may go on using it, also if it was somebody else who has restored it.
        _as_before(kept.file, copy)
    # The log of another database would be taken for that of this one.
    for end in _BESIDE:
        Path(f"{database}{end}").unlink(missing_ok=True)
    copy.replace(database)
    _sync_folder(database.parent)
    return kept


def _keep(database: Path, stamp: str) -> Kept:
    wanted = database.with_name(f"{database.name}-before-restore-{stamp}")
    names = (wanted, *(wanted.with_name(f"{wanted.name}-{number}") for number in range(2, 1000)))
    kept = next(name for name in names if not name.exists())
    _name_too(database, kept)
    log, kept_log = Path(f"{database}-wal"), Path(f"{kept}-wal")
    if log.exists():
        # SQLite drops a log that it cannot read; under its other name it is there for whoever tries to save something.
        _name_too(log, kept_log)
    whole = _fold_log(database)
    if whole:
        kept_log.unlink(missing_ok=True)
    return Kept(kept, whole)


def _as_before(model: Path, copy: Path) -> None:
    shutil.copymode(model, copy)
    owner = model.stat()
    with suppress(OSError):
        os.chown(copy, owner.st_uid, owner.st_gid)


def _name_too(file: Path, name: Path) -> None:
    """Give `file` a second name; where the file system has no hard links, a copy under it."""
    try:
        name.hardlink_to(file)
    except OSError:
        shutil.copy2(file, name)
        _sync_file(name)


def _copy(source: Path, copy: Path, progress: Progress) -> None:
    with (
        one_moment(source) as reader,
        translated_errors(),
        closing(sqlite3.connect(copy, isolation_level=None)) as writer,
    ):
        # It is written through to the disk as a whole, once it is complete.
        writer.execute("PRAGMA synchronous = OFF")
        # The reader's transaction is open, so that a commit of the server's does not make it start anew.
        reader.backup(writer, pages=_STEP_PAGES, progress=lambda _, left, pages: progress(pages - left, pages), sleep=0)
        # Back from the log to a single file.
        writer.execute("PRAGMA journal_mode = DELETE")
        faults = quick_check(writer)
    if faults:
        raise StoreCorrupt(f"The copy of {source} is not sound: {'; '.join(faults[:3])}.")


def _fold_log(database: Path) -> bool:
    """Write what is only in the log into the file; False if the file cannot take it."""
    try:
        with (
            translated_errors(),
            closing(
                sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)
            ) as connection,
        ):
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()
            (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not busy
    except StoreError:
        return False


def _claim(copy: Path, target: Path) -> None:
    """Move `copy` to `target` unless something is there, at one stroke where the file system has hard links."""
    try:
        target.hardlink_to(copy)
        copy.unlink()
    except FileExistsError:
        raise _taken(target) from None
    except OSError:
        copy.rename(target)


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """So that the new name outlives a power cut too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _taken(path: Path) -> CommandError:
    return CommandError(
        f"There is a file {path} already.",
        hint="Choose another name, or say with --force that it may be overwritten.",
        code="file_exists",
    )


def _unusable(folder: Path, failure: OSError) -> CommandError:
    return CommandError(
        f"Nothing can be written to the folder {folder}: {failure.strerror or failure}.",
        hint="Create it, or choose a file in another folder.",
    )
