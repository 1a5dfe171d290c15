"""Resources: typed when they fit, and never in the way when they do not."""

from __future__ import annotations

import datetime
import uuid

import pytest
from pydantic import Field, ValidationError, ValidationInfo, computed_field, field_validator

from conflict_rules import InvalidValue
from syncd.app import App, Resource, ResourceType, new_id, rules


class Event(Resource):
    match_id: str
    kind: str
    minute: int = Field(ge=0, le=130)
    at: datetime.datetime | None = None
    tags: list[str] = Field(default_factory=list)

    @computed_field  # type: ignore[prop-decorator]  # as pydantic's documentation writes it
    @property
    def label(self) -> str:
        return f"{self.minute}' {self.kind}"


def declared() -> ResourceType:
    app = App("club")
    app.resource(scope="match:{match_id}", rule=rules.append)(Event)
    return app.type_of(Event)


GOAL = {"match_id": "9f", "kind": "goal", "minute": 47}


def test_a_new_resource_has_an_id_of_its_own_and_later_ones_sort_later() -> None:
    ids = [Event(match_id="9f", kind="goal", minute=1).id for _ in range(100)]
    assert len(set(ids)) == 100
    assert ids == sorted(ids)
    assert uuid.UUID(new_id()).version == 7


@pytest.mark.parametrize("bad", ["", "a b", "x" * 129, "ü"])
def test_an_id_that_no_store_would_take_is_refused_where_it_is_made(bad: str) -> None:
    with pytest.raises(ValidationError, match="an id is 1 to 128 characters"):
        Event(id=bad, match_id="9f", kind="goal", minute=1)


def test_to_fields_gives_json_values_with_defaults_and_unknown_fields_but_no_id() -> None:
    event = Event.model_validate({**GOAL, "id": "e1", "at": "2026-11-20T10:30:00Z", "weather": "rain"})
    assert event.to_fields() == {**GOAL, "at": "2026-11-20T10:30:00Z", "tags": [], "weather": "rain"}


def test_from_fields_reads_what_to_fields_wrote() -> None:
    event = Event(
        id="e1", match_id="9f", kind="goal", minute=47, at=datetime.datetime(2026, 11, 20, tzinfo=datetime.UTC)
    )
    assert Event.from_fields("e1", event.to_fields()) == event


def test_from_fields_keeps_what_it_does_not_understand_and_fills_what_is_missing() -> None:
    old = {"match_id": "9f", "minute": "about 47", "at": "2026-11-20T10:30:00Z", "weather": "rain"}
    event = Event.from_fields("e1", old)
    assert (event.id, event.match_id, event.tags) == ("e1", "9f", [])
    assert str(event.minute) == "about 47"
    assert event.at == datetime.datetime(2026, 11, 20, 10, 30, tzinfo=datetime.UTC), "what fits is read as ever"
    assert event.kind is None
    assert event.to_fields() == {**old, "tags": []}, "nothing is lost, and nothing made up, on the way back"


def test_what_is_changed_on_an_old_resource_is_sent_with_the_rest() -> None:
    event = Event.from_fields("e1", {"match_id": "9f"})
    event.kind = "save"
    assert event.to_fields() == {"match_id": "9f", "kind": "save", "at": None, "tags": []}


class Touchy(Resource):
    first: int
    second: int = 0

    @field_validator("second")
    @classmethod
    def after_first(cls, second: int, info: ValidationInfo) -> int:
        if second < info.data["first"]:  # a KeyError where `first` did not fit: a common slip
            raise ValueError("second comes after first")
        return second


@pytest.mark.parametrize("fields", [{"first": "x", "second": 3}, {"first": 3, "second": 1}, {}, {"first": {}, "z": 1}])
def test_from_fields_never_raises_whatever_the_authors_checks_do(fields: dict[str, object]) -> None:
    touchy = Touchy.from_fields("t1", fields)
    assert touchy.to_fields() == {"second": 0, **fields}


def test_a_create_has_every_required_field() -> None:
    event = declared()
    event.check_create("e1", "match:9f", GOAL)
    with pytest.raises(InvalidValue) as refused:
        event.check_create("e1", "match:9f", {"match_id": "9f", "kind": "goal"})
    assert (refused.value.code, refused.value.field) == ("missing_field", "minute")
    assert str(refused.value) == "minute: it is missing; a new event has match_id, kind, minute"


def test_an_update_is_checked_field_by_field() -> None:
    event = declared()
    event.check_update("match:9f", {"minute": 48})
    event.check_update("match:9f", {})
    event.check_update("match:9f", {"weather": "rain"})
    with pytest.raises(InvalidValue) as refused:
        event.check_update("match:9f", {"minute": 131})
    assert (refused.value.code, refused.value.field) == ("invalid_field", "minute")
    assert str(refused.value) == "minute: should be less than or equal to 130"


def test_a_create_belongs_in_the_scope_that_its_fields_tell() -> None:
    event = declared()
    assert event.scope_of("e1", GOAL) == "match:9f"
    assert event.scope_of("e1", {"kind": "goal"}) is None
    with pytest.raises(InvalidValue) as refused:
        event.check_create("e1", "match:other", GOAL)
    assert (refused.value.code, refused.value.field) == ("wrong_scope", "scope")


def test_a_create_whose_fields_make_no_scope_is_refused_by_the_field() -> None:
    with pytest.raises(InvalidValue) as asked:
        declared().scope_of("e1", {**GOAL, "match_id": "9 f"})
    with pytest.raises(InvalidValue) as created:
        declared().check_create("e1", "match:9 f", {**GOAL, "match_id": "9 f"})
    for refused in (asked.value, created.value):
        assert (refused.code, refused.field) == ("invalid_scope", "match_id")


def test_an_update_never_moves_a_resource_to_another_scope() -> None:
    event = declared()
    event.check_update("match:9f", {"match_id": "9f", "minute": 3})
    with pytest.raises(InvalidValue) as refused:
        event.check_update("match:9f", {"match_id": "10", "minute": 3})
    assert (refused.value.code, refused.value.field) == ("scope_is_for_life", "match_id")


def test_the_id_is_not_among_the_fields() -> None:
    with pytest.raises(InvalidValue) as created:
        declared().check_create("e1", "match:9f", {**GOAL, "id": "e1"})
    with pytest.raises(InvalidValue) as updated:
        declared().check_update("match:9f", {"id": "e2"})
    for refused in (created.value, updated.value):
        assert (refused.code, refused.field) == ("reserved_field", "id")
