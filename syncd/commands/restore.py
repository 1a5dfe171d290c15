"""`syncd restore`: puts a backup in the place of a database that no server is using, and keeps what was there.

The next start on it begins an incarnation that no device has seen, so that whoever is ahead of the backup is told to
start over, and sends again what the backup has lost (law 10).
"""

from __future__ import annotations

import time
from pathlib import Path

from syncd.commands.database import known_database, locked
from syncd.commands.figures import age_text, counted
from syncd.commands.output import Output
from syncd.errors import CommandError, SchemaTooNew, StoreUnavailable, SyncdError
from syncd.store.migrate import REVISIONS, head_revision
from syncd.store.sqlite_backup import put_in_place, verified_copy
from syncd.store.sqlite_readonly import database_revision, one_moment
from syncd.store.sqlite_summary import Counts, read_counts

__all__ = ["restore_database"]


def restore_database(backup: Path, database: Path, output: Output) -> int:
    """Put `backup` at `database`; 0. The backup itself is only read.

    Raises `CommandError` if a server is using the database or there is no backup, `SchemaTooNew` if a newer syncd has
    made it, `StoreError` if it is damaged; then the database is as it was.
    """
    backup = _backup(backup)
    database = database.resolve()
    if backup == database:
        raise CommandError(f"The file {backup} is the database itself.", hint="Name the backup to restore from.")
    with locked(database, hint="Stop it first; devices keep what they make meanwhile, and send it afterwards."):
        try:
            with (
                output.progress("Copying") as progress,
                verified_copy(backup, database, progress) as copy,
            ):
                after = _counts(copy)
                kept = put_in_place(copy, database)
        except StoreUnavailable as failure:
            raise CommandError(
                f"Nothing was restored: {failure.message}", hint=f"Is there room in {database.parent}? Try again."
            ) from failure
    before = _counts(kept.file) if kept is not None and kept.whole else None
    output.fact(
        "restored",
        database=str(database),
        backup=str(backup),
        kept=None if kept is None else str(kept.file),
        changes=None if after is None else after.changes,
        changes_before=None if before is None else before.changes,
    )
    output.show(f"Restored {database} from {backup}: {_held(after)}.")
    if kept is not None:
        output.show(f"What was there is kept as {kept.file}: {_held(before)}.")
    output.show(
        "When the server starts, devices that have seen more than the backup start over, and send again what is theirs."
    )
    return 0


def _backup(file: Path) -> Path:
    file = file.resolve()
    if not file.is_file():
        raise CommandError(f"There is no backup at {file}.", hint="Name the file that 'syncd backup' has written.")
    revision = database_revision(file)
    if revision not in REVISIONS:
        raise SchemaTooNew(
            f"The backup {file} has the schema {revision!r}, and this syncd knows only {head_revision()!r}."
        )
    return known_database(file)


def _counts(database: Path) -> Counts | None:
    """What is in a file that nobody uses; None where that cannot be told, which is no reason not to replace it."""
    try:
        if database_revision(database) != head_revision():
            return None
        with one_moment(database, alone=True) as connection:
            return read_counts(connection)
    except SyncdError:
        return None


def _held(counts: Counts | None) -> str:
    if counts is None:
        return "what is in it cannot be told"
    age = age_text(counts.last_change_at_ms, time.time_ns() // 1_000_000)
    return f"{counted(counts.resources, 'resource')}, {counted(counts.changes, 'change')}, the last {age}"
