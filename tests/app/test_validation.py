"""Checks of pushed fields: strict as JSON is, each field on its own, no value changed, and a sentence for a person."""

from __future__ import annotations

import datetime
import decimal
import enum
import logging
import uuid
from typing import Annotated, Any, Literal

import pytest
from pydantic import AwareDatetime, BaseModel, Field, ValidationInfo, field_validator
from pydantic.dataclasses import dataclass

from conflict_rules import InvalidValue
from syncd.app import Resource
from syncd.app.validation import check_fields


class Colour(enum.Enum):
    RED = "red"


class Spot(BaseModel):
    x: int
    y: int


@dataclass
class Span:
    days: int


class Everything(Resource):
    """One field of each kind that an app is likely to have."""

    text: str
    short: str = Field(max_length=3)
    count: int = Field(ge=0, le=130)
    annotated: Annotated[int, Field(gt=5)]
    number: float
    flag: bool
    kind: Literal["goal", "save"]
    colour: Colour
    at: datetime.datetime
    aware: AwareDatetime
    day: datetime.date
    clock: datetime.time
    length: datetime.timedelta
    unique: uuid.UUID
    price: decimal.Decimal
    maybe: int | None
    either: int | str
    tags: list[str]
    pair: tuple[int, int]
    unique_tags: set[str]
    spot: Spot
    spots: list[Spot]
    span: Span
    table: dict[str, int]
    anything: Any
    shape: Spot | Span


GOOD: list[tuple[str, object]] = [
    ("text", ""),
    ("short", "abc"),
    ("count", 0),
    ("count", 130),
    ("annotated", 6),
    ("number", 1.5),
    ("number", 1),
    ("flag", False),
    ("kind", "save"),
    ("colour", "red"),
    ("at", "2026-11-20T10:30:00"),
    ("at", "2026-11-20T10:30:00Z"),
    ("aware", "2026-11-20T10:30:00.123+01:00"),
    ("day", "2026-11-20"),
    ("clock", "10:30"),
    ("length", "PT45M"),
    ("unique", "019a6c0f-2e1a-7000-8000-000000000000"),
    ("price", "1.10"),
    ("maybe", None),
    ("maybe", 3),
    ("either", "3"),
    ("tags", ["a", "b"]),
    ("pair", [1, 2]),
    ("unique_tags", ["a", "b"]),
    ("spot", {"x": 1, "y": 2}),
    ("spots", []),
    ("span", {"days": 3}),
    ("table", {"a": 1}),
    ("anything", [{"deep": None}]),
]


@pytest.mark.parametrize(("name", "value"), GOOD)
def test_a_value_that_json_has_for_the_field_is_taken(name: str, value: object) -> None:
    check_fields(Everything, {name: value})


BAD: list[tuple[str, object, str, str]] = [
    ("text", 3, "text", "text: should be a valid string"),
    ("text", None, "text", "text: should be a valid string"),
    ("short", "abcd", "short", "short: string should have at most 3 characters"),
    ("count", True, "count", "count: should be a valid integer"),
    ("count", "3", "count", "count: should be a valid integer"),
    ("count", 1.5, "count", "count: should be a valid integer"),
    ("count", 131, "count", "count: should be less than or equal to 130"),
    ("annotated", 5, "annotated", "annotated: should be greater than 5"),
    ("number", "1", "number", "number: should be a valid number"),
    ("number", True, "number", "number: should be a valid number"),
    ("flag", 1, "flag", "flag: should be a valid boolean"),
    ("flag", "yes", "flag", "flag: should be a valid boolean"),
    ("kind", "yellow_card", "kind", "kind: should be 'goal' or 'save'"),
    ("colour", "blue", "colour", "colour: should be 'red'"),
    ("at", 1763640000, "at", "at: should be a valid datetime"),
    ("at", "yesterday", "at", "at: should be a valid datetime"),
    ("aware", "2026-11-20T10:30:00", "aware", "aware: should have timezone info"),
    ("unique", "9f", "unique", "unique: should be a valid UUID"),
    ("tags", "a", "tags", "tags: should be a valid"),
    ("tags", ["a", 1], "tags[1]", "tags[1]: should be a valid string"),
    ("spot", {"x": 1}, "spot", "spot: field required"),
    ("spot", {"x": 1, "y": "2"}, "spot.y", "spot.y: should be a valid integer"),
    ("spots", [{"x": 1, "y": 2}, {"x": 1, "y": None}], "spots[1].y", "spots[1].y: should be a valid integer"),
    ("table", {"a": "1"}, "table.a", "table.a: should be a valid integer"),
    ("either", 1.5, "either", "either: should be a valid"),
    ("shape", {"x": 1, "y": "2"}, "shape.y", "shape.y: should be a valid integer"),
]


@pytest.mark.parametrize(("name", "value", "field", "begins"), BAD)
def test_another_value_is_refused_with_its_place_and_a_sentence(
    name: str, value: object, field: str, begins: str
) -> None:
    with pytest.raises(InvalidValue) as refused:
        check_fields(Everything, {name: value})
    assert refused.value.code == "invalid_field"
    assert refused.value.field == field
    assert str(refused.value).startswith(begins)


def test_names_that_the_model_does_not_know_are_let_through() -> None:
    check_fields(Everything, {"from_a_newer_app": {"any": ["thing"]}, "count": 3})


def test_the_fields_are_only_looked_at() -> None:
    fields = {"at": "2026-11-20T10:30:00Z", "number": 1, "unique_tags": ["b", "a", "b"], "colour": "red"}
    before = {**fields, "unique_tags": ["b", "a", "b"]}
    check_fields(Everything, fields)
    assert fields == before
    assert isinstance(fields["number"], int)


class Picky(Resource):
    minute: int
    kind: str = "goal"

    @field_validator("kind")
    @classmethod
    def no_cards(cls, kind: str) -> str:
        if kind == "card":
            raise ValueError("a card has no kind here")
        return kind

    @field_validator("kind")
    @classmethod
    def no_shouting(cls, kind: str) -> str:
        assert kind.islower(), "write it in lower case"
        return kind


def test_an_authors_own_check_of_a_field_speaks_in_its_own_words() -> None:
    with pytest.raises(InvalidValue, match=r"^kind: a card has no kind here$"):
        check_fields(Picky, {"kind": "card"})
    with pytest.raises(InvalidValue, match=r"^kind: write it in lower case"):
        check_fields(Picky, {"kind": "GOAL"})


class Broken(Resource):
    minute: int

    @field_validator("minute")
    @classmethod
    def look_it_up(cls, minute: int, info: ValidationInfo) -> int:
        return int(info.data["no such field"]) + minute


def test_an_authors_check_that_breaks_refuses_the_change_and_tells_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Invariant 6: the batch goes on. What the author's code says is for the log."""
    with caplog.at_level(logging.ERROR), pytest.raises(InvalidValue) as refused:
        check_fields(Broken, {"minute": 3})
    assert refused.value.code == "check_failed"
    assert "no such field" not in str(refused.value)
    assert "no such field" in caplog.text
