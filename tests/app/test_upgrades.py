"""Upgrades: declared, checked as a chain, and run on one change at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conflict_rules import Change, JsonValue, Op, Stamp
from syncd.app import App, Intent, Resource, Veto, load_app
from syncd.app.upgrades import UpgradeFailed
from syncd.errors import AppError
from tests.support.walking_club import v2, v3


def change(
    op: str, type: str = "walk", /, *, schema: int = 1, was: dict[str, Any] | None = None, **fields: Any
) -> Change:
    return Change("r", 1, "main", type, "x", Op(op), Stamp(1, 0, "r"), 0, fields, None, schema, was or {})


def app(version: int = 3) -> App:
    return App("club", version=version)


def same(change: Intent) -> Intent:
    return change


def leading(version: int, *steps: int) -> App:
    club = app(version)
    for step in steps:
        club.upgrade(from_version=step)(same)
    return club


def refusal(declare: Callable[[], object]) -> AppError:
    with pytest.raises(AppError) as told:
        declare()
    return told.value


class TestTheChain:
    @pytest.mark.parametrize(
        ("version", "steps", "oldest"), [(1, (), 1), (3, (), 3), (3, (2,), 2), (3, (2, 1), 1), (5, (4, 3, 3), 3)]
    )
    def test_the_oldest_version_is_the_lowest_from_which_it_leads_to_the_current_one(
        self, version: int, steps: tuple[int, ...], oldest: int
    ) -> None:
        club = leading(version, *steps)
        club.upgrades.check()
        assert club.upgrades.oldest == oldest

    def test_a_gap_is_told_with_what_can_be_lifted_nevertheless(self) -> None:
        told = refusal(leading(5, 1, 2, 4).upgrades.check)
        assert told.message == (
            "the app 'club' has upgrades from version 1 and 2, but none from version 3: "
            "only changes made from version 4 on could be read"
        )
        assert told.hint == "Add @app.upgrade(from_version=3), or take out those below it."

    def test_a_chain_that_does_not_reach_the_current_version_lifts_nothing(self) -> None:
        club = leading(4, 1, 2)
        assert club.upgrades.oldest == 4
        assert "none from version 3: only changes made under version 4 alone" in refusal(club.upgrades.check).message

    def test_it_is_checked_when_the_app_is_loaded(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "gappy_club.py").write_text(
            "from syncd.app import App\n"
            "app = App('club', version=3)\n"
            "@app.upgrade(from_version=1)\n"
            "def lift(change): return change\n"
        )
        assert "none from version 2" in refusal(lambda: load_app("gappy_club:app")).message

    @pytest.mark.parametrize("version", [0, -1, 3, 4, True, "1", 1.5])
    def test_a_step_leads_from_an_earlier_version(self, version: Any) -> None:
        told = refusal(lambda: app().upgrade(from_version=version)(same))
        assert f"the upgrade 'same' leads on from version {version!r}" in told.message
        assert told.hint == "Name a version from 1 to 2, or count up the version of the app."

    def test_an_app_of_version_one_has_nothing_to_lift(self) -> None:
        assert "App(name, version=2)" in refusal(lambda: app(1).upgrade(from_version=1)(same)).hint

    def test_a_function_that_could_not_be_called_is_refused(self) -> None:
        async def not_pure(change: Intent) -> Intent:
            return change

        def no_argument() -> None: ...

        club = app()
        assert "an upgrade is pure" in refusal(lambda: club.upgrade(from_version=1)(not_pure)).message  # type: ignore[type-var]
        assert "is called with (change)" in refusal(lambda: club.upgrade(from_version=1)(no_argument)).message  # type: ignore[type-var]

    def test_a_type_is_named_as_it_was_called_or_by_its_class(self) -> None:
        class Stranger(Resource): ...

        club = app()
        assert "no name for a type" in refusal(lambda: club.upgrade(from_version=1, type="Walk")(same)).message
        assert (
            "Stranger is not a resource" in refusal(lambda: club.upgrade(from_version=1, type=Stranger)(same)).message
        )


class TestOneChange:
    def test_is_lifted_through_every_version_in_between(self) -> None:
        lifted = v3.club.upgrades.lift(change("create", title="Dunes", miles=10, mood="sunny", colour="red"))
        assert lifted.fields == {"name": "Dunes", "km": 16.09, "open_to_guests": False, "colour": "red"}
        assert lifted.schema == 3

    def test_is_lifted_only_from_where_it_stands(self) -> None:
        assert v3.club.upgrades.lift(change("update", schema=2, miles=10)).fields == {"km": 16.09}
        current = change("update", schema=3, miles=10)
        assert v3.club.upgrades.lift(current) is current, "a field that nobody knows"

    def test_keeps_number_base_stamp_group_and_all_that_is_not_its_content(self) -> None:
        before = Change("r", 7, "main", "memo", "x", Op.UPDATE, Stamp(5, 1, "r"), 4, {"text": "a"}, "g", 1, {}, "c-1")
        after = v3.club.upgrades.lift(before)
        assert (after.type, after.schema) == ("note", 3)
        assert (after.replica, after.n, after.scope, after.id, after.op) == ("r", 7, "main", "x", Op.UPDATE)
        assert (after.stamp, after.base, after.group, after.conflict) == (Stamp(5, 1, "r"), 4, "g", "c-1")

    @pytest.mark.parametrize("op", ["update", "delete", "restore"])
    def test_of_a_renamed_type_is_about_the_new_one_whatever_it_does(self, op: str) -> None:
        assert v3.club.upgrades.lift(change(op, "memo")).type == "note"

    def test_takes_what_the_person_was_shown_along(self) -> None:
        lifted = v3.club.upgrades.lift(change("update", title="Dunes", miles=2, was={"title": "Dune", "miles": 1}))
        assert lifted.was == {"name": "Dune", "km": 1.61}

    def test_gets_a_default_only_if_it_makes_something_new(self) -> None:
        assert "open_to_guests" not in v3.club.upgrades.lift(change("update", title="Dunes")).fields
        made = v3.club.upgrades.lift(change("create", title="Dunes", miles=1, open_to_guests=True))
        assert made.fields["open_to_guests"] is True

    def test_keeps_null_as_it_is(self) -> None:
        assert v3.club.upgrades.lift(change("update", miles=None)).fields == {"km": None}

    def test_keeps_what_the_person_typed_where_an_unknown_field_has_the_new_name_already(self) -> None:
        assert v2.club.upgrades.lift(change("update", title="mine", name="theirs")).fields == {"name": "mine"}

    def test_of_a_built_in_type_is_the_same_in_every_version(self) -> None:
        club = app(2)
        club.upgrade(from_version=1)(lambda change: None)
        question = change("settle", "conflict", choice="one")
        assert club.upgrades.lift(question) is question

    def test_that_settles_a_conflict_speaks_in_the_words_in_which_it_was_opened(self) -> None:
        settlement = change("settle", title="Dunes")
        assert v3.club.upgrades.lift(settlement) is settlement

    def test_passes_every_step_that_is_for_its_type_as_it_was_called_then_in_the_order_of_declaration(self) -> None:
        club = app(2)

        @club.upgrade(from_version=1, type="memo")
        def renamed(change: Intent) -> Intent:
            return change.of_type("note").renamed("text", "first")

        @club.upgrade(from_version=1, type="note")
        def not_for_what_has_just_become_one(change: Intent) -> Intent:
            return change.without("first")

        @club.upgrade(from_version=1)
        def for_all(change: Intent) -> Intent:
            return change.renamed("first", "second")

        assert club.upgrades.lift(change("create", "memo", text="a")).fields == {"second": "a"}
        assert club.upgrades.lift(change("create", "note", first="a")).fields == {}


class TestWhatCannotBeLifted:
    def lift(self, function: Callable[[Intent], Any], op: str = "update") -> Change:
        club = app(2)
        club.upgrade(from_version=1)(function)
        return club.upgrades.lift(change(op, title="a"))

    def test_none_says_that_it_has_no_meaning_any_more(self) -> None:
        with pytest.raises(Veto) as told:
            self.lift(lambda change: None)
        assert str(told.value) == "this walk has no meaning any more in version 2 of the app"
        assert told.value.code == "obsolete"

    def test_a_veto_says_why(self) -> None:
        def refuse(change: Intent) -> Intent:
            raise Veto("polls have ended", code="polls_ended", field="title")

        with pytest.raises(Veto, match="polls have ended"):
            self.lift(refuse)

    def test_a_function_that_raises_is_named(self) -> None:
        def divide(change: Intent) -> Intent:
            return change.converted("title", lambda value: 1 / 0)

        with pytest.raises(
            UpgradeFailed, match="the upgrade 'divide' from version 1 failed: ZeroDivisionError"
        ) as told:
            self.lift(divide)
        assert isinstance(told.value.__cause__, ZeroDivisionError)

    @pytest.mark.parametrize("result", [{"fields": {}}, "note", 1])
    def test_what_is_no_intent_is_no_change(self, result: object) -> None:
        with pytest.raises(UpgradeFailed, match="which is no Intent"):
            self.lift(lambda change: result)

    @pytest.mark.parametrize("value", [float("nan"), object(), b"", 2**60, "\x00"])
    def test_a_value_that_cannot_be_kept_is_no_change(self, value: Any) -> None:
        with pytest.raises(UpgradeFailed, match="makes what cannot be kept"):
            self.lift(lambda change: change.converted("title", lambda _: value))

    @pytest.mark.parametrize("schema", [0, 1, 4])
    def test_a_version_from_which_nothing_leads_here_is_told(self, schema: int) -> None:
        club = leading(3, 2)
        with pytest.raises(UpgradeFailed, match=f"no upgrades lead from version {schema} to version 3"):
            club.upgrades.lift(change("update", schema=schema))
        assert club.upgrades.oldest == 2, "asking changes nothing"

    def test_neither_is_a_type_that_cannot_be_or_a_delete_with_fields(self) -> None:
        with pytest.raises(UpgradeFailed, match="that cannot be"):
            self.lift(lambda change: change.of_type("No Type"))
        with pytest.raises(UpgradeFailed, match="that cannot be"):
            self.lift(lambda change: change.split("title", lambda value: {"name": value}), op="delete")


def test_an_intent_is_a_value_and_its_methods_make_others() -> None:
    before = Intent("walk", "create", {"title": "Dunes"})
    after = before.renamed("title", "name").split("name", lambda value: {"a": value, "b": 1}).without("b", "nothing")
    assert after == Intent("walk", "create", {"a": "Dunes"})
    assert before.fields == {"title": "Dunes"}
    value: JsonValue = before.renamed("absent", "present").fields["title"]
    assert value == "Dunes"
