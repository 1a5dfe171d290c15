"""Two World Cups, read into the app: the score that it counts is the official one, and every scorer's minute too."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from syncd.apps.grassroots import app
from syncd.apps.grassroots.record import read_record
from tests.apps.grassroots.make import score_of, view_of

FOLDER = Path(__file__).parents[3] / "fixtures" / "football-worldcup"
LINES = [line for year in (2018, 2022) for line in (FOLDER / f"wc{year}.jsonl").read_text().splitlines()]


def line_of(match_id: str) -> str:
    return next(line for line in LINES if json.loads(line)["match_id"] == match_id)


def line_year(line: str) -> int:
    return int(json.loads(line)["date"][:4])


def names(side: list[dict[str, Any]]) -> list[str]:
    return [person["player"] for person in side]


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
    for resource in (*record.events, *record.lineup, *record.substitutions):
        app.type_of(type(resource)).check_create(resource.id, scope, resource.to_fields())
    ids = [resource.id for resource in (*record.events, *record.lineup, *record.substitutions)]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("line", LINES, ids=lambda line: str(json.loads(line)["match_id"]))
def test_who_is_on_the_field_is_known_from_the_kick_off_to_the_end(line: str) -> None:
    """Who was sent off stays: a card is no kind of event, and the app cannot know of it."""
    source: dict[str, Any] = json.loads(line)
    record = read_record(line)
    at_kick_off = view_of("on_field", *record.lineup)
    in_the_end = view_of("on_field", *record.lineup, *record.substitutions)
    assert in_the_end["unclear"] == [], "whoever is taken off was on the field"
    for side in ("home", "away"):
        started = names(at_kick_off[side])
        assert started == source[f"lineup_{side}"]
        assert len(set(started)) == 11
        changes = [entry for entry in source["events"] if entry["type"] == "substitution" and entry["team"] == side]
        went, came = ({entry[key] for entry in changes} for key in ("player", "player_in"))
        assert set(names(in_the_end[side])) == (set(started) | came) - went
        assert len(in_the_end[side]) == 11


@pytest.mark.parametrize("line", LINES, ids=lambda line: str(json.loads(line)["match_id"]))
def test_a_match_whose_line_up_nobody_entered_shows_who_is_known_to_be_on(line: str) -> None:
    record = read_record(line)
    seen = view_of("on_field", *record.substitutions)
    assert seen["unclear"] == []
    for side in ("home", "away"):
        went, came = (
            {getattr(entry, key) for entry in record.substitutions if entry.team == side}
            for key in ("player_off", "player_on")
        )
        assert set(names(seen[side])) == came - went


@pytest.mark.parametrize(("year", "substitutions"), [(2018, 382), (2022, 587)])
def test_every_substitution_is_there(year: int, substitutions: int) -> None:
    records = [read_record(line) for line in LINES if line_year(line) == year]
    assert sum(len(record.substitutions) for record in records) == substitutions


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
    assert len(record.lineup) == 22 + 13
    first = record.substitutions[0]
    assert (first.team, first.player_off, first.player_on, first.minute, first.period) == (
        "away",
        "Olivier GIROUD",
        "Marcus THURAM",
        41,
        1,
    )


def test_what_the_app_has_no_kind_for_is_left_out_and_counted() -> None:
    assert read_record(line_of("wc2022-64")).left_out == {"cards": 8, "shoot_out_kicks": 8}
    in_all: Counter[str] = Counter()
    for line in LINES:
        in_all.update(read_record(line).left_out)
    assert in_all == {"cards": 449, "shoot_out_kicks": 80}, "as many as the data's README says"


def test_each_reading_gives_the_same() -> None:
    assert read_record(LINES[0]) == read_record(LINES[0])


def test_what_is_no_record_is_refused() -> None:
    strange = json.loads(LINES[0])
    strange["events"].append({"type": "streaker"})
    with pytest.raises(ValueError, match="unknown events in the record: streaker"):
        read_record(json.dumps(strange))
    with pytest.raises(KeyError):
        read_record("{}")
