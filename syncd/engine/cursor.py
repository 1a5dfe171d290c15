"""Cursors: how far a replica has a scope. Opaque to clients, who compare them for equality only."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Cursor"]

_TEXT = re.compile(r"([A-Za-z0-9]{1,32})(?:-([0-9a-f]{8}))?\.(0|[1-9][0-9]{0,15})")


@dataclass(frozen=True, slots=True)
class Cursor:
    """A version, the incarnation of the database that gave it (law 10), and the tag of the reader class that it was
    given to (law 6).
    """

    incarnation: str
    version: int
    tag: str = ""

    def __str__(self) -> str:
        return f"{self.series}.{self.version}"

    @property
    def series(self) -> str:
        """What comes before the dot: cursors that share it differ only in how far they are."""
        return f"{self.incarnation}-{self.tag}" if self.tag else self.incarnation

    @classmethod
    def parse(cls, text: str) -> Cursor | None:
        """The cursor that `text` spells, or None; whoever sends what was never a cursor starts over, like any other
        whose cursor this database does not know.
        """
        match = _TEXT.fullmatch(text)
        return cls(match[1], int(match[3]), match[2] or "") if match else None
