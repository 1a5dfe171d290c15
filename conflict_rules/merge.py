"""Rule `merge`: a change is a patch; different fields combine, the same field goes to the later stamp."""

from __future__ import annotations

from conflict_rules.change import Change
from conflict_rules.field_merge import merge_fields
from conflict_rules.outcome import Merged
from conflict_rules.rule import Algebra, register_rule
from conflict_rules.state import State

__all__ = ["FieldMerge"]


class FieldMerge:
    """Two people who edit different fields of one record both keep their edit. For preferences, and by default."""

    name = "merge"
    algebra = Algebra(commutative=True, associative=True, idempotent=True)
    whole_record = False

    def merge(self, state: State | None, change: Change, version: int) -> Merged:
        """See `Rule.merge`."""
        return merge_fields(state, change, version)


MERGE = register_rule(FieldMerge())
