"""A zygote whose workers give pycrdt whatever comes: nothing is read before, so that what breaks it does.

With some marks in an update they also break on purpose (`marks`). Only the process that runs `main` is so trusting.
"""

from __future__ import annotations

import os
from typing import Any

from conflict_rules.documents.document import Arrival, Document
from syncd.documents import zygote
from tests.documents.marks import EATS, ENDS, ENDS_AFTER_POISON, HANGS, POISON

__all__ = ["main"]


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


def main(control_descriptor: int, limits: str) -> None:
    """As `syncd.documents.zygote.main`."""
    trusting: Any = Document
    trusting.offer = _offer
    trusting._load_snapshot = _load_snapshot
    zygote.main(control_descriptor, limits)
