"""What the person is shown: the confirmed state with the pending changes replayed over it, by the rules of the server.

Pure: no I/O, no clock. Knows nothing of files, numbers given out, or the network.

A pending change's marks carry a version above every real one, so that nothing is taken for seen because of it; the
replica's own marks count as seen by their origin (law 1).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from conflict_rules import Change, Mark, Outcome, Rule, State, apply_change
from conflict_rules.values import MAX_INTEGER

__all__ = [
    "ABOVE_ALL",
    "Pending",
    "base_in_past_of",
    "base_of",
    "is_included",
    "is_settled_by_page",
    "same_content",
    "show",
]

ABOVE_ALL: Final = MAX_INTEGER


@dataclass(frozen=True, slots=True)
class Pending:
    """A change that the confirmed state does not hold yet. `seq`: its place in the order made here."""

    seq: int
    change: Change


def show(rule: Rule, confirmed: State | None, pending: Iterable[Pending]) -> State | None:
    """The state shown: `pending` of one resource, in the order made, over its confirmed state."""
    state = confirmed
    for entry in pending:
        # A rule of the author's may raise: the server will reject that change, and nothing else is hidden by it.
        with suppress(Exception):
            state = apply_change(rule, state, entry.change, ABOVE_ALL + entry.seq).state
    return state


def base_of(
    confirmed: State | None, pending: Sequence[Pending], shown: State | None, fields: Collection[str] | None
) -> int:
    """Law 1: the base of an edit of `fields` (None: of the whole resource) made over `shown`.

    That is the version of the confirmed state. Where a pending value hides it in one of the fields, the person has
    not seen what is under it: the edit then inherits the base of that pending change, if it is lower. So it does where
    there is nothing but pending changes.
    """
    base = confirmed.version if confirmed is not None else pending[0].change.base if pending else 0
    if shown is None or not pending:
        return base
    if shown.deleted is not None:
        marks = [shown.deleted]
    elif fields is None:
        marks = list(shown.marks.values())
    else:
        marks = [shown.marks[name] for name in fields if name in shown.marks]
    hiding = {mark.version - ABOVE_ALL for mark in marks}
    return min([base, *(entry.change.base for entry in pending if entry.seq in hiding)])


def base_in_past_of(brought: State | None, held: State | None, base: int) -> int:
    """Laws 1 and 10: what is left of a base once the server has another past than the one it was shown of.

    Versions count anew from where the server was restored, so that the same number may stand for what nobody here has
    seen. The base claims all of `brought`, the resource as the server has it now, that was `held` here too, up to the
    first value that was not.
    """
    if brought is None:
        return 0
    known = set() if held is None else set(_marks(held))
    return min([base, brought.version, *(mark.version - 1 for mark in _marks(brought) if mark not in known)])


def is_settled_by_page(change: Change, replica: str, settled: int) -> bool:
    """Law 4: a page that says `settled` of `replica` in the change's scope holds whatever became of it."""
    return change.replica == replica and change.n <= settled


def is_included(change: Change, outcome: Outcome | None, version: int, origins: Mapping[str, int]) -> bool:
    """Whether confirmed states up to `version` of the change's scope hold whatever became of it.

    Told by its outcome, or by a state that came of it or of a later change of the same replica (`origins`: its
    highest number by replica), since numbers are settled in order and so take rising versions.
    """
    if outcome is not None and outcome.version <= version:
        return True
    return origins.get(change.replica, 0) >= change.n


def _marks(state: State) -> list[Mark]:
    return [*state.marks.values(), *([] if state.deleted is None else [state.deleted])]


def same_content(left: State | None, right: State | None) -> bool:
    """Whether a person would see the same in both: absent and deleted look alike."""
    if left is None or left.deleted is not None:
        return right is None or right.deleted is not None
    return right is not None and right.deleted is None and left.fields == right.fields
