"""How long to wait after a failure: exponential, fully jittered, capped. Pure but for the dice.

Source: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015 ("full jitter").
"""

from __future__ import annotations

import random
from dataclasses import dataclass

__all__ = ["Backoff", "Timing"]


@dataclass(frozen=True, slots=True)
class Timing:
    """`first_retry_s`, `longest_retry_s`: the range of the waits. `poll_s`: between pulls while deltas flow;
    `poll_without_live_s`: while they do not. `timeout_s`: of one request. `check_s`: how long a comparison with the
    server by digest is good for (invariant 13). `other_version_s`: at most between attempts while the server runs
    another version of the app.
    """

    first_retry_s: float = 0.25
    longest_retry_s: float = 30.0
    poll_s: float = 60.0
    poll_without_live_s: float = 10.0
    timeout_s: float = 30.0
    check_s: float = 900.0
    other_version_s: float = 1800.0


class Backoff:
    """Counts failures in a row."""

    def __init__(self, timing: Timing, dice: random.Random) -> None:
        self._timing = timing
        self._dice = dice
        self.failures = 0

    def next_s(self, asked_s: float | None = None) -> float:
        """The wait after one more failure; `asked_s`: what the server asked for, which is never undercut."""
        timing = self._timing
        ceiling = min(timing.longest_retry_s, timing.first_retry_s * 2.0 ** min(self.failures, 32))
        self.failures += 1
        # Never nothing at all: a loop that fails at once must not spin.
        jittered = max(self._dice.uniform(0, ceiling), ceiling / 20)
        return jittered if asked_s is None else asked_s + jittered

    def reset(self) -> None:
        """Something succeeded."""
        self.failures = 0
