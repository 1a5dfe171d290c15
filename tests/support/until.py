"""Waiting for a condition that no event tells of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["until"]

_PATIENCE_S = 20.0


async def until(condition: Callable[[], bool]) -> None:
    """Return once `condition` holds; raises TimeoutError if it does not in good time."""
    async with asyncio.timeout(_PATIENCE_S):
        while not condition():  # noqa: ASYNC110  # there is no event behind it
            await asyncio.sleep(0.002)
