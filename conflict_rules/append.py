"""Rule `append`: facts that are only ever added, such as the events of a match or the messages of a talk."""

from __future__ import annotations

from dataclasses import dataclass

from conflict_rules.change import Change, Op
from conflict_rules.later_stamp import LATER_STAMP
from conflict_rules.outcome import Kind, Merged, Outcome
from conflict_rules.record_rule import RecordRule
from conflict_rules.rule import register_rule
from conflict_rules.state import State
from conflict_rules.values import same_value

__all__ = ["APPEND", "AppendRule"]


@dataclass(frozen=True)
class AppendRule(RecordRule):
    """A fact is inserted under an id of its own; the same fact told twice is one fact; corrections are field merges."""

    def merge(self, state: State | None, change: Change, version: int) -> Merged:
        """See `Rule.merge`. A create that tells what already stands is `applied`, from whomever it comes."""
        merged = super().merge(state, change, version)
        if state is not None and change.op is Op.CREATE and _same_fact(state, change):
            return Merged(Outcome(Kind.APPLIED, merged.outcome.version), merged.state)
        return merged


def _same_fact(state: State, change: Change) -> bool:
    return all(name in state.fields and same_value(state.fields[name], value) for name, value in change.fields.items())


APPEND = register_rule(AppendRule("append", LATER_STAMP, good_for="Events, messages: facts that are only ever added."))
