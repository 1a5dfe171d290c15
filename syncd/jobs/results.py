"""The folder of results: files that jobs have made, for as long as whoever asked may fetch them. Knows no database."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path
from typing import Final, NamedTuple

from syncd.errors import StoreError

__all__ = ["ResultFile", "Results"]

_CHUNK_BYTES: Final = 1 << 20


class ResultFile(NamedTuple):
    """A finished file. `digest`: SHA-256, in hexadecimal."""

    name: str
    bytes: int
    digest: str


class Results:
    """`folder` is made with the first result; nobody but the server's user may look into it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, name: str) -> Path:
        """Where a result is."""
        return self._folder / name

    async def start(self, name: str) -> Path:
        """Where to write a result until it is finished; what an earlier try has left there is gone."""
        return await asyncio.to_thread(self._start, name)

    async def complete(self, name: str) -> ResultFile | None:
        """Put the result in its place, durably; None if nothing was written."""
        return await asyncio.to_thread(self._complete, name)

    async def delete(self, name: str) -> None:
        """Let a result go; nothing, if it is not there."""
        await asyncio.to_thread(self._delete, name)

    def _start(self, name: str) -> Path:
        unfinished = self._unfinished(name)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            unfinished.unlink(missing_ok=True)
            os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except OSError as failure:
            raise self._cannot(failure) from failure
        return unfinished

    def _complete(self, name: str) -> ResultFile | None:
        unfinished = self._unfinished(name)
        digest, size = hashlib.sha256(), 0
        try:
            with unfinished.open("rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    size += len(chunk)
                os.fsync(file.fileno())
            if size == 0:
                unfinished.unlink()
                return None
            unfinished.rename(self.path(name))
        except OSError as failure:
            raise self._cannot(failure) from failure
        return ResultFile(name, size, digest.hexdigest())

    def _delete(self, name: str) -> None:
        self.path(name).unlink(missing_ok=True)
        self._unfinished(name).unlink(missing_ok=True)

    def _unfinished(self, name: str) -> Path:
        return self._folder / f"{name}.part"

    def _cannot(self, failure: OSError) -> StoreError:
        return StoreError(
            f"The folder {self._folder} cannot be written: {failure.strerror or failure}",
            hint="Make room, or see who may write there; then ask for it again.",
        )
