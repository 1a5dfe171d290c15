"""The archive that somebody gets: a zip of JSON lines, written piece by piece. Knows no store."""

from __future__ import annotations

import asyncio
import json
import zipfile
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

__all__ = ["Archive"]

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The oldest time that a zip can say: what was exported when is in the file itself."""


class Archive:
    """A zip at `path`. Lines of one file come in pages, so that no more than a page is in memory."""

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)

    async def write(self, name: str, pages: AsyncIterator[Sequence[Mapping[str, Any]]]) -> int:
        """Add a file of JSON lines; how many there are."""
        count = 0
        file = await asyncio.to_thread(self._open, name)
        try:
            async for page in pages:
                await asyncio.to_thread(_write_lines, file, page)
                count += len(page)
        finally:
            await asyncio.to_thread(file.close)
        return count

    async def write_text(self, name: str, text: str) -> None:
        """Add a file of text."""
        file = await asyncio.to_thread(self._open, name)
        try:
            await asyncio.to_thread(file.write, text.encode())
        finally:
            await asyncio.to_thread(file.close)

    async def close(self) -> None:
        """Write the table of contents."""
        await asyncio.to_thread(self._zip.close)

    def _open(self, name: str) -> IO[bytes]:
        info = zipfile.ZipInfo(name, _EPOCH)
        info.compress_type = zipfile.ZIP_DEFLATED
        return self._zip.open(info, "w", force_zip64=True)


def _write_lines(file: IO[bytes], lines: Sequence[Mapping[str, Any]]) -> None:
    for line in lines:
        file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace"))
        file.write(b"\n")
