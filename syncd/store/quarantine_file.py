"""The file beside a database to which changes go that the quarantine has no room for: JSON lines, appended."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

from syncd.errors import StoreUnavailable

__all__ = ["QuarantineFile", "quarantine_file"]

_PAGE_BYTES: Final = 1 << 20


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

    async def lines_of(self, replicas: Collection[str]) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        """What these replicas have in it, in the order of the file, some of it at a time; raises `StoreUnavailable`.

        The same line may come twice, as it may be written twice. Whoever reads holds nobody up: what is wiped meanwhile
        is told as it stood, and a line that is just being written is passed over.
        """
        wanted = frozenset(replicas)
        file = await asyncio.to_thread(self._opened)
        if file is None:
            return
        try:
            while (page := await asyncio.to_thread(self._page, file, wanted)) is not None:
                yield page
        finally:
            await asyncio.to_thread(file.close)

    async def wipe(self, replicas: Collection[str]) -> None:
        """Leave of the lines of these replicas only which change it was and that it was refused. Durable, and may be
        done twice; raises `StoreUnavailable`.
        """
        async with self._writing:
            await asyncio.to_thread(self._wipe, frozenset(replicas))

    def _opened(self) -> IO[bytes] | None:
        try:
            return self._path.open("rb")
        except FileNotFoundError:
            return None
        except OSError as failure:
            raise self._unreadable(failure) from failure

    def _page(self, file: IO[bytes], replicas: Collection[str]) -> list[Mapping[str, Any]] | None:
        """What is of these replicas in the next lines; None at the end."""
        try:
            lines = file.readlines(_PAGE_BYTES)
        except OSError as failure:
            raise self._unreadable(failure) from failure
        if not lines:
            return None
        return [told for told in map(_told, lines) if told is not None and told["replica"] in replicas]

    def _unreadable(self, failure: OSError) -> StoreUnavailable:
        # Whoever asked for a copy is told this: not where it is.
        return StoreUnavailable(
            f"the file {self._path.name} cannot be read: {failure.strerror or failure}",
            hint="See who may read it, and whether it is a file; then ask for it again.",
        )

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
        told = _told(line)
        if told is None:
            continue
        if told["replica"] in replicas:
            told["change"] = None
            told["outcome"].pop("message", None)
            line = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")
            line += b"\n"
        yield line


def _told(line: bytes) -> dict[str, Any] | None:
    """What a line says; None for one that was cut off when the machine stopped: nobody can say whose it was."""
    try:
        told = json.loads(line)
    except ValueError:
        return None
    return told if isinstance(told, dict) and isinstance(told.get("replica"), str) else None
