"""Who is on the field follows from the line-up and the substitutions, whatever becomes of them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conflict_rules import Change, Mark, Op, Stamp, apply_change, rule_by_name
from syncd.app import Resource
from syncd.apps.grassroots import Lineup
from tests.apps.grassroots.make import SCOPE, a_match, change, listed, state_of, states_of, view_of, view_of_states

STARTERS = ["Ada", "Bo", "Cy"]
TEAM = [*(listed(name) for name in STARTERS), listed("Di", starter=False), listed("Ed", starter=False)]


def home(*resources: Resource) -> list[str]:
    return names(view_of("on_field", *resources))


def names(seen: dict[str, Any]) -> list[str]:
    return [person["player"] for person in seen["home"]]


def test_before_anything_was_entered_nobody_is_known() -> None:
    assert view_of("on_field") == view_of("on_field", a_match()) == {"home": [], "away": [], "unclear": []}


def test_at_kick_off_it_is_the_starters_by_shirt_number() -> None:
    seen = view_of(
        "on_field",
        listed("Ada"),
        listed("Bo", shirt_number=10, position="left wing", player_id="p10"),
        listed("Cy", shirt_number=1),
        listed("Di", shirt_number=12, starter=False),
        listed("Zoe", team="away", shirt_number=9),
    )
    assert seen["home"] == [
        {"player_id": None, "player": "Cy", "shirt_number": 1, "position": None},
        {"player_id": "p10", "player": "Bo", "shirt_number": 10, "position": "left wing"},
        {"player_id": None, "player": "Ada", "shirt_number": None, "position": None},
    ]
    assert [person["player"] for person in seen["away"]] == ["Zoe"]


def test_who_comes_on_takes_the_place_of_who_goes_off() -> None:
    assert home(*TEAM, change("s1", "Bo", "Di")) == ["Ada", "Di", "Cy"]
    assert home(*TEAM, change("s1", "Bo", "Di"), change("s2", "Di", "Ed", 70)) == ["Ada", "Ed", "Cy"]


def test_who_comes_on_has_the_shirt_of_the_line_up() -> None:
    bench = listed("Di", starter=False, shirt_number=14, player_id="p14", position="striker")
    seen = view_of("on_field", listed("Ada"), bench, change("s1", "Ada", "Di"))
    assert seen["home"] == [{"player_id": "p14", "player": "Di", "shirt_number": 14, "position": "striker"}]


def test_rolling_substitutions_bring_players_back() -> None:
    there = change("s1", "Ada", "Di", 12)
    back = change("s2", "Di", "Ada", 24)
    assert home(*TEAM, there, back) == STARTERS
    assert home(*TEAM, there, back, change("s3", "Ada", "Di", 36)) == ["Di", "Bo", "Cy"]


def test_the_order_of_play_counts_and_not_that_of_logging() -> None:
    """The later one comes from a phone whose signal was back first."""
    assert home(*TEAM, change("s9", "Ada", "Di", 45, added=2), change("s1", "Di", "Ed", 46)) == ["Ed", "Bo", "Cy"]


def test_within_a_minute_whichever_can_go_first_goes_first() -> None:
    seen = view_of("on_field", *TEAM, change("s1", "Di", "Ed"), change("s2", "Ada", "Di"))
    assert (names(seen), seen["unclear"]) == (["Ed", "Bo", "Cy"], [])
    unlisted = view_of("on_field", *TEAM, change("s1", "Flo", "Ed"), change("s2", "Ada", "Flo"))
    assert (names(unlisted), unlisted["unclear"]) == (["Ed", "Bo", "Cy"], []), "nor is Flo taken for a starter"


def test_a_corrected_substitution_corrects_the_field() -> None:
    logged = state_of(change("s1", "Ada", "Di"))
    correction = Change(
        "b", 1, SCOPE, "substitution", "s1", Op.UPDATE, Stamp(5, 0, "b"), base=1, fields={"player_off": "Cy"}
    )
    corrected = apply_change(rule_by_name("append"), logged, correction, 2).state
    assert corrected is not None
    assert names(view_of_states("on_field", [*states_of(*TEAM), logged])) == ["Di", "Bo", "Cy"]
    assert names(view_of_states("on_field", [*states_of(*TEAM), corrected])) == ["Ada", "Bo", "Di"]


def test_a_deleted_substitution_never_was() -> None:
    logged = state_of(change("s1", "Ada", "Di"))
    tombstone = replace(logged, version=2, fields={}, marks={}, deleted=Mark(2, Stamp(2, 0, "phone")))
    assert names(view_of_states("on_field", [*states_of(*TEAM), tombstone])) == STARTERS


def test_a_substitution_logged_by_two_phones_happens_once() -> None:
    seen = view_of("on_field", *TEAM, change("s1", "Ada", "Di", 60), change("s2", "Ada", "Di", 61))
    assert (names(seen), seen["unclear"]) == (["Di", "Bo", "Cy"], ["s2"])


@pytest.mark.parametrize(
    ("off", "on"),
    [
        pytest.param("Ed", "Di", id="off, who sits on the bench"),
        pytest.param("Ada", "Bo", id="on, who is on"),
        pytest.param("Ada", "Ada", id="the same player"),
        pytest.param("Flo", "Flo", id="the same player, of whom nothing is known"),
    ],
)
def test_a_substitution_that_cannot_have_been_is_left_out_and_told(off: str, on: str) -> None:
    seen = view_of("on_field", *TEAM, change("s1", off, on))
    assert (names(seen), seen["unclear"]) == (STARTERS, ["s1"])


def test_the_line_up_may_lack_players() -> None:
    """Whoever is taken off was on; whoever comes on need not have been on the bench."""
    seen = view_of("on_field", *TEAM, change("s1", "Flo", "Gus"))
    assert (names(seen), seen["unclear"]) == ([*STARTERS, "Gus"], [])
    assert home(*TEAM, change("s1", "Ada", "Gus")) == ["Gus", "Bo", "Cy"]


def test_where_the_side_is_full_nobody_is_added() -> None:
    """A misspelt name is no twelfth player, nor a fourth where three play."""
    seen = view_of("on_field", a_match(players_per_side=3), *TEAM, change("s1", "Adda", "Di"))
    assert (names(seen), seen["unclear"]) == (STARTERS, ["s1"])
    eleven = [listed(f"P{number:02}") for number in range(11)]
    seen = view_of("on_field", *eleven, change("s1", "Adda", "Di"))
    assert (len(seen["home"]), seen["unclear"]) == (11, ["s1"])


def test_players_are_known_by_id_and_else_by_name() -> None:
    ada = listed("Ada", player_id="p1")
    assert home(ada, change("s1", "Ada Byron", "Di", player_off_id="p1")) == ["Di"], "the name was corrected since"
    assert home(ada, change("s1", "Ada", "Di")) == ["Di"]
    other = change("s1", "Ada", "Di", player_off_id="p2")
    assert home(ada, other) == ["Ada", "Di"], "another Ada, who is not in the line-up"


def test_a_player_who_was_entered_by_two_phones_is_one_player() -> None:
    again = Lineup(match_id="9f", team="home", player="Ada", starter=False)
    assert home(*TEAM, again) == STARTERS
    with_ids = [
        Lineup(match_id="9f", team="home", player=name, player_id="p1", starter=True) for name in ("Ada", "Ada B.")
    ]
    assert len(home(*with_ids)) == 1


def test_namesakes_are_told_apart_by_their_shirts() -> None:
    twins = [Lineup(match_id="9f", team="home", player="Sam", shirt_number=number, starter=True) for number in (7, 8)]
    assert home(*twins) == ["Sam", "Sam"]


def test_the_same_name_on_the_other_side_is_another_player() -> None:
    seen = view_of("on_field", listed("Sam"), listed("Sam", team="away"), change("s1", "Sam", "Kim", team="away"))
    assert (names(seen), [person["player"] for person in seen["away"]]) == (["Sam"], ["Kim"])


def test_data_of_another_version_does_not_hide_the_field() -> None:
    strange = [
        replace(state_of(listed("Flo")), fields={"team": "home"}),
        replace(state_of(listed("Gus")), fields={"team": "home", "player": 7, "shirt_number": "x", "starter": "no"}),
        replace(state_of(change("s1", "Ada", "Di")), fields={"team": "home", "minute": None}),
        replace(state_of(a_match()), fields={"players_per_side": "few"}),
    ]
    seen = view_of_states("on_field", [*states_of(*TEAM), *strange])
    assert (names(seen), seen["unclear"]) == (STARTERS, ["s1"])


PLAYERS = [f"P{number}" for number in range(1, 8)]
substitutions = st.lists(st.tuples(st.sampled_from(PLAYERS), st.sampled_from(PLAYERS), st.integers(1, 4)), max_size=10)


@given(drawn=substitutions, data=st.data())
def test_every_reader_sees_a_full_side_of_different_players(
    drawn: list[tuple[str, str, int]], data: st.DataObject
) -> None:
    lineup = [listed(name, starter=number < 4) for number, name in enumerate(PLAYERS)]
    changes = [change(f"s{number}", *fields) for number, fields in enumerate(drawn)]
    states = states_of(*lineup, *changes)
    seen = view_of_states("on_field", states)
    assert len(set(names(seen))) == len(seen["home"]) == 4
    assert view_of_states("on_field", data.draw(st.permutations(states))) == seen
    assert json.loads(json.dumps(seen)) == seen, "it travels as JSON"
    counted = [entry for entry in changes if entry.id not in seen["unclear"]]
    assert view_of("on_field", *lineup, *counted) == {**seen, "unclear": []}, "what is unclear has no effect"


@given(drawn=substitutions, entered=st.sets(st.sampled_from(PLAYERS), max_size=4))
def test_with_half_a_line_up_too_a_side_has_no_more_players_than_it_may(
    drawn: list[tuple[str, str, int]], entered: set[str]
) -> None:
    changes = [change(f"s{number}", *fields) for number, fields in enumerate(drawn)]
    seen = view_of("on_field", a_match(players_per_side=4), *(listed(name) for name in entered), *changes)
    assert len(entered) <= len(set(names(seen))) == len(seen["home"]) <= 4
