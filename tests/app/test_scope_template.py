"""Scope templates: which scope a resource lives in, told by its fields."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conflict_rules import InvalidValue
from conflict_rules.values import valid_scope
from syncd.app.scope_template import ScopeTemplate
from syncd.errors import AppError


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("club", "club"),
        ("match:{id}", "match:e1"),
        ("match:{match_id}", "match:9f"),
        ("league:{league}:week:{week}", "league:north:week:w3"),
    ],
)
def test_a_template_is_filled_with_the_id_and_the_fields(text: str, scope: str) -> None:
    assert ScopeTemplate(text).fill("e1", {"match_id": "9f", "league": "north", "week": "w3"}) == scope


@pytest.mark.parametrize("fields", [{}, {"match_id": None}, {"match_id": 9}, {"match_id": ["9f"]}])
def test_fields_that_do_not_tell_give_no_scope(fields: dict[str, object]) -> None:
    assert ScopeTemplate("match:{match_id}").fill("e1", fields) is None


@pytest.mark.parametrize("value", ["", "a b", "a/b", "ü", "x" * 201, "x" * 195])
def test_a_value_that_makes_no_scope_name_is_refused_by_its_field(value: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        ScopeTemplate("match:{match_id}").fill("e1", {"match_id": value})
    assert (refused.value.code, refused.value.field) == ("invalid_scope", "match_id")


@given(value=st.text(max_size=220))
def test_whatever_is_filled_in_the_scope_is_valid_or_refused(value: str) -> None:
    try:
        scope = ScopeTemplate("match:{match_id}").fill("e1", {"match_id": value})
    except InvalidValue:
        assert not valid_scope(value) or not valid_scope(f"match:{value}")
    else:
        assert scope == f"match:{value}"
        assert valid_scope(scope)


def test_a_field_that_says_another_scope_contradicts() -> None:
    template = ScopeTemplate("match:{match_id}")
    assert template.contradiction("match:9f", {"match_id": "10"}) == "match_id"
    assert template.contradiction("match:9f", {"match_id": None}) == "match_id"
    assert template.contradiction("match:9f", {"match_id": "9f"}) is None
    assert template.contradiction("match:9f", {"minute": 3}) is None


def test_with_two_fields_each_is_held_to_its_own_part() -> None:
    template = ScopeTemplate("league:{league}:{week}")
    assert template.contradiction("league:north:w3", {"week": "w3"}) is None
    assert template.contradiction("league:north:w3", {"league": "south"}) == "league"
    assert template.contradiction("league:north:w3", {"week": "w4"}) == "week"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "match:{",
        "match:}",
        "match:{}",
        "match:{0}",
        "match:{a.b}",
        "match:{a!r}",
        "match:{a:>3}",
        "mat ch",
        "match:{a}/b",
        "{team_id}",
        "{kind}:x",
        ":{id}",
        "match{id}",
    ],
)
def test_a_template_that_makes_no_scope_is_told_at_once(text: str) -> None:
    with pytest.raises(AppError) as told:
        ScopeTemplate(text)
    assert "scope template" in told.value.message
    assert told.value.hint


def test_the_first_word_is_the_prefix_that_views_are_declared_for() -> None:
    assert ScopeTemplate("match:{match_id}").prefix == "match"
    assert ScopeTemplate("club").prefix == "club"
