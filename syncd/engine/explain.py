"""Explain: why does a resource say this? Which change set each value, by what law, and what became of the others.

Pure: takes the entries of one resource, oldest first, and its state as of now. Keeps no more of them than it tells.
What somebody sent who may not write there is passed over: it never could have set a value, and however much of it there
is, it pushes nothing out of what is told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from conflict_rules import CONFLICT_TYPE, Kind, Op, Outcome, Rule, State
from conflict_rules.own import Own
from conflict_rules.values import JsonValue
from syncd.engine.admission import is_denied
from syncd.engine.entry import Entry, read_entry
from syncd.engine.reasons import why_deleted, why_lost, why_taken
from syncd.engine.retrace import Lift, Retrace, Step
from syncd.store.protocol import LedgerRow

__all__ = ["MAX_CANDIDATES", "Explainer"]

MAX_CANDIDATES: Final = 100
"""Told of each field: the newest; how many there were before them is told too."""
_KEPT: Final = "the server keeps it; it follows from the changes to what it is about, which can be explained"
_JOINING: Final = frozenset({"counter", "set", "crdt"})
"""Rules under which a value is the work of all, so that a later change takes the place of none."""


@dataclass(slots=True)
class _Candidate:
    """A change that would have a field hold something. `fate`: stands, part, overwritten, same, lost, asked, rejected
    or deleted. `by`: the change that took its place.
    """

    entry: Entry
    value: JsonValue
    fate: str
    because: str
    by: Entry | None = None

    def as_dict(self) -> dict[str, JsonValue]:
        entry = self.entry
        told: dict[str, JsonValue] = {"replica": entry.replica, "n": entry.n, "who": entry.name, "op": entry.op}
        told |= {"value": self.value, "fate": self.fate, "because": self.because, "arrived_at_ms": entry.at_ms}
        if entry.author is not None:
            told["author"] = {"replica": entry.author[0], "n": entry.author[1]}
        if entry.stamp is not None:
            told["made_at_ms"] = entry.stamp.wall_ms
        if entry.outcome.kind.took_effect:
            told["version"] = entry.outcome.version
        if self.by is not None:
            told["by"] = {"replica": self.by.replica, "n": self.by.n, "who": self.by.name}
        return told


@dataclass(slots=True)
class _Field:
    """`holder`: whose value it is, or who joined it last."""

    holder: _Candidate | None = None
    candidates: deque[_Candidate] = field(default_factory=lambda: deque(maxlen=MAX_CANDIDATES))
    told: int = 0

    def add(self, candidate: _Candidate) -> None:
        self.candidates.append(candidate)
        self.told += 1


class Explainer:
    """One resource, or one field of it. `rule`: of its type, None where the app is not known. `tells_why`: whether the
    sentence of an outcome is told; else its code alone is.
    """

    def __init__(
        self,
        rule: Rule | None,
        *,
        field: str | None = None,
        lift: Lift | None = None,
        tells_why: Callable[[Outcome], bool] = lambda outcome: True,
    ) -> None:
        self._rule = rule
        self._only = field
        self._tells_why = tells_why
        self._retrace = Retrace(rule, lift)
        self._fields: dict[str, _Field] = {}
        self._life = _Field()
        self._changes = 0

    def take(self, rows: Iterable[LedgerRow]) -> None:
        """The next rows of the resource's history, oldest first."""
        for row in rows:
            entry = read_entry(row)
            if is_denied(entry.outcome):
                continue
            self._changes += 1
            if not self._tells_why(entry.outcome):
                entry = replace(entry, outcome=replace(entry.outcome, message=None))
            step = self._retrace.take(entry)
            self._take_life(step)
            for name, value in step.entry.fields.items():
                if self._only in (None, name):
                    self._take_field(step, name, value)

    def told(
        self, key: tuple[str, str], state: State | None, shows: Callable[[str], bool] = lambda name: True
    ) -> dict[str, JsonValue]:
        """The explanation. `state`: of the same moment as the last of the rows. `shows`: whether a field is told of."""
        living = state is not None and state.deleted is None
        names = {*self._fields, *(state.fields if state is not None and living else ())}
        told: dict[str, JsonValue] = {
            "type": key[0],
            "id": key[1],
            "stands": "living" if living else "deleted" if state is not None else "nothing",
            "changes": self._changes,
            "exact": self._retrace.exact,
            "because": self._why(state),
        }
        if state is not None:
            told |= {"scope": state.scope, "version": state.version}
        if self._rule is not None:
            told["rule"] = self._rule.name
        told["fields"] = [
            self._told_field(name, state if living else None)
            for name in sorted(names)
            if self._only in (None, name) and shows(name)
        ]
        told["life"] = [candidate.as_dict() for candidate in reversed(self._life.candidates)]
        return told

    def _told_field(self, name: str, state: State | None) -> JsonValue:
        known = self._fields.get(name, _Field())
        told: dict[str, JsonValue] = {"field": name}
        rule = self._rule_of(name)
        if rule is not None:
            told["rule"] = rule
        if state is not None and name in state.fields:
            told |= {"value": state.fields[name], "version": state.marks[name].version}
            holder = known.holder
            if holder is not None and holder.entry.outcome.version == state.marks[name].version:
                told |= {"set_by": holder.as_dict(), "because": holder.because}
            else:
                told["because"] = (
                    _KEPT if state.type == CONFLICT_TYPE else "the change that set it is not kept any more"
                )
        else:
            told["because"] = "it holds no value"
        told["candidates"] = [each.as_dict() for each in reversed(known.candidates) if each is not known.holder]
        told["older"] = known.told - len(known.candidates)
        return told

    def _why(self, state: State | None) -> str:
        if self._life.holder is not None and state is not None:
            return self._life.holder.because
        if state is not None:
            return _KEPT if state.type == CONFLICT_TYPE else "its beginning is not kept any more"
        return "there is no such resource" if self._changes else "nothing was ever sent about it"

    def _take_life(self, step: Step) -> None:
        """What makes the resource live or end."""
        entry, change = step.entry, step.change
        lived = step.before is not None and step.before.deleted is None
        lives = step.after is not None and step.after.deleted is None
        if lives != lived:
            verb = {Op.DELETE: "deleted", Op.RESTORE: "brought back"}.get(change.op if change else Op.CREATE, "created")
            verb = "brought back" if lives and step.before is not None else verb
            candidate = _Candidate(entry, None, "stands", f"{verb} by {entry.name} at version {entry.outcome.version}")
            if self._life.holder is not None:
                self._life.holder.fate, self._life.holder.by = "overwritten", entry
            self._life.holder = candidate
            self._life.add(candidate)
            if not lives:
                self._end_fields(entry)
        elif entry.op in (Op.DELETE, Op.RESTORE) or (entry.op == Op.CREATE and not entry.fields):
            fate = "same" if entry.outcome.kind is Kind.APPLIED else _lost_fate(step)
            because = entry.outcome.message or why_deleted(step) if fate != "same" else "it was so already"
            self._life.add(_Candidate(entry, None, fate, because))

    def _end_fields(self, entry: Entry) -> None:
        for known in self._fields.values():
            if known.holder is not None:
                known.holder.fate, known.holder.by, known.holder = "deleted", entry, None

    def _take_field(self, step: Step, name: str, value: JsonValue) -> None:
        known = self._fields.setdefault(name, _Field())
        rule, joins, entry = self._rule_of(name), self._joins(name), step.entry
        mark = None if step.after is None else step.after.marks.get(name)
        if step.moved and mark is not None and mark.version == entry.outcome.version and name not in entry.outcome.lost:
            candidate = _Candidate(entry, value, "stands", why_taken(step, name, rule, joins=joins))
            if known.holder is not None:
                known.holder.fate, known.holder.by = "overwritten", entry
                if rule in _JOINING:
                    known.holder.fate, known.holder.by = "part", None
            known.holder = candidate
        elif name in entry.outcome.told or (
            entry.outcome.kind in (Kind.APPLIED, Kind.MERGED) and name not in entry.outcome.lost
        ):
            candidate = _Candidate(entry, value, "same", "it is what the field held already")
        else:
            candidate = _Candidate(entry, value, _lost_fate(step), why_lost(step, name, rule, joins=joins))
        known.add(candidate)

    def _rule_of(self, name: str) -> str | None:
        return None if self._rule is None else self._rule.field_rule(name).name

    def _joins(self, name: str) -> bool:
        rule = None if self._rule is None else self._rule.field_rule(name)
        return isinstance(rule, Own) and not rule.replaced_in_sight


def _lost_fate(step: Step) -> str:
    kind = step.entry.outcome.kind
    return {Kind.REJECTED: "rejected", Kind.CONFLICT: "asked"}.get(kind, "lost")
