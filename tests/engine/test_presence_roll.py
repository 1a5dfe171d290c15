"""The roll of one scope: one entry for a replica, the first so many shown, the others counted."""

from __future__ import annotations

from syncd.engine.presence_roll import NOTHING_CHANGED, Roll, RollChange

A, B, C = b'{"a":1}', b'{"b":1}', b'{"c":1}'


def test_whoever_says_something_is_shown_until_he_is_gone() -> None:
    roll = Roll(64)
    assert roll.put("r1", 1, A) == RollChange(("r1",))
    assert (list(roll), roll.state("r1")) == (["r1"], A)
    assert roll.drop("r1", 1) == RollChange(("r1",))
    assert (list(roll), roll.state("r1")) == ([], None)


def test_saying_the_same_again_changes_nothing() -> None:
    roll = Roll(64)
    roll.put("r1", 1, A)
    assert roll.put("r1", 1, A) == NOTHING_CHANGED
    assert roll.put("r1", 1, B) == RollChange(("r1",))


def test_a_replica_on_two_sockets_is_one_entry_until_the_last_is_gone() -> None:
    roll = Roll(64)
    roll.put("r1", 1, A)
    assert roll.put("r1", 2, B) == RollChange(("r1",))
    assert (list(roll), roll.state("r1")) == (["r1"], B)
    assert roll.drop("r1", 1) == NOTHING_CHANGED
    assert roll.drop("r1", 2) == RollChange(("r1",))
    assert roll.state("r1") is None


def test_of_two_sockets_the_one_that_spoke_last_is_shown() -> None:
    roll = Roll(64)
    roll.put("r1", 1, A)
    roll.put("r1", 2, B)
    assert roll.put("r1", 1, C) == RollChange(("r1",))
    assert roll.state("r1") == C


def test_what_is_left_is_what_the_other_socket_says() -> None:
    roll = Roll(64)
    roll.put("r1", 1, A)
    roll.put("r1", 2, B)
    assert roll.drop("r1", 2) == RollChange(("r1",))
    assert roll.state("r1") == A


def test_two_sockets_that_renew_what_they_say_do_not_take_turns_in_it() -> None:
    roll = Roll(64)
    roll.put("r1", 1, A)
    roll.put("r1", 2, B)
    assert [roll.put("r1", 1, A), roll.put("r1", 2, B), roll.put("r1", 1, A)] == [NOTHING_CHANGED] * 3
    assert roll.state("r1") == B


def test_who_is_unknown_is_no_loss() -> None:
    roll = Roll(64)
    assert roll.drop("r1", 1) == NOTHING_CHANGED
    roll.put("r1", 1, A)
    assert roll.drop("r1", 2) == NOTHING_CHANGED
    assert roll.state("r1") == A


def test_of_more_than_are_shown_the_number_is_told() -> None:
    roll = Roll(2)
    roll.put("r1", 1, A)
    roll.put("r2", 2, A)
    assert roll.put("r3", 3, A) == RollChange(count=True)
    assert roll.put("r3", 3, B) == NOTHING_CHANGED
    assert (list(roll), roll.state("r3"), roll.more(None)) == (["r1", "r2"], None, 1)
    assert roll.more("r3") == 0, "nobody is told of himself"
    assert roll.drop("r3", 3) == RollChange(count=True)
    assert roll.more(None) == 0


def test_when_one_that_is_shown_goes_the_next_takes_the_place() -> None:
    roll = Roll(2)
    for number, replica in enumerate(("r1", "r2", "r3", "r4")):
        roll.put(replica, number, A)
    roll.put("r3", 2, C)
    assert roll.drop("r1", 0) == RollChange(("r1", "r3"), count=True)
    assert (list(roll), roll.state("r3"), roll.more(None)) == (["r2", "r3"], C, 1)
