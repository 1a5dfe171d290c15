"""How many of something are open at once, by whose they are: sockets and streams of a user, or of an address."""

from __future__ import annotations

from collections import Counter
from contextlib import AbstractContextManager
from typing import Final

from syncd.errors import Exceeded, RateLimited

__all__ = ["Held", "Slot"]

_LOOK_AGAIN_MS: Final = 5000
"""Nobody knows when one will be closed: not so often that asking is a load, and soon enough for whoever closes one."""


class Held:
    """Counts what is open. `most`: of one key. One node's only: what is open elsewhere is counted there."""

    def __init__(self, most: int, what: str) -> None:
        self._most = most
        self._what = what
        self._open: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._open)

    def enter(self, key: str) -> None:
        """Count one more until `leave`; raises `RateLimited`, and counts nothing, if there are as many as may be."""
        if self._open[key] >= self._most:
            raise RateLimited(
                f"{self._most} {self._what} are open already, and there may be no more",
                Exceeded(self._most, _LOOK_AGAIN_MS),
                code="too_many_sockets",
                hint="Close one that is not needed; one socket can watch many scopes.",
            )
        self._open[key] += 1

    def leave(self, key: str) -> None:
        """One less."""
        self._open[key] -= 1
        if not self._open[key]:
            del self._open[key]


class Slot(AbstractContextManager[None]):
    """One that is open for the length of the block, and where it counts. `held`: None for nowhere.

    Thousands are held open: a generator of each would be three times as large.
    """

    __slots__ = ("_held", "_key")

    def __init__(self, held: Held | None, key: str = "") -> None:
        self._held = held
        self._key = key

    def __enter__(self) -> None:
        if self._held is not None:
            self._held.enter(self._key)

    def __exit__(self, *_: object) -> None:
        if self._held is not None:
            self._held.leave(self._key)

    def move(self, held: Held | None, key: str = "") -> None:
        """Count it elsewhere from now on; raises `RateLimited`, and it stays where it was, if there is no room."""
        if (held, key) == (self._held, self._key):
            return
        if held is not None:
            held.enter(key)
        self.__exit__()
        self._held, self._key = held, key
