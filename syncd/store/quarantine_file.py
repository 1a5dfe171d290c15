"""The file beside a database to which changes go that the quarantine has no room for: JSON lines, appended."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from syncd.errors import StoreUnavailable

__all__ = ["QuarantineFile", "quarantine_file"]


def quarantine_file(database: Path) -> Path:
    """Where it is; not every database has one."""
    return database.with_name(f"{database.name}.quarantine.jsonl")


class QuarantineFile:
    """Implements `ExportFile`. The file is made with the first lines; nothing here ever removes or shortens it."""

    def __init__(self, database: Path) -> None:
        self._path = quarantine_file(database.resolve())

    @property
    def name(self) -> str:
        """See `ExportFile.name`."""
        return str(self._path)

    async def append(self, lines: Sequence[bytes]) -> None:
        """See `ExportFile.append`. The same lines may come twice, if the server is stopped right after."""
        await asyncio.to_thread(self._append, b"".join(lines))

    def _append(self, text: bytes) -> None:
        try:
            is_new = not self._path.exists()
            with self._path.open("a+b") as file:
                if not is_new and file.seek(0, os.SEEK_END) > 0:
                    file.seek(-1, os.SEEK_END)
                    # A line that was cut off when the machine stopped must not spoil the next one.
                    text = text if file.read(1) == b"\n" else b"\n" + text
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            if is_new:
                # The name, too, has to be on the disk before the rows are let go.
                folder = os.open(self._path.parent, os.O_RDONLY)
                try:
                    os.fsync(folder)
                finally:
                    os.close(folder)
        except OSError as failure:
            raise StoreUnavailable(
                f"the file {self._path} cannot be written: {failure.strerror or failure}",
                hint="The changes stay in the database; make room, or see who may write there.",
            ) from failure
