"""The wheel carries everything that a server and the demo need, and nothing else of the tree."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of all files in a wheel built from this tree."""
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("dist")), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_migrations_are_in_it(contents: set[str]) -> None:
    revisions = {path.name for path in (ROOT / "migrations" / "versions").glob("*.py")}
    assert revisions
    assert {f"syncd/_migrations/versions/{name}" for name in revisions} <= contents
    assert "syncd/_migrations/env.py" in contents


def test_the_demos_matches_are_in_it_with_their_licence(contents: set[str]) -> None:
    wanted = {"README.md", "LICENSE.md", "wc2018.jsonl", "wc2022.jsonl"}
    assert {f"syncd/_fixtures/football-worldcup/{name}" for name in wanted} <= contents


def test_each_package_tells_type_checkers_that_it_is_typed(contents: set[str]) -> None:
    assert {"syncd/py.typed", "client_sdk/py.typed", "conflict_rules/py.typed"} <= contents


def test_the_licence_is_in_it(contents: set[str]) -> None:
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in contents)


def test_nothing_else_of_the_tree_is_in_it(contents: set[str]) -> None:
    tops = {name.partition("/")[0] for name in contents if ".dist-info/" not in name}
    assert tops == {"syncd", "client_sdk", "conflict_rules"}
    assert not [name for name in contents if "bad-input" in name or name.endswith((".pyc", ".db"))]
