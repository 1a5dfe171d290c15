"""Record rules: a change is laid over a resource field by field, each by the rule of that field (law 2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from conflict_rules.algebra import Algebra, of_all
from conflict_rules.change import Change, Op
from conflict_rules.deletes import Deletes
from conflict_rules.dispute import conflict_id
from conflict_rules.field_rule import Fate, FieldRule, Held, Offer, Settled
from conflict_rules.later_stamp import LATER_STAMP
from conflict_rules.outcome import Kind, Merged, Outcome
from conflict_rules.state import Mark, Origin, State
from conflict_rules.values import InvalidValue, JsonValue

__all__ = ["RecordRule"]

_KEPT: Final = "; this one is kept in the history"


@dataclass(frozen=True)
class RecordRule:
    """A rule for a whole resource: what every field does, unless it has a rule of its own.

    `good_for`: for what a type chooses it. `whole_record`: an update carries every field its replica knows, rather
    than only what the person touched. `deletes`: what becomes of a delete and an edit that have not seen each other.
    """

    name: str
    default: FieldRule
    fields: Mapping[str, FieldRule] = field(default_factory=dict)
    whole_record: bool = False
    deletes: Deletes = Deletes.DELETE_WINS
    good_for: str = ""

    @property
    def algebra(self) -> Algebra:
        """See `Rule.algebra`: what all of its fields promise."""
        return of_all([self.default.algebra, *(rule.algebra for rule in self.fields.values())])

    def field_rule(self, name: str) -> FieldRule:
        """See `Rule.field_rule`."""
        return self.fields.get(name, self.default)

    def having(
        self, fields: Mapping[str, FieldRule] | None = None, deletes: Deletes = Deletes.DELETE_WINS
    ) -> RecordRule:
        """The same rule for a type whose fields have rules of their own, or whose deletes do."""
        return replace(self, fields=dict(fields or {}), deletes=deletes)

    def merge(self, state: State | None, change: Change, version: int) -> Merged:
        """See `Rule.merge`."""
        if change.op is Op.SETTLE:
            self._check_settlement(change)
        elif state is None and self._takes_as_they_are(change.fields):
            return _created(change, version)
        taken = _Fields(state, change, version)
        mark = Mark(version, change.stamp)
        rules, default = self.fields, self.default
        for name, value in change.fields.items():
            rule = rules.get(name, default)
            taken.settle(name, rule.merge(taken.held(name), Offer(name, value, change, version, mark)))
        return taken.merged()

    def _takes_as_they_are(self, names: Iterable[str]) -> bool:
        """Whether each of these fields, while it was never set, takes what it is offered: most changes are creations
        of such fields, and need no asking field by field."""
        if self.default is not LATER_STAMP:
            return False
        rules = self.fields
        return not rules or all(rules.get(name, LATER_STAMP) is LATER_STAMP for name in names)

    def _check_settlement(self, change: Change) -> None:
        """Law 8: it names one conflict, which is about one field."""
        if len(change.fields) != 1:
            raise InvalidValue("no_such_conflict", "fields", "fields: a settlement sets one field, the one in dispute")
        (name,) = change.fields
        if not self.field_rule(name).asks:
            raise InvalidValue("no_such_conflict", "conflict", f"conflict: {name} is merged without asking anybody")


def _created(change: Change, version: int) -> Merged:
    """What comes of a change whose fields were never set, and take what they are offered."""
    marks = dict.fromkeys(change.fields, Mark(version, change.stamp))
    origin = Origin(change.replica, change.n)
    state = State(change.scope, change.type, change.id, version, dict(change.fields), marks, origin)
    return Merged(Outcome(Kind.APPLIED, version), state)


class _Fields:
    """The fields of a resource while a change is laid over them."""

    def __init__(self, state: State | None, change: Change, version: int) -> None:
        self._state = state
        self._change = change
        self._version = version
        self._fields: dict[str, JsonValue] = dict(state.fields) if state is not None else {}
        self._marks: dict[str, Mark] = dict(state.marks) if state is not None else {}
        self._data: dict[str, JsonValue] = dict(state.rule_data) if state is not None else {}
        self._settled: dict[str, Settled] = {}

    def held(self, name: str) -> Held | None:
        """What the field holds; None if it was never set."""
        mark = self._marks.get(name)
        return None if mark is None else Held(self._fields[name], mark, self._data.get(name))

    def settle(self, name: str, settled: Settled) -> None:
        """Put down what was decided."""
        self._settled[name] = settled
        held = settled.held
        if settled.fate not in (Fate.TAKEN, Fate.ASKED):
            return
        self._fields[name], self._marks[name] = held.value, held.mark
        if held.data is None:
            self._data.pop(name, None)
        else:
            self._data[name] = held.data

    def merged(self) -> Merged:
        """The outcome, and the state that results."""
        state, fates = self._state, {settled.fate for settled in self._settled.values()}
        moved = Fate.TAKEN in fates or Fate.ASKED in fates
        if state is not None and not moved:
            return Merged(self._outcome(state, state.version), state)
        origin = Origin(self._change.replica, self._change.n)
        if state is None:
            change = self._change
            created = State(
                change.scope, change.type, change.id, self._version, self._fields, self._marks, origin, None, self._data
            )
            return Merged(self._outcome(None, self._version), created)
        after = replace(
            state, version=self._version, fields=self._fields, marks=self._marks, origin=origin, rule_data=self._data
        )
        return Merged(self._outcome(state, self._version), after)

    def _outcome(self, state: State | None, version: int) -> Outcome:
        lost = {name: settled for name, settled in self._settled.items() if settled.fate in (Fate.LOST, Fate.ASKED)}
        asked = {name: settled for name, settled in lost.items() if settled.fate is Fate.ASKED}
        if asked:
            name, first = next(iter(asked.items()))
            ids = tuple(conflict_id(self._change.type, self._change.id, name) for name in asked)
            return Outcome(Kind.CONFLICT, version, first.code, first.why, name, tuple(lost), ids)
        if lost and len(lost) == len(self._settled):
            first = next(iter(lost.values()))
            return Outcome(Kind.OVERRULED, version, first.code, first.why + _KEPT, lost=tuple(lost))
        seen = state is None or state.seen_by(self._change)
        return Outcome(Kind.APPLIED if seen else Kind.MERGED, version, lost=tuple(lost))
