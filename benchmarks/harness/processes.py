"""Servers under measure: started on a core of their own, looked at through /proc, ended for good."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.harness.sample import Sample

__all__ = [
    "DRIVER_CORE",
    "SERVER_CORE",
    "Meter",
    "Server",
    "free_port",
    "on_server_core",
    "pin_driver",
    "python_path",
    "start",
    "started",
    "wait_for_port",
]

SERVER_CORE: Final = 0
DRIVER_CORE: Final = 1
_ROOT: Final = Path(__file__).parents[2]
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_SCHEDULED: Final = 2
"""CPUCLOCK_SCHED of Linux: the time for which a process was on a core."""


def pin_driver() -> None:
    """Keep this process to the driver's core, if there is more than one."""
    if (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {DRIVER_CORE})


@dataclass(slots=True)
class Server:
    """A process under measure, with all that it has started. `url`: without a slash at the end."""

    process: asyncio.subprocess.Process
    port: int
    log: Path

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Of the process that was started."""
        return self.process.pid

    def cpu_s(self) -> float:
        """Processor time so far, of the process and all below it, also of those that have ended."""
        return sum(_cpu_s(pid) for pid in _family(self.pid))

    def rss_bytes(self) -> int:
        """Memory in use, of the process and all below it."""
        return sum(_rss_bytes(pid) for pid in _family(self.pid))

    async def stop(self, *, kill: bool = False) -> None:
        """End it, and wait until it has gone."""
        if self.process.returncode is not None:
            return
        family = _family(self.pid)
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            await asyncio.wait_for(self.process.wait(), 20)
        except TimeoutError:
            kill = True
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()
        if kill:
            for pid in family[1:]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


class Meter:
    """Measures what happens within it: `with Meter(server) as meter: ...` and then `meter.sample(units)`."""

    def __init__(self, *servers: Server) -> None:
        self._servers = servers
        self.seconds = 0.0
        self.server_cpu_s = 0.0
        self.driver_cpu_s = 0.0

    def __enter__(self) -> Meter:
        self._before = sum(server.cpu_s() for server in self._servers)
        self._driver = time.process_time()
        self._began = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._began
        self.driver_cpu_s = time.process_time() - self._driver
        self.server_cpu_s = sum(server.cpu_s() for server in self._servers) - self._before

    def sample(self, units: float, **figures: float) -> Sample:
        """What was measured, for so many units of work."""
        return Sample(units, self.seconds, self.server_cpu_s, self.driver_cpu_s, figures)


def on_server_core(command: Sequence[str]) -> list[str]:
    """The same command, kept to the servers' core, if there is more than one."""
    if shutil.which("taskset") is None or (os.cpu_count() or 1) < 2:
        return [*command]
    return ["taskset", "-c", str(SERVER_CORE), *command]


def python_path() -> Mapping[str, str]:
    """What a process needs in its environment to find this package, wherever it is started."""
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))}


@asynccontextmanager
async def started(
    command: Sequence[str],
    *,
    port: int,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    name: str = "server",
    start_s: float = 60.0,
) -> AsyncIterator[Server]:
    """A process that listens on `port` of this machine, on the servers' core; ended on leaving. Its output is in
    `folder`.

    Raises `RuntimeError` with the end of its output if it does not come up.
    """
    folder.mkdir(parents=True, exist_ok=True)
    server = await start(command, port=port, folder=folder, environment=environment, name=name, start_s=start_s)
    try:
        yield server
    finally:
        await server.stop()


async def start(
    command: Sequence[str],
    *,
    port: int,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    name: str = "server",
    start_s: float = 60.0,
) -> Server:
    """See `started`; whoever calls this stops it."""
    log = folder / f"{name}.log"
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *on_server_core(command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **(environment or {})},
            cwd=folder,
        )
    server = Server(process, port, log)
    try:
        await wait_for_port(port, process, start_s)
    except Exception as error:
        await server.stop(kill=True)
        raise RuntimeError(f"{name} did not start: {error}\n{log.read_text(errors='replace')[-3000:]}") from error
    return server


async def wait_for_port(port: int, process: asyncio.subprocess.Process | None = None, seconds: float = 60.0) -> None:
    """Return when something listens there; raises `RuntimeError` if the process ends first, or after `seconds`."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process is not None and process.returncode is not None:
            raise RuntimeError(f"it ended with code {process.returncode}")
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
            continue
        writer.close()
        return
    raise RuntimeError(f"nothing listens on port {port} after {seconds:.0f} s")


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _family(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        for task in _listed(Path(f"/proc/{parent}/task")):
            with contextlib.suppress(OSError):
                found += [int(child) for child in Path(f"/proc/{parent}/task/{task}/children").read_text().split()]
    return found


def _listed(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _cpu_s(pid: int) -> float:
    """Its own time by its clock, to the nanosecond (/proc counts in hundredths of a second); of children that have
    ended, what /proc says. How a clock's number is made of a pid: clock_getcpuclockid(3), as glibc has it."""
    try:
        own = time.clock_gettime((~pid << 3) | _SCHEDULED)
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return own + sum(int(ticks) for ticks in fields[13:15]) / _TICKS


def _rss_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except OSError:
        return 0
