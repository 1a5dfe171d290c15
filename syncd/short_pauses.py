"""Nobody should wait for the interpreter's housekeeping (measured: benchmarks/long_queue.py)."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["short_pauses"]

_THRESHOLDS: Final = (10_000, 20, 50)
_SWITCH_INTERVAL_S: Final = 0.001


@contextmanager
def short_pauses() -> Iterator[None]:
    """Entered when all is set up that lives as long as the process."""
    thresholds, interval_s = gc.get_threshold(), sys.getswitchinterval()
    # To look at all that was set up again takes 30 ms each time, and was seen to take hundreds where memory is slow.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    # The database's thread asks for the interpreter after each statement, and gets it this late if others are busy.
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
        sys.setswitchinterval(interval_s)
