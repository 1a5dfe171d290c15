"""The file beside a database to which changes go that the quarantine has no room for: JSON lines, appended."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from syncd.errors import StoreUnavailable

__all__ = ["QuarantineFile", "quarantine_file"]


def quarantine_file(database: Path) -> Path:
    """Where it is; not every database has one."""
    return database.with_name(f"{database.name}.quarantine.jsonl")


class QuarantineFile:
    """Implements `ExportFile`. The file is made with the first lines; no line of it is ever removed."""

    def __init__(self, database: Path) -> None:
        self._path = quarantine_file(database.resolve())
        self._writing = asyncio.Lock()

    @property
    def name(self) -> str:
        """See `ExportFile.name`."""
        return str(self._path)

    async def append(self, lines: Sequence[bytes]) -> None:
        """See `ExportFile.append`. The same lines may come twice, if the server is stopped right after."""
        async with self._writing:
            await asyncio.to_thread(self._append, b"".join(lines))

    async def wipe(self, replicas: Collection[str]) -> None:
        """Leave of the lines of these replicas only which change it was and that it was refused. Durable, and may be
        done twice; raises `StoreUnavailable`.
        """
        async with self._writing:
            await asyncio.to_thread(self._wipe, frozenset(replicas))

    def _wipe(self, replicas: Collection[str]) -> None:
        wiped = self._path.with_name(f"{self._path.name}.part")
        try:
            if not self._path.exists():
                return
            with self._path.open("rb") as lines, wiped.open("wb") as file:
                file.writelines(_wiped(lines, replicas))
                file.flush()
                os.fsync(file.fileno())
            wiped.chmod(self._path.stat().st_mode)
            wiped.replace(self._path)
        except OSError as failure:
            raise StoreUnavailable(
                f"the file {self._path} cannot be written anew: {failure.strerror or failure}",
                hint="Make room, or see who may write there; then ask for it again.",
            ) from failure

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


def _wiped(lines: Iterator[bytes], replicas: Collection[str]) -> Iterator[bytes]:
    for line in lines:
        try:
            told = json.loads(line)
        except ValueError:
            # Cut off when the machine stopped: nobody can say whose it was.
            continue
        if told["replica"] in replicas:
            told["change"] = None
            told["outcome"].pop("message", None)
            line = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")
            line += b"\n"
        yield line
