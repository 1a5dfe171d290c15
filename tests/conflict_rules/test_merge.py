"""Rule `merge`: a change is a patch."""

from __future__ import annotations

from itertools import permutations

from conflict_rules import MERGE, Kind, rule_by_name
from tests.conflict_rules.make import change, play


def test_it_is_registered_and_its_changes_are_patches() -> None:
    assert MERGE is rule_by_name("merge")
    assert not MERGE.whole_record


def test_edits_of_different_fields_are_both_kept_in_either_order() -> None:
    start = change("a", "create", 10, theme="light", language="en")
    edits = [change("b", "update", 30, base=1, theme="dark"), change("c", "update", 20, base=1, language="ne")]
    for order in permutations(edits):
        *_, merged = play(MERGE, start, *order)
        assert merged.state is not None
        assert merged.state.fields == {"theme": "dark", "language": "ne"}


def test_edits_of_the_same_field_go_to_the_later_stamp_in_either_order() -> None:
    start = change("a", "create", 10, theme="light")
    edits = [change("b", "update", 30, base=1, theme="dark"), change("c", "update", 20, base=1, theme="sepia")]
    for order in permutations(edits):
        *_, merged = play(MERGE, start, *order)
        assert merged.state is not None
        assert merged.state.fields == {"theme": "dark"}


def test_a_resource_created_on_two_devices_combines_into_one() -> None:
    *_, merged = play(MERGE, change("a", "create", 10, theme="light"), change("b", "create", 20, language="ne"))
    assert merged.outcome.kind is Kind.MERGED
    assert merged.state is not None
    assert merged.state.fields == {"theme": "light", "language": "ne"}
