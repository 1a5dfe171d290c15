"""`syncd backup`: a copy of a database as one file, of one moment, checked, also while a server writes to it."""

from __future__ import annotations

from pathlib import Path

from syncd.commands.database import known_database
from syncd.commands.figures import size_text
from syncd.commands.output import Output
from syncd.errors import CommandError, StoreUnavailable
from syncd.store.sqlite_backup import back_up

__all__ = ["back_up_database"]


def back_up_database(database: Path, file: Path, *, overwrite: bool, output: Output) -> int:
    """Write the copy to `file`; 0. Raises `CommandError` if it is there already, or cannot be written."""
    database = known_database(database)
    file = file.absolute()
    if file.resolve() == database:
        raise CommandError(f"The file {file} is the database itself.", hint="Name another file for the backup.")
    try:
        with output.progress("Copying") as progress:
            back_up(database, file, overwrite=overwrite, progress=progress)
    except StoreUnavailable as failure:
        raise CommandError(
            f"The backup was not made: {failure.message}", hint=f"Is there room in {file.parent}? Try again."
        ) from failure
    size = file.stat().st_size
    output.fact("backed_up", database=str(database), file=str(file), bytes=size)
    output.show(f"Copied {database} to {file}, {size_text(size)}, and checked it.")
    return 0
