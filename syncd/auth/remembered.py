"""What was read from the database a moment ago, for the hot path: bounded, and forgotten when it changes.

A reader takes a ticket before it reads, and hands it in with what it found: if something was forgotten meanwhile, what
it found may be what has just changed, and is not kept.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Remembered"]

K = TypeVar("K")
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """At most `size` values; those that were used longest ago go first."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[K, V] = OrderedDict()
        self._forgets = 0

    def get(self, key: K) -> V | None:
        """The value, None if it is not remembered."""
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def ticket(self) -> int:
        """To be taken before reading what will be handed to `put`."""
        return self._forgets

    def put(self, key: K, value: V, ticket: int) -> None:
        """Remember a value, unless something was forgotten since the ticket was taken."""
        if ticket == self._forgets:
            self._values[key] = value
            if len(self._values) > self._size:
                self._values.popitem(last=False)

    def forget(self, is_over: Callable[[V], bool]) -> None:
        """Forget the values that are over."""
        self._forgets += 1
        for key in [key for key, value in self._values.items() if is_over(value)]:
            del self._values[key]

    def __len__(self) -> int:
        return len(self._values)
