"""Declaring a resource: what cannot work is told when the app is loaded, in a sentence, and not at the first push."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import pytest
from pydantic import ConfigDict, Field, create_model, model_validator

from syncd.app import App, Resource, rules
from syncd.app.declaration import RESERVED_FIELDS, type_name_of
from syncd.errors import AppError


def model(class_name: str = "Thing", /, **fields: Any) -> type[Resource]:
    return create_model(class_name, __base__=Resource, **fields)


def refusal(declare: Callable[[], object]) -> str:
    with pytest.raises(AppError) as told:
        declare()
    assert told.value.hint
    return told.value.message


@pytest.mark.parametrize(
    ("class_name", "type_name"),
    [
        ("Event", "event"),
        ("KeyPass", "key_pass"),
        ("HTTPServer", "http_server"),
        ("Team2", "team2"),
        ("U10Team", "u10_team"),
        ("already_snake", "already_snake"),
    ],
)
def test_a_type_is_named_after_its_class(class_name: str, type_name: str) -> None:
    assert type_name_of(model(class_name)) == type_name


@pytest.mark.parametrize("class_name", ["_Hidden", "Équipe", "T" + "x" * 64])
def test_a_class_name_that_makes_no_type_name_is_refused(class_name: str) -> None:
    assert "no type name can be made" in refusal(lambda: App("club").resource(scope="club")(model(class_name)))


@pytest.mark.parametrize("annotation", [str, Annotated[str, Field(min_length=1)]])
def test_a_scope_names_required_texts_of_the_resource(annotation: Any) -> None:
    app = App("club")
    app.resource(scope="match:{match_id}")(model(match_id=(annotation, ...)))
    assert app.types["thing"].scope_of("t1", {"match_id": "9f"}) == "match:9f"


@pytest.mark.parametrize(
    "field",
    [(str, "9f"), (str | None, ...), (int, ...), (Literal["a"], ...), (list[str], ...)],
)
def test_a_scope_that_names_anything_else_is_refused(field: Any) -> None:
    message = refusal(lambda: App("club").resource(scope="match:{match_id}")(model(match_id=field)))
    assert message == ("the scope 'match:{match_id}' of Thing names the field 'match_id', which is not a required str")


def test_a_scope_that_names_no_field_is_refused() -> None:
    message = refusal(lambda: App("club").resource(scope="match:{mach_id}")(model(match_id=(str, ...))))
    assert message == "the scope 'match:{mach_id}' of Thing names the field 'mach_id', which it does not have"


@pytest.mark.parametrize("name", sorted(RESERVED_FIELDS))
def test_a_field_named_like_a_part_of_the_wire_is_refused(name: str) -> None:
    fields: dict[str, Any] = {name: (str, "")}
    message = refusal(lambda: App("club").resource(scope="club")(model(**fields)))
    assert message == f"Thing declares a field {name!r}, a word that syncd uses for itself"


def test_the_id_is_not_for_the_author_to_change() -> None:
    message = refusal(lambda: App("club").resource(scope="club")(model(id=(int, 0))))
    assert "declares a field 'id'" in message


@pytest.mark.filterwarnings("ignore:Field name .* shadows an attribute:UserWarning")
def test_a_field_that_hides_a_method_is_refused() -> None:
    message = refusal(lambda: App("club").resource(scope="club")(model(to_fields=(str, ""))))
    assert message.startswith("the field 'to_fields' of Thing hides")


@pytest.mark.parametrize("name", ["alias", "validation_alias", "serialization_alias"])
def test_a_field_with_a_second_name_is_refused(name: str) -> None:
    thing = model(minute=(int, Field(0, **{name: "min"})))  # type: ignore[call-overload]  # one of three keywords
    assert "has an alias" in refusal(lambda: App("club").resource(scope="club")(thing))


@pytest.mark.parametrize("extra", ["forbid", "ignore"])
def test_a_model_that_drops_unknown_fields_is_refused(extra: Literal["forbid", "ignore"]) -> None:
    class Strict(Resource):
        model_config = ConfigDict(extra=extra)

    assert "must survive" in refusal(lambda: App("club").resource(scope="club")(Strict))


def test_a_check_across_fields_is_refused_since_patches_merge() -> None:
    class Crossed(Resource):
        start: int = 0
        end: int = 0

        @model_validator(mode="after")
        def in_order(self) -> Crossed:
            return self

    assert "model_validator" in refusal(lambda: App("club").resource(scope="club")(Crossed))


def test_a_field_of_a_class_that_is_not_there_is_refused() -> None:
    class Early(Resource):
        later: Later  # type: ignore[name-defined]  # noqa: F821

    assert refusal(lambda: App("club").resource(scope="club")(Early)) == (
        "a field of Early names 'Later', which is not defined yet"
    )


def test_a_second_class_of_the_same_type_name_is_refused() -> None:
    app = App("club")
    app.resource(scope="club")(model())
    assert "two classes would both be the type 'thing'" in refusal(lambda: app.resource(scope="club")(model()))


def test_what_is_no_resource_or_no_rule_is_refused() -> None:
    assert "not a subclass of" in refusal(lambda: App("club").resource(scope="club")(dict))  # type: ignore[type-var]
    assert "is no rule" in refusal(
        lambda: App("club").resource(scope="club", rule="merge")(model())  # type: ignore[arg-type]
    )


def test_a_resource_has_rule_merge_unless_its_author_says_otherwise() -> None:
    app = App("club")
    app.resource(scope="club")(model("Preference"))
    app.resource(scope="club", rule=rules.lww)(model("Profile"))
    assert {name: declared.rule.name for name, declared in app.types.items()} == {
        "preference": "merge",
        "profile": "lww",
    }


def test_a_document_is_of_the_kind_that_its_annotation_says() -> None:
    class Board(Resource):
        team_id: str
        title: str = ""
        notes: Annotated[str, rules.crdt] = ""
        cards: Annotated[dict[str, Any], rules.crdt] = Field(default_factory=dict)
        steps: Annotated[list[dict[str, Any]], rules.crdt] = Field(default_factory=list)

    app = App("club")
    app.resource(scope="team:{team_id}", rule=rules.merge)(Board)
    rule = app.type_of(Board).rule
    kinds = {name: getattr(rule.field_rule(name), "kind", None) for name in Board.model_fields}
    assert kinds == {
        "id": None,
        "team_id": None,
        "title": None,
        "notes": "text",
        "cards": "map",
        "steps": "array",
    }


def test_a_whole_resource_of_documents_leaves_out_what_says_where_it_lives_and_what_has_a_rule_of_its_own() -> None:
    class Plan(Resource):
        team_id: str
        text: str = ""
        likes: Annotated[int, rules.counter] = 0

    app = App("club")
    app.resource(scope="team:{team_id}", rule=rules.crdt)(Plan)
    rule = app.type_of(Plan).rule
    assert rule.name == "crdt"
    assert {name: rule.field_rule(name).name for name in ("team_id", "text", "likes", "unknown")} == {
        "team_id": "lww",
        "text": "crdt",
        "likes": "counter",
        "unknown": "lww",
    }


def test_a_document_that_is_neither_text_nor_map_nor_list_is_refused() -> None:
    declared = model("Thing", count=(Annotated[int, rules.crdt], 0))
    assert "a document by its rule" in refusal(lambda: App("club").resource(scope="main", rule=rules.merge)(declared))
    with_a_number = model("Thing", count=(int, 0))
    assert "'count'" in refusal(lambda: App("club").resource(scope="main", rule=rules.crdt)(with_a_number))
