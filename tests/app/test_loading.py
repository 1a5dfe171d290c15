"""Finding an app by its name on the command line; each way to get it wrong has its own sentence."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.app import load_app
from syncd.errors import AppError

APP = "from syncd.app import App\napp = App('club')\nnumber = 3\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory; modules loaded from it are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != ""])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["clubapp_pkg.mod:app", "clubapp_pkg.mod.app"])
def test_an_app_is_found_from_the_folder_it_lies_in(folder: Path, name: str) -> None:
    (folder / "clubapp_pkg").mkdir()
    (folder / "clubapp_pkg" / "mod.py").write_text(APP)
    assert load_app(name).name == "club"


def test_an_installed_app_is_found() -> None:
    assert load_app("syncd.apps.grassroots:app").name == "grassroots"


def refusal(name: str) -> AppError:
    with pytest.raises(AppError) as told:
        load_app(name)
    return told.value


@pytest.mark.parametrize(
    "name", ["", "app", ":app", "clubapp:", ".clubapp:app", "a b:app", "clubapp:a.b", "clubapp:app()"]
)
def test_what_names_no_app_is_told(folder: Path, name: str) -> None:
    told = refusal(name)
    assert told.message == f"{name!r} does not name an app"
    assert "syncd.apps.grassroots:app" in told.hint


def test_a_module_that_is_not_there_is_told_apart_from_one_that_it_needs(folder: Path) -> None:
    (folder / "clubapp_needs.py").write_text("import clubapp_not_installed\n")
    assert refusal("clubapp_nowhere.mod:app").message == (
        "there is no module 'clubapp_nowhere' for the app 'clubapp_nowhere.mod:app'"
    )
    assert refusal("clubapp_needs:app").message == (
        "the app module 'clubapp_needs' needs 'clubapp_not_installed', which is not installed"
    )


def test_a_module_that_fails_is_told_with_its_failure(folder: Path) -> None:
    (folder / "clubapp_fails.py").write_text("1 / 0\n")
    told = refusal("clubapp_fails:app")
    assert told.message == "the app module 'clubapp_fails' cannot be loaded: ZeroDivisionError: division by zero"
    assert isinstance(told.__cause__, ZeroDivisionError)


def test_a_declaration_that_cannot_be_keeps_its_own_sentence(folder: Path) -> None:
    (folder / "clubapp_bad.py").write_text("from syncd.app import App\napp = App('Not A Name')\n")
    assert "is no name for an app" in refusal("clubapp_bad:app").message


def test_another_attribute_is_told_with_the_apps_that_are_there(folder: Path) -> None:
    (folder / "clubapp_attr.py").write_text(APP)
    assert refusal("clubapp_attr:ap").message == "the module 'clubapp_attr' has no 'ap'"
    assert refusal("clubapp_attr:ap").hint == "It holds: clubapp_attr:app."
    assert refusal("clubapp_attr:number").message == (
        "'number' in the module 'clubapp_attr' is a int, not a syncd.app.App"
    )


def test_a_module_named_without_its_app_gets_the_name_to_use(folder: Path) -> None:
    (folder / "clubapp_whole").mkdir()
    (folder / "clubapp_whole" / "__init__.py").write_text("from clubapp_whole import mod\n")
    (folder / "clubapp_whole" / "mod.py").write_text(APP)
    assert refusal("clubapp_whole.mod").hint == "Did you mean 'clubapp_whole.mod:app'?"
