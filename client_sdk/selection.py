"""Choosing among resources: filters, order and limit of what a collection returns. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

__all__ = ["Sort", "Where", "select"]

T = TypeVar("T")

Where = Mapping[str, Any] | Callable[[T], bool]
"""Fields and the values they must have, or a function that says yes or no to a resource."""
Sort = str | Callable[[T], Any]
"""A field, with "-" before it for the highest first, or a function as for `sorted`."""


def select(
    items: Iterable[T],
    value: Callable[[T, str], Any],
    where: Where[T] | None,
    sort: Sort[T] | None = None,
    limit: int | None = None,
) -> list[T]:
    """What fits `where`, in the order of `sort` (else as given), `limit` at most. `value`: a field of a resource.

    Resources without a value for the field come first, or last where the highest come first.
    """
    if isinstance(where, Mapping):
        wanted = where
        chosen = [item for item in items if all(value(item, name) == wish for name, wish in wanted.items())]
    else:
        chosen = [item for item in items if where is None or where(item)]
    if isinstance(sort, str):
        name = sort.removeprefix("-")
        chosen.sort(key=lambda item: _sortable(value(item, name)), reverse=sort.startswith("-"))
    elif sort is not None:
        chosen.sort(key=sort)
    return chosen if limit is None else chosen[: max(0, limit)]


def _sortable(found: Any) -> tuple[bool, Any]:
    return (found is not None, found)
