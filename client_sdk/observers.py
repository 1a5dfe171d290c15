"""Observers of collections: told whenever a resource of a type shows differently, whoever changed it.

Called inside of the write that changed it, once the file has it: they must not wait, and cannot.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from client_sdk.outbox import ResourceKey
from client_sdk.rebase import same_content
from conflict_rules import State

__all__ = ["CollectionChange", "Observers", "ShownPair", "changed_pairs"]

log = logging.getLogger(__name__)

T = TypeVar("T")

ShownPair = tuple[State | None, State | None]
"""What was shown of a resource, and what is now; at most one is None."""


@dataclass(frozen=True, slots=True)
class CollectionChange(Generic[T]):
    """A resource shows differently now. `resource`: as it is shown; None if it was deleted, or is no longer here."""

    id: str
    scope: str
    resource: T | None


class Observers:
    """By type. A callback that fails is logged and holds up nothing."""

    def __init__(self) -> None:
        self._callbacks: dict[object, tuple[str, Callable[[ShownPair], object]]] = {}

    @property
    def types(self) -> Collection[str]:
        """The types that anybody observes."""
        return {type_name for type_name, _ in self._callbacks.values()}

    def add(self, type_name: str, callback: Callable[[ShownPair], object]) -> Callable[[], None]:
        """Call it from now on; returns what ends that."""
        key = object()
        self._callbacks[key] = (type_name, callback)

        def remove() -> None:
            self._callbacks.pop(key, None)

        return remove

    def tell(self, pairs: Iterable[ShownPair]) -> None:
        """These show differently now."""
        for before, after in pairs:
            for type_name, callback in list(self._callbacks.values()):
                shown = after or before
                if shown is None or shown.type != type_name:
                    continue
                try:
                    callback((before, after))
                except Exception:
                    log.exception("a callback for changes of %s failed", type_name)


def changed_pairs(
    before: Mapping[ResourceKey, State | None], after: Mapping[ResourceKey, State | None]
) -> list[ShownPair]:
    """What a person sees change between the two."""
    return [(then, after.get(key)) for key, then in before.items() if not same_content(then, after.get(key))]
