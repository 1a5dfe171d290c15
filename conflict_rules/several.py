"""The mark of a field that holds the work of several: counters, sets, and what a function has made of two values."""

from __future__ import annotations

from typing import Final

from conflict_rules.field_rule import Offer
from conflict_rules.stamp import Stamp
from conflict_rules.state import Mark

__all__ = ["SEVERAL", "shared_mark"]

SEVERAL: Final = "_"
"""The replica of a mark that is nobody's own, and no replica's id: nobody has seen such a value by having made it."""


def shared_mark(mark: Mark, offer: Offer) -> Mark:
    """The mark after `offer` has joined what was held; its stamp is the later one.

    Only who has seen everything, or made everything, makes it his own.
    """
    later = max(mark.stamp, offer.stamp)
    if offer.has_seen(mark):
        return Mark(offer.version, Stamp(later.wall_ms, later.count, offer.stamp.replica))
    return Mark(offer.version, Stamp(later.wall_ms, later.count, SEVERAL))
