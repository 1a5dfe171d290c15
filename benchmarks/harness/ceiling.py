"""Starts the modules of `benchmarks.ceilings` as processes of their own, on the servers' core."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.harness.processes import Server, free_port, on_server_core, python_path, started

__all__ = ["output", "running"]

_AT_MOST_S: Final = 120.0


@asynccontextmanager
async def running(module: str, folder: Path, *flags: str, **options: object) -> AsyncIterator[Server]:
    """A running server, `benchmarks.ceilings.<module> --port …`, stopped on leaving.

    On its command line besides: `flags`, by their names alone, and `options`.
    """
    port = free_port()
    command = [*_command(module), "--port", str(port), *(f"--{flag}" for flag in flags)]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    name = "-".join([module, *flags])
    async with started(command, port=port, folder=folder, environment=python_path(), name=name) as server:
        yield server


async def output(module: str, *arguments: object) -> Any:
    """What the program `benchmarks.ceilings.<module>` prints, which is JSON, when it has come to its end.

    Raises `RuntimeError` if it fails, `TimeoutError` after two minutes.
    """
    process = await asyncio.create_subprocess_exec(
        *on_server_core([*_command(module), *map(str, arguments)]),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **python_path()},
    )
    try:
        async with asyncio.timeout(_AT_MOST_S):
            told, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"{module} failed: {errors.decode(errors='replace')[-800:]}")
    return json.loads(told)


def _command(module: str) -> list[str]:
    return [sys.executable, "-m", f"benchmarks.ceilings.{module}"]
