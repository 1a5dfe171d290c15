"""`python -m tests.support.server_on_another_day serve …`: syncd in a process whose clock is `SHIFT_S` seconds off."""

from __future__ import annotations

import os
import time

_SHIFT_NS = int(os.environ["SHIFT_S"]) * 1_000_000_000
_time_ns = time.time_ns


def _shifted_ns() -> int:
    return _time_ns() + _SHIFT_NS


time.time_ns = _shifted_ns
time.time = lambda: _shifted_ns() / 1e9

if __name__ == "__main__":
    from syncd.cli import main

    main()
