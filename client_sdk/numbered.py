"""Things by a number, in its order: mostly added at the end and taken off the front, by the thousand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

__all__ = ["Numbered"]

T = TypeVar("T")


class Numbered(Generic[T]):
    """Sorted when that is asked for, and only if something was added out of turn."""

    def __init__(self) -> None:
        self._items: dict[int, T] = {}
        self._highest = 0
        self._sorted = True

    def __iter__(self) -> Iterator[T]:
        """In the order of their numbers; nothing may be added or dropped meanwhile."""
        if not self._sorted:
            self._items = dict(sorted(self._items.items()))
            self._sorted = True
        return iter(self._items.values())

    def __len__(self) -> int:
        return len(self._items)

    def first(self) -> T | None:
        """The one with the lowest number."""
        return next(iter(self), None)

    def put(self, number: int, item: T) -> None:
        """Add it, or put it in the place of what has its number."""
        if number not in self._items:
            highest = max(number, self._highest) if self._items else number
            self._sorted = self._sorted and number == highest
            self._highest = highest
        self._items[number] = item

    def drop(self, number: int, item: T) -> None:
        """Let go of it, if it is what has this number."""
        if self._items.get(number) is item:
            del self._items[number]
