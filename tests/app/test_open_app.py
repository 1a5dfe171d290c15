"""The open app: with no app at all, any type with rule `merge`."""

from __future__ import annotations

import pytest

from conflict_rules import InvalidValue
from syncd.app import Resource, open_app


def test_it_takes_any_type_with_rule_merge() -> None:
    app = open_app()
    assert app.open
    note = app.type("note")
    assert note is not None
    assert (note.name, note.rule.name, note.model) == ("note", "merge", None)
    assert dict(app.types) == {}
    assert list(app.hooks("note")) == []


@pytest.mark.parametrize("name", ["", "Note", "a b", "x" * 65])
def test_it_has_no_type_of_a_name_that_is_none(name: str) -> None:
    assert open_app().type(name) is None


def test_it_takes_any_fields_in_any_scope_and_main_where_none_is_named() -> None:
    note = open_app().type("note")
    assert note is not None
    assert note.scope_of("n1", {"anything": 1}) == "main"
    for scope in ("main", "match:9f"):
        note.check_create("n1", scope, {"anything": [1], "type": "goal"})
        note.check_update(scope, {"anything": None})


@pytest.mark.parametrize("scope", ["", "a b", "x" * 201])
def test_it_takes_no_scope_that_is_none(scope: str) -> None:
    note = open_app().type("note")
    assert note is not None
    with pytest.raises(InvalidValue) as refused:
        note.check_create("n1", scope, {})
    assert (refused.value.code, refused.value.field) == ("invalid_scope", "scope")


def test_here_too_the_id_is_not_among_the_fields() -> None:
    note = open_app().type("note")
    assert note is not None
    with pytest.raises(InvalidValue, match=r"^id: "):
        note.check_create("n1", "main", {"id": "n1"})


def test_what_is_declared_on_it_all_the_same_is_held_to_its_declaration() -> None:
    class Typed(Resource):
        count: int

    app = open_app()
    app.resource(scope="club")(Typed)
    assert app.type("typed") is app.type_of(Typed)
