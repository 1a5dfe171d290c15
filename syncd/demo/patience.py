"""Waiting with an end: whoever waits says for what, so that a run that hangs says where."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

__all__ = ["OutOfPatience", "Patience", "until"]

_LOOK_AGAIN_S = 0.01


class OutOfPatience(RuntimeError):
    """Something did not come about in time; the message says what."""


class Patience:
    """`each_s`: how long any one thing may take. `total_s`: when everything must be over, from now."""

    def __init__(self, *, each_s: float, total_s: float) -> None:
        self._each_s = each_s
        self._total_s = total_s
        self._end = time.monotonic() + total_s

    @asynccontextmanager
    async def wait_for(self, what: str) -> AsyncIterator[None]:
        """Let the block take its time, and raise `OutOfPatience` when that is up."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(max(0.0, min(self._each_s, self._end - started))):
                yield
        except TimeoutError as late:
            waited = f"waited {time.monotonic() - started:.1f} s for {what}"
            if time.monotonic() >= self._end:
                waited += f", and the whole run may take {self._total_s:g} s"
            raise OutOfPatience(waited) from late


async def until(condition: Callable[[], bool]) -> None:
    """Return once `condition` holds."""
    while not condition():  # noqa: ASYNC110  # it is a state of several tasks that is looked at, not an event
        await asyncio.sleep(_LOOK_AGAIN_S)
