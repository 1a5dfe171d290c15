"""Pure merging: values in, values out. The server and the SDK run this same code.

Nothing here does I/O, reads a clock, or imports syncd.
"""

from conflict_rules.append import Append
from conflict_rules.change import Change, Op
from conflict_rules.deletion import apply_change
from conflict_rules.lww import LastWriteWins
from conflict_rules.merge import FieldMerge
from conflict_rules.outcome import Kind, Merged, Outcome
from conflict_rules.rule import Algebra, Rule, UnknownRule, register_rule, rule_by_name, rule_names
from conflict_rules.stamp import (
    MAX_DRIFT_MS,
    Clock,
    ClockDrift,
    ClockOverflow,
    Stamp,
    StampError,
    StampMalformed,
    effective_stamp,
)
from conflict_rules.state import Mark, Origin, State
from conflict_rules.values import Fields, InvalidName, InvalidValue, JsonValue

__all__ = [
    "MAX_DRIFT_MS",
    "Algebra",
    "Append",
    "Change",
    "Clock",
    "ClockDrift",
    "ClockOverflow",
    "FieldMerge",
    "Fields",
    "InvalidName",
    "InvalidValue",
    "JsonValue",
    "Kind",
    "LastWriteWins",
    "Mark",
    "Merged",
    "Op",
    "Origin",
    "Outcome",
    "Rule",
    "Stamp",
    "StampError",
    "StampMalformed",
    "State",
    "UnknownRule",
    "apply_change",
    "effective_stamp",
    "register_rule",
    "rule_by_name",
    "rule_names",
]
