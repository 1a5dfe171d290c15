"""An app with a rule that does not forgive: every tap counts, so one that is applied twice, or not at all, shows."""

from __future__ import annotations

from conflict_rules import Algebra, Change, Kind, Mark, Merged, Origin, Outcome, State
from syncd.app import App, Resource

__all__ = ["Counter", "taps"]


class Tally:
    """Adds up; the opposite of idempotent."""

    name = "tally"
    algebra = Algebra(commutative=True, associative=True, idempotent=False)
    whole_record = False

    def merge(self, state: State | None, change: Change, version: int) -> Merged:
        count = 0 if state is None else state.fields["count"]
        assert isinstance(count, int)
        added = change.fields["count"]
        assert isinstance(added, int)
        mark = {"count": Mark(version, change.stamp)}
        origin = Origin(change.replica, change.n)
        merged = State(change.scope, change.type, change.id, version, {"count": count + added}, mark, origin)
        return Merged(Outcome(Kind.APPLIED, version), merged)


taps = App("taps")


@taps.resource(scope="main", rule=Tally())
class Counter(Resource):
    """Counts taps; an update says how many to add."""

    count: int
