"""What an app author imports is a promise, and so is what it drags in."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import conflict_rules
import syncd.app
from syncd.app import rules

ROOM = Path(syncd.app.__file__).parent


def test_the_public_names_are_these_and_all_of_them_are_there() -> None:
    promised = [
        "App",
        "Change",
        "Conflict",
        "Hook",
        "HookTransaction",
        "Intent",
        "Resource",
        "ResourceType",
        "Resources",
        "Veto",
        "View",
        "load_app",
        "new_id",
        "open_app",
        "personal",
        "private",
        "roles",
        "rules",
    ]
    assert syncd.app.__all__ == promised
    assert [name for name in promised if not hasattr(syncd.app, name)] == []


@pytest.mark.parametrize("path", sorted(ROOM.glob("*.py")), ids=lambda path: path.stem)
def test_the_room_knows_nothing_of_the_server_but_its_errors(path: Path) -> None:
    """The SDK imports it too: `conflict_rules`, `syncd.errors`, itself, and no more of ours."""
    ours = {name for name in _imports(path) if name.partition(".")[0] in ("syncd", "client_sdk", "conflict_rules")}
    strangers = {
        name for name in ours if not name.startswith(("conflict_rules", "syncd.app")) and name != "syncd.errors"
    }
    assert strangers == set()


@pytest.mark.parametrize("name", ["lww", "merge", "append"])
def test_the_rules_are_the_very_ones_that_the_engine_runs(name: str) -> None:
    assert getattr(rules, name) is conflict_rules.rule_by_name(name)


def _imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports by dots"
            names.add(str(node.module))
    return names - set(sys.stdlib_module_names)
