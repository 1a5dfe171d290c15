"""Whoever wants to be told at once that the server has refused a change, rather than to look through the list of them.

Called inside of the write that noted it, once the file has it and the view shows it no more: callbacks must not wait.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from conflict_rules import Change, Outcome

__all__ = ["RejectionCallback", "RejectionCallbacks"]

log = logging.getLogger(__name__)

RejectionCallback = Callable[[Change, Outcome], object]


class RejectionCallbacks:
    """A callback that fails is logged and holds up nothing."""

    def __init__(self) -> None:
        self._callbacks: dict[object, RejectionCallback] = {}

    def add(self, callback: RejectionCallback) -> Callable[[], None]:
        """Call it from now on; returns what ends that."""
        key = object()
        self._callbacks[key] = callback

        def remove() -> None:
            self._callbacks.pop(key, None)

        return remove

    def tell(self, change: Change, outcome: Outcome) -> None:
        """This one was refused."""
        for callback in list(self._callbacks.values()):
            try:
                callback(change, outcome)
            except Exception:
                log.exception("a callback for rejected changes failed")
