"""The score is counted from the events: nobody types it, so nothing can make it disagree with them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conflict_rules import Change, Mark, Op, Stamp, apply_change, rule_by_name
from syncd.apps.grassroots import EventKind
from tests.apps.grassroots.make import event, score_of, score_of_states, state_of


def test_before_the_first_goal_it_is_nil_nil() -> None:
    assert score_of() == {"home": 0, "away": 0, "goals": []}


def test_a_goal_counts_for_the_side_of_its_scorer() -> None:
    assert score_of(event("e1", team="away", minute=90, added=4, player="Sam")) == {
        "home": 0,
        "away": 1,
        "goals": [{"team": "away", "player": "Sam", "minute": 90, "added": 4, "own_goal": False, "event_id": "e1"}],
    }


def test_an_own_goal_counts_for_the_other_side() -> None:
    score = score_of(event("e1", "own_goal", "home", player="Sam"), event("e2", "own_goal", "away"))
    assert (score["home"], score["away"]) == (1, 1)
    assert [(goal["team"], goal["own_goal"]) for goal in score["goals"]] == [("away", True), ("home", True)]


@pytest.mark.parametrize("kind", [kind for kind in get_args(EventKind) if kind not in ("goal", "own_goal")])
def test_nothing_else_counts(kind: str) -> None:
    """A penalty too counts by the goal that comes of it."""
    assert score_of(event("e1", kind)) == {"home": 0, "away": 0, "goals": []}


def test_the_kicks_of_a_shoot_out_are_no_goals() -> None:
    score = score_of(event("e1", minute=118, period=4), event("e2", minute=120, period=5))
    assert (score["home"], [goal["event_id"] for goal in score["goals"]]) == (1, ["e1"])


def test_a_corrected_goal_corrects_the_score() -> None:
    """The same rule on the server and on the phone that has no signal."""
    logged = state_of(event("e1", team="home", minute=47))
    stamp = Stamp(5, 0, "phone")
    correction = Change(
        "phone", 2, logged.scope, "event", "e1", Op.UPDATE, stamp, base=1, fields={"team": "away", "minute": 48}
    )
    corrected = apply_change(rule_by_name("append"), logged, correction, 2).state
    assert corrected is not None
    score = score_of_states([corrected])
    assert (score["home"], score["away"], score["goals"][0]["minute"]) == (0, 1, 48)


def test_a_deleted_goal_never_was() -> None:
    logged = state_of(event("e1"))
    tombstone = replace(logged, version=2, fields={}, marks={}, deleted=Mark(2, Stamp(2, 0, "phone")))
    assert score_of_states([tombstone, state_of(event("e2", team="away"))])["home"] == 0


def test_goals_come_in_match_order() -> None:
    """45+2 lies before minute 46; of the same minute, the second tells, or else which event was made first."""
    score = score_of(
        event("e5", minute=46),
        event("e4", minute=45, added=2),
        event("e3", minute=45),
        event("e2", minute=90, added=4),
        event("e1", minute=46),
        event("e0", minute=45, second=59),
    )
    assert [goal["event_id"] for goal in score["goals"]] == ["e3", "e0", "e4", "e1", "e5", "e2"]


events = st.lists(
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from(get_args(EventKind)),
            "team": st.sampled_from(["home", "away"]),
            "minute": st.integers(0, 130),
            "added": st.integers(0, 10),
            "period": st.one_of(st.none(), st.integers(1, 5)),
        }
    ),
    max_size=12,
)


@given(drawn=events, data=st.data())
def test_every_reader_has_the_same_score_whatever_order_the_events_came_in(
    drawn: list[dict[str, Any]], data: st.DataObject
) -> None:
    states = [state_of(event(f"e{number}", **fields), number + 1) for number, fields in enumerate(drawn)]
    score = score_of_states(states)
    assert score_of_states(data.draw(st.permutations(states))) == score
    assert score["home"] + score["away"] == len(score["goals"])
    assert json.loads(json.dumps(score)) == score, "it travels as JSON"


def test_data_of_another_version_does_not_hide_the_score() -> None:
    logged = state_of(event("e1"))
    old = replace(state_of(event("e2")), fields={"kind": "goal", "team": "away", "minute": None})
    older = replace(state_of(event("e3")), fields={"kind": "goal"})
    score = score_of_states([logged, old, older])
    assert (score["home"], score["away"]) == (1, 1)
