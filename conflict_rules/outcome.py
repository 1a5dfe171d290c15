"""What became of a change: a value, never an exception, so that one bad change cannot stop a queue (invariant 6)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from conflict_rules.quick_to_make import quick_to_make
from conflict_rules.state import State

__all__ = ["Kind", "Merged", "Outcome"]


class Kind(StrEnum):
    """The six fates of a change."""

    APPLIED = "applied"
    """As intended, on the state that the person was shown."""
    MERGED = "merged"
    """It took effect beside concurrent changes; `lost` names the fields in which another change stands."""
    OVERRULED = "overruled"
    """A concurrent change stands in every field it touched; it is kept in the history (invariant 5)."""
    CONFLICT = "conflict"
    """A person is asked to choose; both sides are kept."""
    REJECTED = "rejected"
    """It could not be applied; it is kept in the quarantine with the reason."""
    RETRY_LATER = "retry_later"
    """Not settled: the same change may be sent again."""

    @property
    def took_effect(self) -> bool:
        """Whether the state holds something of the change, were it only that there is a question."""
        return self in (Kind.APPLIED, Kind.MERGED, Kind.CONFLICT)


@quick_to_make
@dataclass(frozen=True, slots=True)
class Outcome:
    """One change's fate.

    `version`: the version of the scope that holds the result. `code`, `message`, `field`: why, as stable text, as
    a sentence, and where in the change. `lost`: the fields in which another change stands. `conflicts`: the ids of the
    conflicts that it opened or widened. `told`: the fields that it did not set, since its author may not: it only said
    what they held.
    """

    kind: Kind
    version: int = 0
    code: str | None = None
    message: str | None = None
    field: str | None = None
    lost: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    told: tuple[str, ...] = ()


@quick_to_make
@dataclass(frozen=True, slots=True)
class Merged:
    """What a rule makes of a state and a change: the outcome, and the state that results.

    `state` is None or the very object that was passed in where the change has no effect; then it takes no version.
    """

    outcome: Outcome
    state: State | None
