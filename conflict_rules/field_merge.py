"""The comparison that `lww`, `merge` and `append` share: each field on its own, by the later stamp (law 2)."""

from __future__ import annotations

from typing import Final

from conflict_rules.change import Change
from conflict_rules.later_stamp import LATER_STAMP
from conflict_rules.outcome import Merged
from conflict_rules.record_rule import RecordRule
from conflict_rules.state import State

__all__ = ["merge_fields"]

_BY_LATER_STAMP: Final = RecordRule("by_later_stamp", LATER_STAMP)


def merge_fields(state: State | None, change: Change, version: int) -> Merged:
    """Lay the change's fields over the state's; see `LaterStamp`."""
    return _BY_LATER_STAMP.merge(state, change, version)
