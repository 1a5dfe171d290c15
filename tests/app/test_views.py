"""Resources: what a view sees of a scope."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from conflict_rules import JsonValue, Mark, Origin, Stamp, State
from syncd.app import App, Resource, Resources
from syncd.errors import AppError


class Note(Resource):
    text: str
    likes: int = 0


class Tag(Resource):
    word: str


class Stranger(Resource):
    pass


app = App("club")
app.resource(scope="club")(Note)
app.resource(scope="club")(Tag)


def state(type_name: str, resource_id: str, fields: Mapping[str, JsonValue] | None = None, version: int = 1) -> State:
    mark = Mark(version, Stamp(version, 0, "r"))
    if fields is None:
        return State("club", type_name, resource_id, version, {}, {}, Origin("r", version), deleted=mark)
    return State("club", type_name, resource_id, version, fields, dict.fromkeys(fields, mark), Origin("r", version))


def test_a_view_sees_models_by_type_sorted_by_id_in_whatever_order_the_states_came() -> None:
    states = [
        state("note", "b", {"text": "second"}),
        state("tag", "t", {"word": "x"}),
        state("note", "a", {"text": "first"}),
    ]
    for order in (states, states[::-1]):
        resources = Resources.from_states(app, order)
        assert [(note.id, note.text) for note in resources.all(Note)] == [("a", "first"), ("b", "second")]
        assert [tag.word for tag in resources.all(Tag)] == ["x"]


def test_tombstones_are_left_out() -> None:
    resources = Resources.from_states(app, [state("note", "a"), state("note", "b", {"text": "here"})])
    assert [note.id for note in resources.all(Note)] == ["b"]
    assert resources.get(Note, "a") is None


def test_one_resource_is_found_by_its_id_in_its_own_type() -> None:
    resources = Resources.from_states(app, [state("note", "a", {"text": "hello"})])
    assert resources.get(Note, "a") == Note(id="a", text="hello")
    assert resources.get(Note, "b") is None
    assert resources.get(Tag, "a") is None


def test_data_of_another_version_is_read_as_far_as_it_goes() -> None:
    resources = Resources.from_states(app, [state("note", "a", {"text": 5, "likes": 2, "new": True})])
    (note,) = resources.all(Note)
    assert note.to_fields() == {"text": 5, "likes": 2, "new": True}


def test_types_that_the_app_does_not_have_are_not_in_the_way() -> None:
    resources = Resources.from_states(app, [state("from_a_newer_app", "a", {"x": 1})])
    assert resources.all(Note) == []


def test_asking_for_what_is_no_resource_of_the_app_is_the_authors_mistake() -> None:
    with pytest.raises(AppError, match="Stranger is not a resource of the app 'club'"):
        Resources.from_states(app, []).all(Stranger)


def test_a_view_may_keep_the_list_that_it_was_given() -> None:
    resources = Resources.from_states(app, [state("note", "a", {"text": "hello"})])
    resources.all(Note).clear()
    assert len(resources.all(Note)) == 1
