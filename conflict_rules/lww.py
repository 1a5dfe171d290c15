"""Rule `lww`: the later stamp wins the whole record. For profiles, and whatever is only right as a whole."""

from __future__ import annotations

from conflict_rules.change import Change
from conflict_rules.field_merge import merge_fields
from conflict_rules.outcome import Merged
from conflict_rules.rule import Algebra, register_rule
from conflict_rules.state import State

__all__ = ["LastWriteWins"]


class LastWriteWins:
    """A change carries the whole record as its replica knows it, so the later one stands in every field.

    With patches instead, the order of arrival would decide what survives (counterexample 5). A field that an older
    client does not know, and so does not carry, is left to the latest change that does: nothing unknown is erased.
    """

    name = "lww"
    algebra = Algebra(commutative=True, associative=True, idempotent=True)
    whole_record = True

    def merge(self, state: State | None, change: Change, version: int) -> Merged:
        """See `Rule.merge`."""
        return merge_fields(state, change, version)


LWW = register_rule(LastWriteWins())
