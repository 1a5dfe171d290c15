"""`syncd export`: the resources of a database as JSON lines, all of one moment, in use or not."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from syncd import __version__
from syncd.commands.database import current_database
from syncd.commands.export_format import encode_end, encode_header, encode_resource
from syncd.commands.figures import counted, time_text
from syncd.commands.output import Output, Progress
from syncd.errors import CommandError
from syncd.store.sqlite_export import count_states, documents_of, iterate_scope, scope_names
from syncd.store.sqlite_readonly import Moment, one_moment

__all__ = ["export_database", "opened", "target_name"]


def export_database(
    database: Path, scopes: Sequence[str], target: str, *, deleted: bool, overwrite: bool, output: Output
) -> int:
    """Write these scopes, all of them if none is named, to the file `target`, "-" for standard output; 0.

    `deleted`: tombstones too. Raises `CommandError` for a scope that nothing was ever written to, or a file that is
    there already.
    """
    database = current_database(database)
    with one_moment(database) as connection, output.progress("Exporting") as progress:
        names = _chosen(scope_names(connection), scopes, database)
        with opened(target, overwrite=overwrite) as file:
            resources, gone = _write(connection, names, file, deleted=deleted, progress=progress)
    facts = {"scopes": len(names), "resources": resources, "deleted": gone}
    if target != "-":
        output.fact("exported", file=str(Path(target).absolute()), **facts)
    also = f" and {counted(gone, 'deleted one')}" if gone else ""
    output.note(
        f"Exported {counted(resources, 'resource')}{also} of {counted(len(names), 'scope')} to {target_name(target)}."
    )
    return 0


def _write(
    connection: Moment, names: Sequence[str], file: IO[bytes], *, deleted: bool, progress: Progress
) -> tuple[int, int]:
    file.write(encode_header(syncd=__version__, exported_at=time_text(time.time_ns() // 1_000_000)))
    total, seen, resources, gone = count_states(connection), 0, 0, 0
    for name in names:
        for row in iterate_scope(connection, name):
            seen += 1
            progress(seen, total)
            if row.deleted and not deleted:
                continue
            file.write(encode_resource(row, documents_of(connection, row)))
            if row.deleted:
                gone += 1
            else:
                resources += 1
    file.write(encode_end(scopes=len(names), resources=resources, deleted=gone))
    return resources, gone


def _chosen(there: Sequence[str], wanted: Sequence[str], database: Path) -> Sequence[str]:
    if not wanted:
        return there
    missing = sorted(set(wanted).difference(there))
    if missing:
        raise CommandError(
            f"The database {database} has no scope {', '.join(map(repr, missing))}.",
            hint=f"See what there is with: syncd status --database {database} --top 0",
        )
    return list(dict.fromkeys(wanted))


@contextmanager
def opened(target: str, *, overwrite: bool) -> Iterator[IO[bytes]]:
    """The file to write to; it gets its name when it is complete, so that half an export is never taken for one."""
    if target == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(target).absolute()
    if path.exists() and not overwrite:
        raise CommandError(
            f"There is a file {path} already.",
            hint="Choose another name, or say with --force that it may be overwritten.",
            code="file_exists",
        )
    passing = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        try:
            with passing.open("xb") as file:
                yield file
            passing.replace(path)
        finally:
            passing.unlink(missing_ok=True)
    except OSError as failure:
        raise CommandError(
            f"The export cannot be written to {path}: {failure.strerror or failure}.",
            hint="Choose another place with --output, or make room there.",
        ) from failure


def target_name(target: str) -> str:
    """For people."""
    return "standard output" if target == "-" else target
