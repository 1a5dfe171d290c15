"""Rule `merge`: a change is a patch; different fields combine, the same field goes to its own rule.

Two people who edit different fields of one record both keep their edit. For preferences, and by default.
"""

from __future__ import annotations

from conflict_rules.later_stamp import LATER_STAMP
from conflict_rules.record_rule import RecordRule
from conflict_rules.rule import register_rule

__all__ = ["MERGE"]

MERGE = register_rule(
    RecordRule("merge", LATER_STAMP, good_for="Preferences, plans, most things: different fields combine.")
)
