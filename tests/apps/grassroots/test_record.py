"""Two World Cups, read into the app: the score that it counts is the official one, and every scorer's minute too."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from syncd.apps.grassroots import app
from syncd.apps.grassroots.record import read_record
from tests.apps.grassroots.make import score_of

FOLDER = Path(__file__).parents[3] / "fixtures" / "football-worldcup"
LINES = [line for year in (2018, 2022) for line in (FOLDER / f"wc{year}.jsonl").read_text().splitlines()]


def line_of(match_id: str) -> str:
    return next(line for line in LINES if json.loads(line)["match_id"] == match_id)


def test_there_are_all_128_matches() -> None:
    assert len({json.loads(line)["match_id"] for line in LINES}) == 128


@pytest.mark.parametrize("line", LINES, ids=lambda line: str(json.loads(line)["match_id"]))
def test_the_app_counts_the_official_score_and_every_scorers_minute(line: str) -> None:
    source: dict[str, Any] = json.loads(line)
    record = read_record(line)
    score = score_of(*record.events)
    assert (score["home"], score["away"]) == (source["home_goals"], source["away_goals"])
    counted = Counter((goal["team"], goal["player"], goal["minute"], goal["added"]) for goal in score["goals"])
    official = Counter(
        (entry["team"], entry["player"], entry["minute"], entry["added"])
        for entry in source["events"]
        if entry["type"] == "goal"
    )
    assert counted == official
    minutes = [(goal["minute"], goal["added"]) for goal in score["goals"]]
    assert minutes == sorted(minutes)


@pytest.mark.parametrize("line", LINES, ids=lambda line: str(json.loads(line)["match_id"]))
def test_the_server_would_take_every_resource_of_a_record(line: str) -> None:
    record = read_record(line)
    scope = f"match:{record.match.id}"
    app.types["match"].check_create(record.match.id, scope, record.match.to_fields())
    for event in record.events:
        app.types["event"].check_create(event.id, scope, event.to_fields())


def test_an_own_goal_is_logged_on_the_side_that_concedes_and_kept_officially_where_it_counts() -> None:
    own_goals = 0
    for line in LINES:
        record = read_record(line)
        for event, goal in zip(record.events, record.goals, strict=True):
            assert (event.kind == "own_goal") is goal.own_goal
            assert (event.team != goal.team) is goal.own_goal
            own_goals += goal.own_goal
    assert own_goals == 12


def test_the_final_of_2022() -> None:
    record = read_record(line_of("wc2022-64"))
    assert (record.match.home_team, record.match.away_team) == ("Argentina", "France")
    assert (str(record.match.date), str(record.match.kick_off)) == ("2022-12-18", "18:00:00")
    assert (record.home, record.away) == (3, 3), "the shoot-out is not in the score"
    assert [(goal.team, goal.player, goal.minute) for goal in record.goals] == [
        ("home", "Lionel MESSI", 23),
        ("home", "Angel DI MARIA", 36),
        ("away", "Kylian MBAPPE", 80),
        ("away", "Kylian MBAPPE", 81),
        ("home", "Lionel MESSI", 108),
        ("away", "Kylian MBAPPE", 118),
    ]
    assert [event.period for event in record.events] == [1, 1, 2, 2, 4, 4]
    assert record.events[0].notes == "from a penalty"


def test_what_the_app_has_no_kind_for_is_left_out_and_counted() -> None:
    assert read_record(line_of("wc2022-64")).left_out == {"cards": 8, "substitutions": 13, "shoot_out_kicks": 8}
    in_all: Counter[str] = Counter()
    for line in LINES:
        in_all.update(read_record(line).left_out)
    assert in_all == {"cards": 449, "substitutions": 969, "shoot_out_kicks": 80}, "as many as the data's README says"


def test_each_reading_gives_the_same() -> None:
    assert read_record(LINES[0]) == read_record(LINES[0])


def test_what_is_no_record_is_refused() -> None:
    strange = json.loads(LINES[0])
    strange["events"].append({"type": "streaker"})
    with pytest.raises(ValueError, match="unknown events in the record: streaker"):
        read_record(json.dumps(strange))
    with pytest.raises(KeyError):
        read_record("{}")
