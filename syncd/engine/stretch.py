"""How long a piece of work keeps the event loop: a long one lets live frames and other requests go on in between."""

from __future__ import annotations

import asyncio
import time
from typing import Final

__all__ = ["Stretch"]

_LONGEST_S: Final = 0.002


class Stretch:
    """Since the last rest."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def is_long(self) -> bool:
        """Whether others have waited long enough."""
        return time.monotonic() - self._began > _LONGEST_S

    async def rest(self) -> None:
        """Let them go on."""
        await asyncio.sleep(0)
        self._began = time.monotonic()
