"""Waiting for a condition that other tasks bring about: check, wait for the next pulse, check again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["Pulse"]


class Pulse:
    """Whoever changes something calls `beat`; whoever waits for something gives the condition."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def beat(self) -> None:
        """Something changed."""
        event, self._next = self._next, asyncio.Event()
        event.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return once `condition` holds; at once if it does."""
        while not condition():
            await self._next.wait()

    async def until_or(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """The same, for at most `timeout_s`; returns whether it holds."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.until(condition)
        except TimeoutError:
            return condition()
        return True
