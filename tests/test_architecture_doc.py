"""docs/architecture.md names the test that holds each law and invariant; here the page is held to the tree."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
LAWS, INVARIANTS = PAGE.split("## The laws of the change path")[1].split("## The invariants")


def rows(section: str) -> dict[int, str]:
    """The rows of a table by their number; the last cell, which says what holds it."""
    return {int(n): line for n, line in re.findall(r"^\| \*\*(\d+)\*\* [^|]+\|[^|]+\| (.+) \|$", section, re.MULTILINE)}


def paths_in(text: str) -> set[str]:
    return set(re.findall(r"`(tests/[\w/]+\.py)`", text))


@pytest.mark.parametrize(("section", "last"), [(LAWS, 12), (INVARIANTS, 13)], ids=["laws", "invariants"])
def test_each_has_a_test_or_says_what_brings_it(section: str, last: int) -> None:
    held_by = rows(section)
    assert list(held_by) == list(range(1, last + 1))
    assert [n for n, cell in held_by.items() if not paths_in(cell) and not cell.startswith("later")] == []


def test_every_test_that_is_named_is_there() -> None:
    assert [path for path in sorted(paths_in(PAGE)) if not (ROOT / path).is_file()] == []


def test_every_test_of_a_law_or_an_invariant_is_named_beside_it() -> None:
    for path in (ROOT / "tests" / "invariants").glob("test_*.py"):
        kind, number = re.match(r"test_(law|invariant)_(\d\d)_", path.name).groups()  # type: ignore[union-attr]
        cell = rows(LAWS if kind == "law" else INVARIANTS)[int(number)]
        assert f"tests/invariants/{path.name}" in paths_in(cell), path.name


def test_every_file_on_the_path_of_a_change_is_there() -> None:
    path_of_one_change = PAGE.split("## The path of one change")[1].split("## The laws")[0]
    named = set(re.findall(r"`((?:client_sdk|syncd)/[\w/]+\.py)`", path_of_one_change))
    assert len(named) >= 10
    assert [path for path in sorted(named) if not (ROOT / path).is_file()] == []
