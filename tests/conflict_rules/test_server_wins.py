"""`conflict_rules.server_wins`: arrival decides, and who is turned away decides anew on what he is shown."""

from __future__ import annotations

from itertools import permutations

import pytest

from conflict_rules import SERVER_WINS, Kind
from tests.conflict_rules.make import change, only, play, stamp

FREE = change("a", "create", 10, place="free")


@pytest.mark.parametrize("at", [5, 99])
def test_what_was_made_on_a_stale_base_is_turned_away_whatever_its_stamp(at: int) -> None:
    *_, taken, turned_away = play(
        SERVER_WINS,
        FREE,
        change("b", "update", 20, base=1, place="b"),
        change("c", "update", at, base=1, place="c"),
    )
    assert turned_away.state is taken.state
    assert (turned_away.outcome.kind, turned_away.outcome.code) == (Kind.OVERRULED, "stale_base")
    assert (turned_away.outcome.lost, turned_away.outcome.version) == (("place",), 2)


def test_the_first_to_arrive_stands_in_either_order() -> None:
    edits = [change("b", "update", 30, base=1, place="b"), change("c", "update", 20, base=1, place="c")]
    for first, second in permutations(edits):
        *_, last = play(SERVER_WINS, FREE, first, second)
        assert only(last.state) == dict(first.fields)


@pytest.mark.parametrize("at", [5, 99])
def test_whoever_has_seen_what_is_held_takes_the_field_whatever_his_clock_and_stands_above_it(at: int) -> None:
    created, taken = play(SERVER_WINS, FREE, change("b", "update", at, base=1, place="b"))
    assert (taken.outcome.kind, only(taken.state)) == (Kind.APPLIED, {"place": "b"})
    assert created.state is not None
    assert taken.state is not None
    assert taken.state.marks["place"].stamp > created.state.marks["place"].stamp
    assert taken.state.marks["place"].stamp.replica == "b"


def test_who_is_turned_away_may_take_it_once_he_has_been_shown() -> None:
    *_, last = play(
        SERVER_WINS,
        FREE,
        change("b", "update", 20, base=1, place="b"),
        change("c", "update", 30, base=1, place="c"),
        change("c", "update", 5, n=2, base=2, place="c"),
    )
    assert (last.outcome.kind, only(last.state)) == (Kind.APPLIED, {"place": "c"})


def test_a_replicas_own_queue_is_a_sequence_on_one_base() -> None:
    *_, last = play(
        SERVER_WINS,
        FREE,
        change("b", "update", 30, base=1, place="b"),
        change("b", "update", 20, n=2, base=1, place="c"),
    )
    assert (last.outcome.kind, only(last.state)) == (Kind.APPLIED, {"place": "c"})


def test_a_queue_whose_head_is_turned_away_is_turned_away_to_its_end() -> None:
    *_, head, rest = play(
        SERVER_WINS,
        FREE,
        change("b", "update", 20, base=1, place="b"),
        change("c", "update", 30, base=1, place="c"),
        change("c", "update", 40, n=2, base=1, place="d"),
    )
    assert [head.outcome.code, rest.outcome.code] == ["stale_base", "stale_base"]
    assert only(rest.state) == {"place": "b"}


def test_the_same_value_from_two_is_turned_away_from_neither_and_takes_no_version() -> None:
    *_, first, second = play(
        SERVER_WINS,
        FREE,
        change("b", "update", 20, base=1, place="cup"),
        change("c", "update", 30, base=1, place="cup"),
    )
    assert second.state is first.state
    assert (second.outcome.kind, second.outcome.lost) == (Kind.MERGED, ())
    assert first.state is not None
    assert first.state.marks["place"].stamp == stamp("b", 20)


def test_staleness_is_of_the_field_and_a_field_never_set_is_free_to_all() -> None:
    *_, met = play(
        SERVER_WINS,
        change("a", "create", 10, place="free", seats=2),
        change("b", "update", 20, base=1, place="b"),
        change("c", "update", 5, base=1, place="c", seats=1, note="window"),
    )
    assert (met.outcome.kind, met.outcome.lost) == (Kind.MERGED, ("place",))
    assert only(met.state) == {"place": "b", "seats": 1, "note": "window"}
