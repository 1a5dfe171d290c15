"""Reader classes: all readers with the same rights, who are sent the same (law 6).

Pure. Hiding is not a gap: every class gets every version, and of one that shows it nothing an empty page or delta. What
a class sees is told from a state's type, without decoding it; a class that hides fields would be made here too, and
decode what it redacts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from conflict_rules.values import canonical_json, valid_type
from syncd.errors import InvalidMessage

__all__ = ["MAX_TYPES", "SEES_ALL", "ReaderClass", "check_types"]

MAX_TYPES: Final = 200
"""That one request may name."""

_TAG_DIGITS: Final = 8


@dataclass(frozen=True, slots=True)
class ReaderClass:
    """`types`: of the resources that it sees; None for all. `schema`: the version of the app that it is served by.

    Two readers of equal classes are sent the same bytes; a cursor and a digest belong to one class.
    """

    types: frozenset[str] | None = None
    schema: int = 1

    @property
    def sees_all(self) -> bool:
        """Whether stored states go out to it whole, all of them."""
        return self.types is None

    @property
    def tag(self) -> str:
        """What its cursors carry, so that one of another class is noticed; "" for who sees all of version 1."""
        return _tag(self.types, self.schema)

    def sees(self, type: str) -> bool:
        """Whether resources of this type are shown to it."""
        return self.types is None or type in self.types

    def shown(self, states: Iterable[tuple[str, bytes]]) -> list[bytes]:
        """What goes out to it of encoded states, each with its type."""
        if self.types is None:
            return [body for _, body in states]
        return [body for type_, body in states if type_ in self.types]


SEES_ALL: Final = ReaderClass()
"""Who sees every type, of version 1 of an app."""


def check_types(types: Collection[str] | None) -> frozenset[str] | None:
    """The types that a request names, None for all; raises `InvalidMessage` for what cannot be their names.

    A type that the app does not have (yet, or any more) is allowed: it only shows nothing.
    """
    if types is None:
        return None
    if not 1 <= len(types) <= MAX_TYPES:
        raise InvalidMessage(f"types: 1 to {MAX_TYPES} names, or leave the key out to see every type", field="types")
    for name in types:
        if not valid_type(name):
            raise InvalidMessage(
                f"types: {name[:80]!r} is no type: lower-case letters, digits and _, a letter first, at most 64",
                field="types",
            )
    return frozenset(types)


@lru_cache(maxsize=1024)
def _tag(types: frozenset[str] | None, schema: int) -> str:
    if types is None and schema == 1:
        return ""
    content = canonical_json([schema, None if types is None else sorted(types)])
    return hashlib.sha256(content).hexdigest()[:_TAG_DIGITS]
