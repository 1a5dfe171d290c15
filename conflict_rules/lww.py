"""Rule `lww`: the later stamp wins the whole record. For profiles, and whatever is only right as a whole.

A change carries the whole record as its replica knows it, so the later one stands in every field. With patches instead,
the order of arrival would decide what survives (counterexample 5). A field that an older client does not know, and so
does not carry, is left to the latest change that does: nothing unknown is erased.
"""

from __future__ import annotations

from conflict_rules.later_stamp import LATER_STAMP
from conflict_rules.record_rule import RecordRule
from conflict_rules.rule import register_rule

__all__ = ["LWW"]

LWW = register_rule(
    RecordRule("lww", LATER_STAMP, whole_record=True, good_for="Profiles, and whatever is only right as a whole.")
)
