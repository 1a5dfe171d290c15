"""A zygote whose workers give pycrdt whatever comes: nothing is read before, so that what breaks it does.

With some marks in an update they also break on purpose, each time in the same way.
"""

from __future__ import annotations

import os
from typing import Any, Final

from conflict_rules.documents.document import Arrival, Document
from syncd.documents.zygote import main

__all__ = ["EATS", "ENDS", "ENDS_AFTER_POISON", "HANGS", "POISON", "main"]

HANGS: Final = b"~hangs"
ENDS: Final = b"~ends"
POISON: Final = b"~poison"
ENDS_AFTER_POISON: Final = b"~trips"
"""Ends a worker whose document has POISON in it, and is harmless otherwise."""
EATS: Final = b"~eats"
"""Takes all the memory there is."""


def _offer(self: Document, update: bytes, **_: bool) -> Arrival:
    with self._native("apply"):
        if HANGS in update:
            while True:
                pass
        if ENDS in update or (ENDS_AFTER_POISON in update and POISON.decode() in str(self._shared[self.field])):
            os._exit(1)
        if EATS in update:
            bytearray(1 << 40)
        self._doc.apply_update(update)
    return Arrival(False)


def _load_snapshot(self: Document, snapshot: bytes) -> None:
    with self._native("apply"):
        self._doc.apply_update(snapshot)


_trusting: Any = Document
_trusting.offer = _offer
_trusting._load_snapshot = _load_snapshot
