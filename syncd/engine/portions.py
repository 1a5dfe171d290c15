"""Portions: a long push is settled in pieces, so that nobody waits behind the whole of it.

Knows changes as they were sent, and no store. A group is never divided.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Final, TypeVar

__all__ = ["Pace", "group_of", "in_units", "scattered_groups", "take_portion", "units_of"]

Member = TypeVar("Member")

_ALONE: Final = 100
_IN_COMPANY: Final = 10
"""Changes in a portion; a push of no more than this is a short one, for whose sake the long ones make room."""
_COMPANY_S: Final = 1.0
"""How long after the last short push there is company."""
_REST: Final = 10
"""A rest, in times of the portion before it."""
_LONGEST_PAUSE_S: Final = 0.05


class Pace:
    """How fast a long push may go: steadily while nobody else is there; otherwise in short steps, with rests between.

    `clock`: seconds, monotonic. What the others lose by it is measured in benchmarks/long_queue.py: their p99 was 33
    times as high beside one push of 1000 changes in one piece, five times in portions without rests.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._short_at = -_COMPANY_S

    def begin(self, changes: int) -> None:
        """A push of so many changes has come."""
        if changes <= _IN_COMPANY:
            self._short_at = self._clock()

    @property
    def portion(self) -> int:
        """How many changes of a long push may be settled in one go."""
        return _IN_COMPANY if self._in_company else _ALONE

    def pause_s(self, took_s: float) -> float:
        """How long to wait before the next portion, when the last one took `took_s`."""
        return min(_REST * took_s, _LONGEST_PAUSE_S) if self._in_company else 0.0

    @property
    def _in_company(self) -> bool:
        return self._clock() - self._short_at < _COMPANY_S


def units_of(raws: Sequence[object]) -> deque[list[object]]:
    """`raws` in order, by what is settled as one: each change, or the neighbours of one group."""
    return deque(in_units(raws, group_of))


def in_units(members: Iterable[Member], group: Callable[[Member], str | None]) -> list[list[Member]]:
    """`members` in order; neighbours of one group are together, whoever has none is alone."""
    units: list[list[Member]] = []
    last: str | None = None
    for member in members:
        name = group(member)
        if name is not None and name == last:
            units[-1].append(member)
        else:
            units.append([member])
        last = name
    return units


def take_portion(units: deque[list[object]], size: int) -> list[object]:
    """Take changes off the front: at most `size`, or one larger group."""
    portion: list[object] = []
    while units and (not portion or len(portion) + len(units[0]) <= size):
        portion.extend(units.popleft())
    return portion


def scattered_groups(raws: Sequence[object]) -> frozenset[str]:
    """The groups whose members do not stand side by side in `raws`."""
    if not any(map(group_of, raws)):
        return frozenset()
    times = Counter(name for name, _ in groupby(raws, key=group_of) if name is not None)
    return frozenset(name for name, count in times.items() if count > 1)


def group_of(raw: object) -> str | None:
    """The group that a change names, readable or not: one that cannot be read brings its group down."""
    name = raw.get("group") if isinstance(raw, dict) else None
    return name if isinstance(name, str) else None
