"""What the sideline scorer keeps, and which values it takes."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import get_args

import pytest

import syncd.apps.grassroots
from conflict_rules import InvalidValue
from syncd.apps.grassroots import EventKind, Match, Substitution, app

FOLDER = Path(syncd.apps.grassroots.__file__).parent
GOAL = {"match_id": "9f", "kind": "goal", "team": "home", "minute": 47}
LISTED = {"match_id": "9f", "team": "home", "player": "Sam", "starter": True}
SUBSTITUTION = {"match_id": "9f", "team": "home", "player_off": "Sam", "player_on": "Kim", "minute": 60}
FIXTURE = {"home_team": "Reds", "away_team": "Blues", "date": "2026-11-21"}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_it_is_written_as_any_user_would_write_it(path: Path) -> None:
    """The public API only: `syncd.app` itself, none of the modules behind it."""
    imported = {
        str(node.module) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)
    } | {
        alias.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    strangers = {
        name
        for name in imported - {"syncd.app", "pydantic"}
        if name.partition(".")[0] not in sys.stdlib_module_names and not name.startswith("syncd.apps.grassroots")
    }
    assert strangers == set()


def test_teams_keep_their_players_and_matches_their_events() -> None:
    assert {name: (declared.template.text, declared.rule.name) for name, declared in app.types.items()} == {
        "team": ("team:{id}", "merge"),
        "player": ("team:{team_id}", "merge"),
        "match": ("match:{id}", "merge"),
        "event": ("match:{match_id}", "append"),
        "lineup": ("match:{match_id}", "merge"),
        "substitution": ("match:{match_id}", "append"),
    }


def test_an_event_is_of_one_of_the_eleven_kinds() -> None:
    assert get_args(EventKind) == (
        "goal",
        "assist",
        "key_pass",
        "save",
        "interception",
        "tackle",
        "foul",
        "penalty",
        "free_kick",
        "ball_out",
        "own_goal",
    )
    for kind in get_args(EventKind):
        app.types["event"].check_create("e1", "match:9f", {**GOAL, "kind": kind})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "yellow_card"),
        ("team", "Reds"),
        ("minute", -1),
        ("minute", 131),
        ("minute", "47"),
        ("minute", None),
        ("added", -1),
        ("period", 0),
        ("period", 6),
        ("second", -1),
        ("second", 60),
        ("player", 7),
    ],
)
def test_an_event_that_cannot_be_is_refused_by_its_field(field: str, value: object) -> None:
    event = app.types["event"]
    with pytest.raises(InvalidValue) as created:
        event.check_create("e1", "match:9f", {**GOAL, field: value})
    with pytest.raises(InvalidValue) as corrected:
        event.check_update("match:9f", {field: value})
    for refused in (created.value, corrected.value):
        assert (refused.code, refused.field) == ("invalid_field", field)


def test_an_event_is_logged_with_four_taps_and_nothing_else() -> None:
    app.types["event"].check_create("e1", "match:9f", GOAL)
    for name in GOAL:
        fields = {key: value for key, value in GOAL.items() if key != name}
        with pytest.raises(InvalidValue, match=f"^{name}: "):
            app.types["event"].check_create("e1", "match:9f", fields)


def test_kick_off_half_time_and_full_time_are_taps_with_their_offset() -> None:
    match = app.types["match"]
    match.check_create("9f", "match:9f", {**FIXTURE, "kick_off": "10:30"})
    taps = [name for name in Match.model_fields if name.endswith("_at")]
    assert len(taps) == 10, "two halves, two of extra time, and a shoot-out"
    for tap in taps:
        match.check_update("match:9f", {tap: "2026-11-21T10:31:04.250Z"})
        match.check_update("match:9f", {tap: None})
        with pytest.raises(InvalidValue, match=f"^{tap}: "):
            match.check_update("match:9f", {tap: "2026-11-21T10:31:04"})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("half_minutes", 0),
        ("half_minutes", 51),
        ("half_minutes", None),
        ("extra_half_minutes", 16),
        ("players_per_side", 12),
        ("players_per_side", 0),
    ],
)
def test_halves_and_sides_are_as_in_football_or_smaller(field: str, value: object) -> None:
    app.types["match"].check_create(
        "9f", "match:9f", {**FIXTURE, "half_minutes": 25, "extra_half_minutes": 5, "players_per_side": 7}
    )
    with pytest.raises(InvalidValue, match=f"^{field}: "):
        app.types["match"].check_update("match:9f", {field: value})


@pytest.mark.parametrize(
    ("name", "whole", "field", "value"),
    [
        ("lineup", LISTED, "team", "Reds"),
        ("lineup", LISTED, "player", ""),
        ("lineup", LISTED, "shirt_number", 100),
        ("lineup", LISTED, "starter", "yes"),
        ("substitution", SUBSTITUTION, "team", "Reds"),
        ("substitution", SUBSTITUTION, "player_off", ""),
        ("substitution", SUBSTITUTION, "player_on", None),
        ("substitution", SUBSTITUTION, "minute", 131),
        ("substitution", SUBSTITUTION, "second", 60),
        ("substitution", SUBSTITUTION, "period", 0),
    ],
)
def test_line_ups_and_substitutions_say_who_and_when(
    name: str, whole: dict[str, object], field: str, value: object
) -> None:
    declared = app.types[name]
    declared.check_create("x1", "match:9f", whole)
    with pytest.raises(InvalidValue, match=f"^{field}: "):
        declared.check_create("x1", "match:9f", {**whole, field: value})
    with pytest.raises(InvalidValue, match=f"^{field}: "):
        declared.check_update("match:9f", {field: value})
    for missing in whole:
        with pytest.raises(InvalidValue, match=f"^{missing}: "):
            declared.check_create("x1", "match:9f", {key: whole[key] for key in whole if key != missing})


def test_a_substitution_is_not_half_of_one() -> None:
    """One who goes off and one who comes on, in one resource: no reader can meet the first without the second."""
    assert {"player_off", "player_on"} < {
        name for name, info in Substitution.model_fields.items() if info.is_required()
    }


def test_a_team_without_a_name_is_refused() -> None:
    with pytest.raises(InvalidValue, match=r"^name: "):
        app.types["team"].check_create("t1", "team:t1", {"name": ""})
    app.types["player"].check_create("p1", "team:t1", {"team_id": "t1", "name": "Sam", "shirt_number": 7})
