"""Rule `lww`: the later stamp wins the whole record."""

from __future__ import annotations

from itertools import permutations

from conflict_rules import LWW, Kind, rule_by_name
from tests.conflict_rules.make import change, play


def test_it_is_registered_and_its_changes_carry_the_whole_record() -> None:
    assert LWW is rule_by_name("lww")
    assert LWW.whole_record


def test_of_two_concurrent_records_the_later_stands_as_a_whole_in_either_order() -> None:
    """Counterexample 5: as patches of name and of bio, the order of arrival would have decided what is left."""
    start = change("s", "create", 1, name="Ann", bio="-")
    name = change("a", "update", 10, base=1, name="Anna", bio="-")
    bio = change("b", "update", 11, base=1, name="Ann", bio="Keeper")
    for order in permutations([name, bio]):
        merged = play(LWW, start, *order)
        assert merged[-1].state is not None
        assert merged[-1].state.fields == {"name": "Ann", "bio": "Keeper"}


def test_who_loses_is_told_which_fields_another_change_stands_in() -> None:
    start = change("s", "create", 1, name="Ann", bio="-")
    winner = change("b", "update", 11, base=1, name="Ann", bio="Keeper")
    loser = change("a", "update", 10, base=1, name="Anna", bio="-")
    *_, merged = play(LWW, start, winner, loser)
    assert merged.outcome.kind is Kind.OVERRULED
    assert set(merged.outcome.lost) == {"name", "bio"}


def test_a_field_that_an_old_client_does_not_know_is_left_alone() -> None:
    *_, merged = play(LWW, change("s", "create", 1, name="Ann", photo="p"), change("a", "update", 9, base=1, name="Al"))
    assert merged.outcome.kind is Kind.APPLIED
    assert merged.state is not None
    assert merged.state.fields == {"name": "Al", "photo": "p"}
