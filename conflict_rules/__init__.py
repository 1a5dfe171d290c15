"""Pure merging: values in, values out. The server and the SDK run this same code.

Nothing here does I/O, reads a clock, or imports syncd.
"""

from conflict_rules.add_wins import SET
from conflict_rules.algebra import Algebra
from conflict_rules.append import APPEND
from conflict_rules.change import Change, Op
from conflict_rules.conflict import CONFLICT, CONFLICT_TYPE
from conflict_rules.counter import COUNTER
from conflict_rules.crdt import CRDT
from conflict_rules.deletes import Deletes
from conflict_rules.deletion import apply_change
from conflict_rules.dispute import Dispute, conflict_id, dispute_of
from conflict_rules.extremes import MAX, MIN
from conflict_rules.field_rule import FieldRule
from conflict_rules.lww import LWW
from conflict_rules.manual import MANUAL
from conflict_rules.merge import MERGE
from conflict_rules.outcome import Kind, Merged, Outcome
from conflict_rules.own import ASK, MergeFunction, own_rule
from conflict_rules.promises import BrokenPromise, check_algebra
from conflict_rules.record_rule import RecordRule
from conflict_rules.rule import Rule, UnknownRule, register_rule, rule_by_name, rule_names
from conflict_rules.server_wins import SERVER_WINS
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
    "APPEND",
    "ASK",
    "CONFLICT",
    "CONFLICT_TYPE",
    "COUNTER",
    "CRDT",
    "LWW",
    "MANUAL",
    "MAX",
    "MAX_DRIFT_MS",
    "MERGE",
    "MIN",
    "SERVER_WINS",
    "SET",
    "Algebra",
    "BrokenPromise",
    "Change",
    "Clock",
    "ClockDrift",
    "ClockOverflow",
    "Deletes",
    "Dispute",
    "FieldRule",
    "Fields",
    "InvalidName",
    "InvalidValue",
    "JsonValue",
    "Kind",
    "Mark",
    "MergeFunction",
    "Merged",
    "Op",
    "Origin",
    "Outcome",
    "RecordRule",
    "Rule",
    "Stamp",
    "StampError",
    "StampMalformed",
    "State",
    "UnknownRule",
    "apply_change",
    "check_algebra",
    "conflict_id",
    "dispute_of",
    "effective_stamp",
    "own_rule",
    "register_rule",
    "rule_by_name",
    "rule_names",
]
