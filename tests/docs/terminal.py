"""A terminal for tests that follow a page: one shell that keeps its folder and its environment from block to block."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

__all__ = ["Terminal", "as_printed", "opened_terminal"]

_BLOCK_S = 120.0
_MARK = "--the block has ended:"


class Terminal:
    """Takes blocks of commands as a person would paste them; standard output and error come as one text."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def run(self, block: str) -> str:
        """What the block prints; raises AssertionError if its last command fails."""
        await self.type(f"{block}\necho '{_MARK}' $?\n")
        printed = await self.read_until(_MARK)
        output, _, ended = printed.rpartition(_MARK)
        assert ended.strip() == "0", f"{block}\n{printed}"
        return output

    async def type(self, text: str) -> None:
        """Type it, and do not wait."""
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode())
        await self._process.stdin.drain()

    async def read_until(self, sign: str) -> str:
        """All lines up to the first with `sign` in it."""
        assert self._process.stdout is not None
        lines: list[str] = []
        async with asyncio.timeout(_BLOCK_S):
            while not lines or sign not in lines[-1]:
                line = await self._process.stdout.readline()
                assert line, f"the terminal was closed before {sign!r}: {''.join(lines)}"
                lines.append(line.decode())
        return "".join(lines)

    def interrupt(self) -> None:
        """Ctrl-C: to whatever runs in it."""
        os.killpg(self._process.pid, signal.SIGINT)

    async def close(self) -> None:
        """Close it with all that runs in it."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.communicate()


@asynccontextmanager
async def opened_terminal(folder: Path, environment: Mapping[str, str]) -> AsyncIterator[Terminal]:
    """A new terminal in a folder; closed at the end."""
    process = await asyncio.create_subprocess_exec(
        *("bash", "--noprofile", "--norc"),
        cwd=folder,
        env=dict(environment),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    terminal = Terminal(process)
    try:
        yield terminal
    finally:
        await terminal.close()


def as_printed(page: str, real: str) -> bool:
    """Whether `real` is what the page shows; on the page "…" stands for any text, and spaces at line ends count not."""
    pattern = ".*?".join(re.escape(part) for part in _trimmed(page).split("…"))
    return re.fullmatch(pattern, _trimmed(real), re.DOTALL) is not None


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())
