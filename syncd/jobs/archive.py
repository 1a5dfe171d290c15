"""The archive that somebody gets: a zip of JSON lines, written piece by piece. Knows no store."""

from __future__ import annotations

import asyncio
import json
import zipfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final, ParamSpec

__all__ = ["Archive"]

P = ParamSpec("P")

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The oldest time that a zip can say: what was exported when is in the file itself."""


class Archive:
    """A zip at `path`. Lines of one file come in pages, so that no more than a page is in memory.

    Whoever is cancelled waits for what a thread is doing for him, so that `close` may always come next.
    """

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)
        self._entry: IO[bytes] | None = None

    async def write(self, name: str, pages: AsyncIterator[Sequence[Mapping[str, Any]]]) -> int:
        """Add a file of JSON lines; how many there are."""
        count = 0
        await _to_its_end(self._begin, name)
        try:
            async for page in pages:
                await _to_its_end(self._add, page)
                count += len(page)
        finally:
            await _to_its_end(self._end)
        return count

    async def write_text(self, name: str, text: str) -> None:
        """Add a file of text."""
        await _to_its_end(self._add_text, name, text)

    async def close(self) -> None:
        """Write the table of contents."""
        await _to_its_end(self._close)

    def _begin(self, name: str) -> None:
        info = zipfile.ZipInfo(name, _EPOCH)
        info.compress_type = zipfile.ZIP_DEFLATED
        self._entry = self._zip.open(info, "w", force_zip64=True)

    def _add(self, lines: Sequence[Mapping[str, Any]]) -> None:
        assert self._entry is not None
        _write_lines(self._entry, lines)

    def _end(self) -> None:
        if self._entry is not None:
            entry, self._entry = self._entry, None
            entry.close()

    def _add_text(self, name: str, text: str) -> None:
        self._begin(name)
        assert self._entry is not None
        self._entry.write(text.encode())
        self._end()

    def _close(self) -> None:
        # Whoever was cancelled while a file was begun has not ended it, and a zip with an open one cannot be closed.
        self._end()
        self._zip.close()


async def _to_its_end(work: Callable[P, None], /, *args: P.args, **kwargs: P.kwargs) -> None:
    """Do it in a thread; if cancelled, once it is done."""
    doing = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait([doing])
        raise


def _write_lines(file: IO[bytes], lines: Sequence[Mapping[str, Any]]) -> None:
    for line in lines:
        file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace"))
        file.write(b"\n")
