"""The mutants: what is broken, in which file, and how. Each is one replacement in the source as it is imported.

A replacement must fit exactly once, so that a mutant cannot quietly stop being one when its file changes: a test sees
to that. What a mutant breaks is said in a few words, those of the law where there is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["EQUIVALENT", "MUTANTS", "Mutant"]


@dataclass(frozen=True, slots=True)
class Mutant:
    """`module`: the file, as it is imported. `old` becomes `new`. `breaks`: what no longer holds."""

    name: str
    module: str
    old: str
    new: str
    breaks: str

    @property
    def path(self) -> str:
        """Of the file, from the root of the repository."""
        return self.module.replace(".", "/") + ".py"


_STATE = "conflict_rules.state"
_STAMP = "conflict_rules.stamp"
_FIELD = "conflict_rules.field_rule"
_LWW = "conflict_rules.later_stamp"
_RECORD = "conflict_rules.record_rule"
_DELETE = "conflict_rules.deletion"
_WINS = "conflict_rules.server_wins"
_COUNTER = "conflict_rules.counter"
_EXTREMES = "conflict_rules.extremes"
_SET = "conflict_rules.add_wins"
_OWN = "conflict_rules.own"
_SEVERAL = "conflict_rules.several"
_MANUAL = "conflict_rules.manual"
_APPEND = "conflict_rules.append"
_RULE_LWW = "conflict_rules.lww"
_CONFLICT = "conflict_rules.conflict"
_DISPUTES = "syncd.engine.disputes"
_APPLY = "syncd.engine.apply"
_SETTLE = "syncd.engine.settle"

_SEEN = "return self.version <= change.base or self.stamp.replica == change.replica"
_LATER = "if held is None or offer.has_seen(held.mark) or offer.stamp > held.mark.stamp:"

MUTANTS: Final[tuple[Mutant, ...]] = (
    # Laws 1 and 2, under every rule
    Mutant("seen-by-base-only", _STATE, _SEEN, "return self.version <= change.base", "law 1: seen by origin"),
    Mutant("seen-by-origin-only", _STATE, _SEEN, "return self.stamp.replica == change.replica", "law 1: seen by base"),
    Mutant("base-off-by-one", _STATE, _SEEN, _SEEN.replace("change.base", "change.base + 1"), "law 1: the base"),
    Mutant("base-too-strict", _STATE, _SEEN, _SEEN.replace("<=", "<"), "law 1: what was shown counts as seen"),
    Mutant("everything-is-seen", _STATE, _SEEN, "return True", "law 1: concurrent changes are told apart"),
    Mutant(
        "all-is-seen-by-one",
        _STATE,
        "all(mark.seen_by(change) for mark in self.marks.values())",
        "any(mark.seen_by(change) for mark in self.marks.values())",
        "applied only where every value was seen",
    ),
    Mutant(
        "no-drift-bound",
        _STAMP,
        "stamp if stamp.wall_ms <= bound_ms else Stamp(bound_ms, 0, stamp.replica)",
        "stamp",
        "law 2: no clock is believed beyond the bound",
    ),
    Mutant(
        "stamps-may-fall",
        _STAMP,
        "if after is not None and result <= after:",
        "if after is not None and result < after and False:",
        "law 2: a replica's stamps rise with its numbers",
    ),
    Mutant(
        "marks-never-rise",
        _FIELD,
        "stamp = offer.stamp if offer.stamp > old else old.next(offer.stamp.replica)",
        "stamp = offer.stamp",
        "law 2, counterexample 4: a low stamp on top of a high one",
    ),
    Mutant(
        "overwrite-forgets-the-version",
        _FIELD,
        "return Settled(Fate.TAKEN, Held(offer.value, Mark(offer.version, stamp), held.data))",
        "return Settled(Fate.TAKEN, Held(offer.value, Mark(held.mark.version, stamp), held.data))",
        "law 1: a mark names the version at which its field was set",
    ),
    Mutant(
        "equal-values-are-lost",
        _FIELD,
        "    if same_value(held.value, offer.value):\n        return Settled(Fate.SAME, held)\n    return",
        "    return",
        "nothing is lost where the values are equal",
    ),
    # lww, merge, append
    Mutant(
        "stamps-only", _LWW, _LATER, "if held is None or offer.stamp > held.mark.stamp:", "law 2: seen beats stamped"
    ),
    Mutant("base-only", _LWW, _LATER, "if held is None or offer.has_seen(held.mark):", "law 2: stamps decide the rest"),
    Mutant(
        "earlier-stamp-wins", _LWW, _LATER, _LATER.replace("offer.stamp >", "offer.stamp <"), "the later stamp wins"
    ),
    Mutant("last-to-arrive-wins", _LWW, _LATER, "if True:", "arrival does not decide"),
    Mutant(
        "millisecond-ties",
        _LWW,
        _LATER,
        _LATER.replace("offer.stamp > held.mark.stamp", "offer.stamp.wall_ms > held.mark.stamp.wall_ms"),
        "law 2: stamps are compared whole",
    ),
    Mutant("lww-as-patches", _RULE_LWW, ", whole_record=True", "", "counterexample 5: an lww change is a whole record"),
    Mutant(
        "append-twice-is-two",
        _APPEND,
        "change.op is Op.CREATE and _same_fact(state, change)",
        "change.op is Op.CREATE and False",
        "the same fact told by two is applied for both",
    ),
    Mutant(
        "append-takes-any-fact-for-the-same",
        _APPEND,
        "and _same_fact(state, change)",
        "",
        "facts that differ are merged",
    ),
    Mutant(
        "unknown-fields-erased",
        _RECORD,
        "dict(state.fields) if state is not None else {}\n        self._marks",
        "{name: value for name, value in state.fields.items() if name in change.fields} if state is not None else {}\n"
        "        self._marks",
        "a field that a change does not name is left alone",
    ),
    Mutant(
        "overruled-when-any-is-lost",
        _RECORD,
        "if lost and len(lost) == len(self._settled):",
        "if lost:",
        "overruled only where every field is lost",
    ),
    Mutant(
        "origin-kept", _RECORD, "marks=self._marks, origin=origin,", "marks=self._marks,", "a state tells its origin"
    ),
    # server_wins
    Mutant(
        "server-wins-by-stamp",
        _WINS,
        "if held is None or offer.has_seen(held.mark):",
        "if held is None or offer.has_seen(held.mark) or offer.stamp > held.mark.stamp:",
        "arrival decides, not the stamp",
    ),
    Mutant(
        "server-always-wins",
        _WINS,
        "if held is None or offer.has_seen(held.mark):",
        "if held is None:",
        "who has seen the value may change it",
    ),
    Mutant(
        "server-never-wins", _WINS, "if held is None or offer.has_seen(held.mark):", "if True:", "a stale base loses"
    ),
    # counter
    Mutant("counter-sets", _COUNTER, "total = before + increment", "total = increment", "increments add up"),
    Mutant(
        "counter-adds-what-it-has-seen",
        _COUNTER,
        "total = before + increment",
        "total = before + increment if offer.has_seen(held.mark) else before",
        "an increment is never lost",
    ),
    Mutant(
        "counter-takes-the-greater",
        _COUNTER,
        "total = before + increment",
        "total = max(before, before + increment)",
        "it counts down too",
    ),
    Mutant(
        "counter-takes-plain-numbers",
        _COUNTER,
        "elif not offer.makes_new:",
        "elif False:",
        "an update says by how much",
    ),
    Mutant(
        "counter-without-bounds",
        _COUNTER,
        "if abs(total) > MAX_INTEGER:",
        "if abs(total) > MAX_INTEGER * 4:",
        "a sum stays within 2^53-1",
    ),
    # max, min
    Mutant(
        "max-is-min", _EXTREMES, "return bool(offered > held)", "return bool(offered < held)", "the greatest stands"
    ),
    Mutant("min-is-max", _EXTREMES, "return bool(offered < held)", "return bool(offered > held)", "the least stands"),
    Mutant(
        "max-for-those-who-have-seen",
        _EXTREMES,
        "_kind(held.value) is None or self._beats(offer.value, held.value):",
        "offer.has_seen(held.mark) or self._beats(offer.value, held.value):",
        "a lesser value never stands, seen or not",
    ),
    Mutant(
        "max-of-any-kind",
        _EXTREMES,
        "(held is not None and _kind(held.value) not in (kind, None))",
        "False",
        "of one kind for ever",
    ),
    Mutant(
        "equal-extreme-is-lost",
        _EXTREMES,
        "        if offer.value == held.value:\n            return Settled(Fate.SAME, held)\n",
        "",
        "an equal value is not lost",
    ),
    # set
    Mutant(
        "set-removes-what-it-has-not-seen",
        _SET,
        "return [dot for dot in _marks(dots, element) if not offer.has_seen(dot)]",
        "return []",
        "add wins over a remove that has not seen it",
    ),
    Mutant(
        "set-never-removes",
        _SET,
        "return [dot for dot in _marks(dots, element) if not offer.has_seen(dot)]",
        "return _marks(dots, element)",
        "a remove takes away what it has seen",
    ),
    Mutant(
        "set-keeps-old-dots",
        _SET,
        "_put(dots, element, [*_unseen(dots, element, offer), *(own",
        "_put(dots, element, [*_marks(dots, element), *(own",
        "an add takes away the dots it has seen",
    ),
    Mutant(
        "set-adds-only-once",
        _SET,
        "[*_unseen(dots, element, offer), *(own or [offer.mark])]",
        "_unseen(dots, element, offer) or own or [offer.mark]",
        "each add has a dot of its own",
    ),
    Mutant(
        "set-adds-first",
        _SET,
        "        elements: list[JsonValue] = [dots[key][0] for key in sorted(dots)]",
        "        for element in edit.remove:\n            _take_away(dots, element, offer)\n"
        "        elements: list[JsonValue] = [dots[key][0] for key in sorted(dots)]",
        "of an add and a remove in one change the remove comes first",
    ),
    Mutant(
        "set-unsorted",
        _SET,
        "[dots[key][0] for key in sorted(dots)]\n        return",
        "[dots[key][0] for key in dots]\n        return",
        "a set is shown sorted",
    ),
    Mutant(
        "set-one-is-true",
        _SET,
        "    return canonical_json(element)",
        "    return canonical_json(int(element) if isinstance(element, bool) else element)",
        "true is not 1",
    ),
    # An author's own
    Mutant(
        "own-always-asked",
        _MANUAL,
        "        if offer.has_seen(held.mark):\n            return edit_in_sight(held, offer)\n        if same",
        "        if same",
        "a function is asked only where neither has seen the other",
    ),
    Mutant(
        "own-hears-them-swapped",
        _OWN,
        "offer.change.was.get(offer.name), offer.value, held.value)",
        "offer.change.was.get(offer.name), held.value, offer.value)",
        "mine is what arrives",
    ),
    Mutant(
        "own-hears-no-base", _OWN, "offer.change.was.get(offer.name),", "None,", "the base is what the person was shown"
    ),
    Mutant(
        "own-mark-is-whose-it-was", _OWN, "shared_mark(held.mark, offer)", "held.mark", "a new value has a new mark"
    ),
    Mutant(
        "own-declared-gives-way-in-sight",
        _OWN,
        "if self.replaced_in_sight or held is None or",
        "if held is not None or held is None or",
        "where order is not to matter, a function is asked in sight too",
    ),
    # manual, and its questions
    Mutant(
        "manual-takes-what-it-has-not-seen",
        _MANUAL,
        "return self.disagree(held, offer)",
        "return overwrite(held, offer)",
        "values that disagree are a question",
    ),
    Mutant(
        "manual-asks-about-equal-values",
        _MANUAL,
        "            return Settled(Fate.SAME, held)\n        return self.disagree",
        "            pass\n        return self.disagree",
        "equal values do not disagree",
    ),
    Mutant(
        "whole-row-write-settles",
        _MANUAL,
        "    if same_value(held.value, offer.value):\n        # A whole",
        "    if False:\n        # A whole",
        "law 8: writing back the accepted value chooses nothing",
    ),
    Mutant(
        "edits-never-settle",
        _MANUAL,
        "return _ended(settled, dispute, offer) if dispute.version <= offer.change.base else settled",
        "return settled",
        "law 8: an edit that has seen the question settles it",
    ),
    Mutant(
        "any-edit-settles",
        _MANUAL,
        "return _ended(settled, dispute, offer) if dispute.version <= offer.change.base else settled",
        "return _ended(settled, dispute, offer)",
        "law 8: only an edit that has seen the question settles it",
    ),
    Mutant(
        "settles-any-conflict",
        _MANUAL,
        "if held is None or dispute is None or dispute.conflict != offer.change.conflict:",
        "if held is None or dispute is None:",
        "law 8: a settlement names its conflict",
    ),
    Mutant(
        "first-settlement-stands",
        _MANUAL,
        "if not dispute.open and not offer.has_seen(held.mark) and offer.stamp <= held.mark.stamp:",
        "if not dispute.open and not offer.has_seen(held.mark):",
        "of two settlements the later stands",
    ),
    Mutant(
        "last-settlement-stands",
        _MANUAL,
        "if not dispute.open and not offer.has_seen(held.mark) and offer.stamp <= held.mark.stamp:",
        "if False:",
        "of two settlements the later stands, whichever comes first",
    ),
    Mutant(
        "candidates-forgotten",
        _CONFLICT,
        'self.fields["candidates"] = [first, *others, candidate]',
        'self.fields["candidates"] = [first, candidate]',
        "a conflict keeps every candidate",
    ),
    Mutant(
        "candidates-doubled",
        _CONFLICT,
        'others = [other for other in others if other.get("replica") != change.replica]',
        "others = list(others)",
        "law 1: what a replica says later takes the place of what it said before",
    ),
    Mutant(
        "settlement-not-kept",
        _CONFLICT,
        'if self.fields["settlement"] is not None:',
        "if False:",
        "an earlier settlement is put aside, not forgotten",
    ),
    Mutant(
        "loser-is-not-told",
        _DISPUTES,
        'if outcome.code != "settled_otherwise" or',
        "if True or",
        "of two settlements both are seen in the conflict",
    ),
    Mutant(
        "back-without-its-question",
        _CONFLICT,
        "return now.open or was != now",
        "return was != now",
        "what was in dispute before a delete is asked again when the resource is back",
    ),
    Mutant(
        "clients-may-edit-conflicts",
        _APPLY,
        "if change.type == CONFLICT_TYPE and change.op is not Op.SETTLE:",
        "if False:",
        "law 7: conflicts change by settlements only",
    ),
    # Numbers, groups, bases: the engine
    Mutant(
        "base-beyond-the-head-counts",
        _APPLY,
        "base = change.base if change.base <= self._workspace.head(change.scope) else 0",
        "base = change.base",
        "law 10: a version that was never reached was not shown",
    ),
    Mutant(
        "group-takes-effect-in-parts",
        _SETTLE,
        "            workspace.undo(start)\n",
        "",
        "a group is applied as a whole, or not",
    ),
    # What several have made
    Mutant(
        "several-belong-to-the-last",
        _SEVERAL,
        "Stamp(later.wall_ms, later.count, SEVERAL)",
        "Stamp(later.wall_ms, later.count, offer.stamp.replica)",
        "law 1: nobody has seen what he made only in part",
    ),
    Mutant(
        "several-take-the-arriving-stamp",
        _SEVERAL,
        "later = max(mark.stamp, offer.stamp)",
        "later = offer.stamp",
        "a shared mark has the later stamp",
    ),
    # Deletes, restores, unknown ids
    Mutant(
        "update-resurrects",
        _DELETE,
        '    raise InvalidValue("unknown_resource", "id", message)',
        "    return rule.merge(None, change, version)",
        "law 9: never a resurrection",
    ),
    Mutant(
        "delete-loses",
        _DELETE,
        "if rule.deletes is Deletes.UPDATE_WINS and not seen and change.op is not Op.SETTLE:",
        "if not seen and change.op is not Op.SETTLE:",
        "delete_wins: a delete stands",
    ),
    Mutant(
        "delete-wins-anyway",
        _DELETE,
        "if rule.deletes is Deletes.UPDATE_WINS and not seen and change.op is not Op.SETTLE:",
        "if False:",
        "update_wins: an edit that has not seen the delete brings the resource back",
    ),
    Mutant(
        "seen-delete-is-ignored",
        _DELETE,
        "    if seen:\n        raise",
        "    if False:\n        raise",
        "an edit of what was seen deleted is rejected",
    ),
    Mutant(
        "delete-of-unseen-edits",
        _DELETE,
        "    if not seen:\n        message",
        "    if False:\n        message",
        "update_wins: a delete that has not seen an edit is overruled",
    ),
    Mutant(
        "kept-state-forgotten",
        _DELETE,
        "before = replace(state, deleted=None) if state.fields else None",
        "before = None",
        "update_wins: what comes back is what was kept",
    ),
    Mutant(
        "tombstone-under-an-old-version",
        _DELETE,
        "    mark = Mark(version, change.stamp)\n    if rule.deletes",
        "    mark = Mark(state.version, change.stamp)\n    if rule.deletes",
        "a delete is seen from its own version on",
    ),
)

EQUIVALENT: Final[dict[str, str]] = {}
"""Mutants that change nothing anybody could see, each with the reason."""
