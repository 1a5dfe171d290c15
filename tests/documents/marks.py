"""Marks in an update at which a worker of `trusting_zygote` breaks on purpose, each time in the same way."""

from __future__ import annotations

from typing import Final

__all__ = ["EATS", "ENDS", "ENDS_AFTER_POISON", "HANGS", "POISON"]

HANGS: Final = b"~hangs"
ENDS: Final = b"~ends"
POISON: Final = b"~poison"
ENDS_AFTER_POISON: Final = b"~trips"
"""Ends a worker whose document has POISON in it, and is harmless otherwise."""
EATS: Final = b"~eats"
"""Takes all the memory there is."""
