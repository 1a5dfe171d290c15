"""What an author may say of fields about people, and what he is told if it cannot be."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from syncd.app import App, Resource, personal, private, rules
from syncd.app.personal import Personal
from syncd.errors import AppError


def declared(**fields: Any) -> App:
    """An app with one type that has these fields: (annotation, default)."""
    app = App("club")
    names = {"match_id": (str, ...), "player_id": (str | None, None), **fields}
    body: dict[str, Any] = {"__annotations__": {name: annotation for name, (annotation, _) in names.items()}}
    body |= {name: default for name, (_, default) in names.items() if default is not ...}
    app.resource(scope="match:{match_id}")(type("Event", (Resource,), body))
    return app


def test_a_field_is_about_whom_another_names_or_about_its_author() -> None:
    app = declared(
        player_name=(str | None, personal(of="player_id")),
        wish=(str, personal("nothing")),
        both=(Annotated[str | None, private(read="editor")], personal(of="player_id")),
        summed=(Annotated[int, rules.counter], personal(0)),
    )
    event = app.types["event"]
    assert event.personal == {
        "player_name": Personal("player_id"),
        "wish": Personal(),
        "both": Personal("player_id"),
        "summed": Personal(),
    }
    assert set(event.private) == {"both"}
    assert [event.blank(name) for name in event.personal] == [None, "nothing", None, 0]
    assert event.rule.field_rule("summed").name == "counter"


def test_a_name_that_a_field_had_before_is_marked_as_it_is() -> None:
    """Whichever of its marks says so."""
    app = declared(
        player_name=(str | None, personal(of="player_id", formerly=("name", "label"))),
        wish=(Annotated[str, private(read="editor", formerly="hope")], personal("nothing")),
    )
    event = app.types["event"]
    assert set(event.personal) == {"player_name", "name", "label", "wish", "hope"}
    assert [event.personal[name].of for name in ("name", "label", "hope")] == ["player_id", "player_id", None]
    assert [event.blank(name) for name in ("name", "label", "hope")] == [None, None, "nothing"]
    assert (set(event.private), event.private["hope"].read) == ({"wish", "hope"}, "editor")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"name": (str, personal(...))}, "cannot be without it"),
        ({"text": (Annotated[str, rules.crdt], personal(""))}, "a document"),
        ({"name": (str, personal("", of="player"))}, "no field that could"),
        ({"name": (str, personal("", of="name"))}, "no field that could"),
        ({"name": (str, personal("", of="who")), "who": (str, personal(""))}, "no field that could"),
        ({"name": (str, personal("", formerly=("player_id",)))}, "formerly called 'player_id'"),
        ({each: (str, private("", formerly=("name",))) for each in ("first", "last")}, "formerly called 'name'"),
    ],
)
def test_what_cannot_be_is_told_when_the_app_is_loaded(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(AppError, match=sentence):
        declared(**fields)


def test_one_function_for_each_type_of_the_app_says_what_is_left() -> None:
    app = declared()
    [model] = app._by_model

    def forget(event: Any, user: str) -> dict[str, Any] | None:
        return None

    assert app.on_erase(model)(forget) is forget
    assert dict(app.erasures) == {"event": forget}
    with pytest.raises(AppError, match="not another one"):
        app.on_erase(model)(forget)

    async def slow(event: Any, user: str) -> None:
        return None

    with pytest.raises(AppError, match="not async"):
        declared().on_erase(model)(slow)  # type: ignore[arg-type]
    with pytest.raises(AppError, match="does not take that"):
        app.on_erase(model)(lambda event: None)  # type: ignore[arg-type, misc]
