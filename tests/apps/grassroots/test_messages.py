"""The live messages, in the shapes that the app's front end was promised."""

from __future__ import annotations

import json

import pytest

from syncd.apps.grassroots import event_logged_message, substitution_message
from tests.apps.grassroots.make import a_match, change, event, listed, resources_of


def test_a_goal() -> None:
    goals = [
        event("e1", minute=13, second=34, player="Ada"),
        event("e2", minute=5),
        event("e3", team="away", minute=9),
    ]
    assert event_logged_message(goals[0], resources_of(a_match(), *goals)) == {
        "type": "event_logged",
        "data": {
            "event_id": "e1",
            "kind": "goal",
            "player": "Ada",
            "team": "Reds",
            "timestamp": "12:34",
            "score": {"home": 2, "away": 1},
        },
    }


def test_an_event_that_comes_late_does_not_set_the_score_back() -> None:
    late = event("e1", "foul", minute=2)
    message = event_logged_message(late, resources_of(a_match(), late, event("e2", minute=80)))
    assert message["data"]["score"] == {"home": 1, "away": 0}


def test_an_own_goal_names_the_team_of_its_player_and_counts_for_the_other_one() -> None:
    own_goal = event("e1", "own_goal", "away", player="Zoe")
    data = event_logged_message(own_goal, resources_of(a_match(), own_goal))["data"]
    assert (data["team"], data["player"], data["score"]) == ("Blues", "Zoe", {"home": 1, "away": 0})


def test_a_player_without_a_name_has_that_of_the_line_up() -> None:
    save = event("e1", "save", player_id="p1")
    resources = resources_of(a_match(), listed("Ada", player_id="p1"), save)
    assert event_logged_message(save, resources)["data"]["player"] == "Ada"


@pytest.mark.parametrize(("team", "name"), [("home", "Reds"), ("away", "Blues")])
def test_a_substitution(team: str, name: str) -> None:
    """Period 1, at 25:15 on its clock: the twenty-sixth minute."""
    logged = change("s1", "Bo", "Ada", 26, team, second=15)
    assert substitution_message(logged, resources_of(a_match(), logged)) == {
        "type": "substitution",
        "data": {"player_on": "Ada", "player_off": "Bo", "team": name, "timestamp": "25:15"},
    }


def test_the_time_is_that_of_the_periods_clock() -> None:
    match = a_match(half_minutes=30)
    logged = change("s1", "Bo", "Ada", 56, second=15)
    assert substitution_message(logged, resources_of(match, logged))["data"]["timestamp"] == "25:15"


def test_as_long_as_the_match_has_not_come_a_team_is_named_by_its_side() -> None:
    logged, goal = change("s1", "Bo", "Ada"), event("e1", team="away")
    resources = resources_of(logged, goal)
    assert substitution_message(logged, resources)["data"]["team"] == "home"
    message = event_logged_message(goal, resources)
    assert message["data"]["team"] == "away"
    assert json.loads(json.dumps(message)) == message, "it travels as JSON"
