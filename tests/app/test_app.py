"""App: what the engine and the SDK ask of the declarations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from conflict_rules import Change
from syncd.app import App, HookTransaction, Resource, Resources, Veto
from syncd.errors import AppError


class Note(Resource):
    text: str = ""


class Other(Resource):
    text: str = ""


def app() -> App:
    club = App("club", version=3)
    club.resource(scope="club")(Note)
    return club


def refusal(declare: Callable[[], object]) -> str:
    with pytest.raises(AppError) as told:
        declare()
    return told.value.message


def test_an_app_says_its_name_version_and_types() -> None:
    club = app()
    assert (club.name, club.version, club.open) == ("club", 3, False)
    assert list(club.types) == ["note"]
    assert club.type("note") is club.types["note"] is club.type_of(Note)
    assert club.types["note"].model is Note
    assert club.type("stranger") is None


def test_declarations_cannot_be_changed_behind_its_back() -> None:
    with pytest.raises(TypeError):
        app().types["note"] = None  # type: ignore[index]
    with pytest.raises(TypeError):
        app().views["score"] = None  # type: ignore[index]


@pytest.mark.parametrize("name", ["", "Club", "my app", "x" * 65])
def test_a_name_that_no_place_could_show_is_refused(name: str) -> None:
    assert "is no name for an app" in refusal(lambda: App(name))


@pytest.mark.parametrize("version", [0, -1, True, "1", 1.0])
def test_a_version_is_counted_from_one(version: Any) -> None:
    assert "it is a whole number from 1" in refusal(lambda: App("club", version=version))


def test_a_model_of_another_app_is_told_by_name() -> None:
    assert refusal(lambda: app().type_of(Other)) == "Other is not a resource of the app 'club'"
    assert "Other is not a resource" in refusal(lambda: app().on_change(Other)(_hook))


async def _hook(tx: HookTransaction, change: Change) -> None:
    raise Veto("not today", field="text")


async def _second_hook(tx: HookTransaction, change: Change) -> None: ...


def test_hooks_are_called_in_the_order_of_their_declaration() -> None:
    club = app()
    assert list(club.hooks("note")) == []
    assert club.on_change(Note)(_hook) is _hook
    club.on_change(Note)(_second_hook)
    assert list(club.hooks("note")) == [_hook, _second_hook]
    assert list(club.hooks("stranger")) == []


def test_a_hook_that_could_not_be_called_is_refused() -> None:
    def not_async(tx: HookTransaction, change: Change) -> None: ...

    async def too_few(tx: HookTransaction) -> None: ...

    assert refusal(lambda: app().on_change(Note)(not_async)) == (  # type: ignore[type-var]
        "the hook 'not_async' must be written with async def"
    )
    assert "is called with (tx, change)" in refusal(lambda: app().on_change(Note)(too_few))  # type: ignore[type-var]


def test_a_veto_has_a_sentence_a_code_and_a_field() -> None:
    veto = Veto("this game is full", code="full", field="place_id")
    assert (str(veto), veto.message, veto.code, veto.field) == (
        "this game is full",
        "this game is full",
        "full",
        "place_id",
    )
    assert (Veto("no").code, Veto("no").field) == ("vetoed", None)


def test_a_view_is_named_after_its_function_and_asked_only_of_its_scopes() -> None:
    club = app()

    @club.view(scope="club")
    def count(resources: Resources) -> int:
        return len(resources.all(Note))

    view = club.views["count"]
    assert (view.name, view.scope_prefix, view.function) == ("count", "club", count)
    assert club.view_for("count", "club") is view
    assert club.view_for("count", "club:9f") is view
    assert club.view_for("count", "clubs:9f") is None
    assert club.view_for("score", "club") is None


def test_a_view_that_could_not_be_run_is_refused() -> None:
    club = app()

    def one(resources: Resources) -> int:
        return 1

    async def not_pure(resources: Resources) -> int:
        return 1

    def no_argument() -> int:
        return 1

    club.view(scope="club")(one)
    assert "two views 'one'" in refusal(lambda: club.view(scope="club")(one))
    assert "a view is pure" in refusal(lambda: club.view(scope="club")(not_pure))
    assert "is called with (resources)" in refusal(lambda: club.view(scope="club")(no_argument))  # type: ignore[type-var]


def test_a_view_for_scopes_in_which_nothing_lives_is_refused() -> None:
    def score(resources: Resources) -> int:
        return 0

    with pytest.raises(AppError) as told:
        app().view(scope="mach")(score)
    assert told.value.message == "the view 'score' is for scopes 'mach', but no resource declared above it lives in one"
    assert told.value.hint == "The scopes declared so far begin with: club."
