"""Wall clocks of devices: apart by more than a test takes, so that whose change is the later one is no accident."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["ahead"]


def ahead(by_ms: int) -> Callable[[], int]:
    """A clock in ms since 1970 that runs ahead of the machine's; below 2 s the SDK does not correct it."""
    return lambda: time.time_ns() // 1_000_000 + by_ms
