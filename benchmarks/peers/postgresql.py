"""PostgreSQL as its packages leave it: fsync on, commits synchronous. A cluster of its own in a temporary folder.

Its programs are taken from the path, or from where Debian puts them. PostgreSQL refuses to run as root: there, it runs
as `postgres` or `nobody`.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from benchmarks.harness.processes import Server, free_port, started
from benchmarks.harness.workload import Unavailable

__all__ = ["run_sql", "running", "url", "versions"]

_USER: Final = "bench"
_READY_S: Final = 30.0


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Server]:
    """A running server; its log is in `folder`. Raises `Unavailable` if there is no PostgreSQL here."""
    initdb, postgres = _program("initdb"), _program("postgres")
    # Not below `folder`: that is closed to others than whoever runs the benchmarks.
    data = Path(tempfile.mkdtemp(prefix="syncd-bench-postgresql-"))
    try:
        account = _account(data)
        command = [*account, str(initdb), "--username", _USER, "--auth", "trust", "--encoding", "UTF8", "-D", str(data)]
        made = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False, cwd="/")
        if made.returncode:
            raise Unavailable(f"initdb fails: {made.stderr.strip()[-500:]}")
        port = free_port()
        serve = [*account, str(postgres), "-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", ""]
        async with started(serve, port=port, folder=folder, name="postgresql") as server:
            await _wait_until_ready(server)
            yield server
    finally:
        shutil.rmtree(data, ignore_errors=True)


def url(server: Server) -> str:
    """How a client finds its database."""
    return f"postgresql://{_USER}@127.0.0.1:{server.port}/postgres"


async def run_sql(server: Server, sql: bytes) -> None:
    """Run a script of psql, which may hold `COPY … FROM stdin` with its rows. Raises `RuntimeError` if it fails."""
    command = [str(_program("psql")), "--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", url(server)]
    done = await asyncio.to_thread(subprocess.run, command, input=sql, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"psql: {done.stderr.decode(errors='replace').strip()[-800:]}")


def versions() -> dict[str, str]:
    """What is installed, if it is."""
    try:
        postgres = _program("postgres")
    except Unavailable:
        return {}
    told = subprocess.run([str(postgres), "--version"], capture_output=True, text=True, check=True).stdout
    return {"postgresql": told.split()[2]}


def _program(name: str) -> Path:
    found = shutil.which(name)
    if found is not None:
        return Path(found)
    by_version = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[4]))
    if not by_version:
        raise Unavailable(f"PostgreSQL is not installed: there is no {name}")
    return by_version[-1]


def _account(data: Path) -> Sequence[str]:
    """What to put before a command so that it runs as somebody else than root, who gets `data`."""
    if os.geteuid() != 0:
        return ()
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        os.chown(data, entry.pw_uid, entry.pw_gid)
        return ("setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups")
    raise Unavailable("PostgreSQL does not run as root, and there is no other account to run it as")


async def _wait_until_ready(server: Server) -> None:
    """It listens before it lets anybody in."""
    until = time.monotonic() + _READY_S
    while True:
        try:
            await run_sql(server, b"SELECT 1 \\g /dev/null\n")
        except RuntimeError:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.1)
        else:
            return
