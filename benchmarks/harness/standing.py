"""The servers of a workload: each started when it is first measured, standing by from then on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from benchmarks.harness.processes import Server

__all__ = ["Standing", "Starter"]

Starter = Callable[[], AbstractAsyncContextManager[Server]]


class Standing:
    """By contender. `stack`: ends them all when it is left."""

    def __init__(self, stack: AsyncExitStack, starters: Mapping[str, Starter]) -> None:
        self._stack = stack
        self._starters = starters
        self._running: dict[str, Server] = {}

    async def server(self, contender: str) -> Server:
        """The one of that contender. Raises `Unavailable` if it cannot be had, `RuntimeError` if it has ended."""
        if contender not in self._running:
            self._running[contender] = await self._stack.enter_async_context(self._starters[contender]())
        server = self._running[contender]
        if server.process.returncode is not None:
            raise RuntimeError(f"{contender} has ended with code {server.process.returncode}")
        return server
