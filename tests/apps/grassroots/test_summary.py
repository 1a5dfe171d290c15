"""A match at a glance: the view tells what is known, and the moment adds the clock, in the mobile response."""

from __future__ import annotations

import datetime
import json
from dataclasses import replace

import pytest

from syncd.apps.grassroots import clock, mobile_response
from syncd.apps.grassroots.summary import RECENT_EVENTS
from tests.apps.grassroots.make import (
    KICK_OFF,
    MATCH,
    a_match,
    after,
    event,
    listed,
    state_of,
    states_of,
    view_of,
    view_of_states,
)

LIVE = a_match(first_half_started_at=KICK_OFF, first_half_ended_at=after(46, 12), second_half_started_at=after(61))
GOALS = [
    event("e1", minute=3, player="Ada"),
    event("e2", minute=30, team="away", player="Zoe"),
    event("e3", minute=69, second=45, period=2, player="Bo"),
]


def test_the_mobile_response_is_the_documented_one() -> None:
    summary = view_of("match_summary", LIVE, *GOALS)
    assert mobile_response(summary, after(61 + 25, 30)) == {
        "match": {
            "id": MATCH,
            "home_team": "Reds",
            "away_team": "Blues",
            "score": {"home": 2, "away": 1},
            "status": "live",
            "current_period": 2,
            "clock_time": "25:30",
        },
        "recent_events": [
            {"id": "e3", "kind": "goal", "player": "Bo", "team": "home", "timestamp": "23:45", "period": 2},
            {"id": "e2", "kind": "goal", "player": "Zoe", "team": "away", "timestamp": "29:00", "period": 1},
            {"id": "e1", "kind": "goal", "player": "Ada", "team": "home", "timestamp": "02:00", "period": 1},
        ],
    }


def test_the_view_tells_the_taps_by_period_and_knows_no_moment() -> None:
    summary = view_of("match_summary", LIVE)
    assert summary["periods"] == [
        {
            "period": 1,
            "minutes": 45,
            "started_at": "2026-11-21T10:30:00+00:00",
            "ended_at": "2026-11-21T11:16:12+00:00",
        },
        {"period": 2, "minutes": 45, "started_at": "2026-11-21T11:31:00+00:00", "ended_at": None},
    ]
    assert summary["match"] == {
        "id": MATCH,
        "home_team": "Reds",
        "away_team": "Blues",
        "score": {"home": 0, "away": 0},
    }


@pytest.mark.parametrize("minutes", [-10, 0, 20, 50, 80, 500])
@pytest.mark.parametrize("taps", range(4))
def test_the_clock_is_the_same_from_the_summary_as_from_the_match(taps: int, minutes: int) -> None:
    names = ["first_half_started_at", "first_half_ended_at", "second_half_started_at"][:taps]
    match = a_match(**{name: getattr(LIVE, name) for name in names}, half_minutes=25)
    summary = json.loads(json.dumps(view_of("match_summary", match)))
    response = mobile_response(summary, after(minutes))
    told = {key: response["match"][key] for key in ("status", "current_period", "clock_time")}
    assert told == clock(match, after(minutes))


def test_recent_events_are_the_last_ones_newest_first() -> None:
    events = [event(f"e{number:02}", "foul", minute=number) for number in range(1, RECENT_EVENTS + 6)]
    recent = view_of("match_summary", LIVE, *events)["recent_events"]
    assert [entry["id"] for entry in recent] == [f"e{number:02}" for number in range(RECENT_EVENTS + 5, 5, -1)]


def test_an_event_without_a_name_has_that_of_the_line_up() -> None:
    lineup = [listed("Ada", player_id="p1"), listed("Bo", player_id="p2")]
    events = [
        event("e1", player_id="p2", minute=1),
        event("e2", player_id="p2", player="Bobby", minute=2),
        event("e3", player_id="p3", minute=3),
        event("e4", minute=4),
    ]
    recent = view_of("match_summary", LIVE, *lineup, *events)["recent_events"]
    assert [entry["player"] for entry in recent] == [None, None, "Bobby", "Bo"]


def test_without_a_period_the_minute_tells_by_the_length_of_this_matchs_halves() -> None:
    recent = view_of("match_summary", a_match(half_minutes=25), event("e1", minute=30))["recent_events"]
    assert (recent[0]["period"], recent[0]["timestamp"]) == (2, "04:00")


def test_events_may_come_before_their_match() -> None:
    summary = view_of("match_summary", *GOALS)
    assert (summary["match"], summary["periods"], len(summary["recent_events"])) == (None, [], 3)
    response = mobile_response(summary, after(10))
    assert response == {"match": None, "recent_events": summary["recent_events"]}


def test_a_deleted_event_is_not_recent() -> None:
    states = states_of(LIVE, *GOALS)
    tombstone = replace(states[-1], version=9, fields={}, marks={}, deleted=states[-1].marks["kind"])
    summary = view_of_states("match_summary", [*states[:-1], tombstone])
    assert [entry["id"] for entry in summary["recent_events"]] == ["e2", "e1"]
    assert summary["match"]["score"] == {"home": 1, "away": 1}


def test_a_response_stays_below_50_kb_with_the_longest_names_and_a_thousand_events() -> None:
    long = "\N{GRINNING FACE}" * 200
    match = a_match(home_team=long, away_team=long)
    events = [event(f"{number:0128}", "interception", player=long) for number in range(1000)]
    response = mobile_response(view_of("match_summary", match, *events), after(10))
    assert len(json.dumps(response, ensure_ascii=False).encode()) < 50_000


def test_a_moment_without_an_offset_is_refused() -> None:
    with pytest.raises(ValueError, match="no offset"):
        mobile_response(view_of("match_summary", LIVE), datetime.datetime(2026, 11, 21, 10, 40))  # noqa: DTZ001


def test_data_of_another_version_does_not_hide_the_summary() -> None:
    old = replace(state_of(event("e1")), fields={"kind": "goal"})
    strange = replace(state_of(LIVE), fields={"home_team": "Reds", "first_half_started_at": "early"})
    summary = view_of_states("match_summary", [strange, old])
    assert summary["match"]["home_team"] == "Reds"
    assert mobile_response(summary, after(10))["match"]["status"] == "scheduled"
    assert summary["recent_events"][0]["timestamp"] == "00:00"
