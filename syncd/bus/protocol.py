"""The Bus: tells every node, this one included, that a scope has moved on. A name and a number, never data.

A message may be lost, doubled or late: each says how far the scope is, so the next one repairs a lost one, and a slow
poll of the heads repairs the last. `tests/conformance/test_bus.py` holds every adapter to this.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

__all__ = ["Bus", "Listener"]

Listener = Callable[[str, int], None]
"""Called on the event loop with a scope and its version; must not block, and must not raise."""


class Bus(Protocol):
    """Publication after commit, from one place: `syncd/engine/push.py`."""

    def publish(self, scope: str, version: int) -> None:
        """Tell everyone that `scope` has reached `version`. Never waits, never raises."""
        ...

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Hear of every scope; returns what ends the subscription (may be called twice)."""
        ...

    async def close(self) -> None:
        """Stop delivering; may be called twice."""
        ...
