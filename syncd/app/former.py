"""Former names: what a private or personal field was called under earlier versions of an app.

Upgrades lift changes, not what is stored: there a field has the name of its time, and no declaration of now. Under that
name it is as private, and as personal, as under the one it has.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeVar

__all__ = ["names_of", "under_former_names"]

Mark = TypeVar("Mark")


def names_of(formerly: Collection[str]) -> tuple[str, ...]:
    """What an author has said: names, or one as a text."""
    return (formerly,) if isinstance(formerly, str) else tuple(formerly)


def under_former_names(marked: Mapping[str, Mark], former: Mapping[str, str]) -> dict[str, Mark]:
    """Marked fields by all their names. `former`: of the former names, each with the one of now."""
    return {**marked, **{old: marked[now] for old, now in former.items() if now in marked}}
