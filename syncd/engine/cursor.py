"""Cursors: how far a replica has a scope. Opaque to clients, who compare them for equality only."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Cursor"]

_TEXT = re.compile(r"([A-Za-z0-9]{1,32})\.(0|[1-9][0-9]{0,15})")


@dataclass(frozen=True, slots=True)
class Cursor:
    """A version, and the incarnation of the database that gave it (law 10)."""

    incarnation: str
    version: int

    def __str__(self) -> str:
        return f"{self.incarnation}.{self.version}"

    @classmethod
    def parse(cls, text: str) -> Cursor | None:
        """The cursor that `text` spells, or None; whoever sends what was never a cursor starts over, like any other
        whose cursor this database does not know.
        """
        match = _TEXT.fullmatch(text)
        return cls(match[1], int(match[2])) if match else None
