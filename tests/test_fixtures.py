"""Each folder of fixtures says where it comes from and under which licence, and holds the bytes it says it holds."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

FOLDERS = sorted(path for path in (Path(__file__).parent.parent / "fixtures").iterdir() if path.is_dir())
LISTED = re.compile(r"^\| (\S+) \| (\d+) \| ([0-9a-f]{64}) \|$", re.MULTILINE)

each_folder = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


@each_folder
def test_its_readme_names_every_file_and_the_licence_lies_beside_it(folder: Path) -> None:
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert re.search(r"commit `?[0-9a-f]{40}", readme), "which version of the source"
    assert re.search("licence", readme, re.IGNORECASE)
    assert list(folder.glob("LICENSE*"))
    assert [path.name for path in folder.iterdir() if path.name not in readme and path.name != "README.md"] == []


@each_folder
def test_what_is_listed_with_its_size_and_hash_is_just_that(folder: Path) -> None:
    for name, size, digest in LISTED.findall((folder / "README.md").read_text(encoding="utf-8")):
        held = (folder / name).read_bytes()
        assert (len(held), hashlib.sha256(held).hexdigest()) == (int(size), digest), name


def test_the_matches_of_the_demo_are_listed() -> None:
    readme = (Path(__file__).parent.parent / "fixtures" / "football-worldcup" / "README.md").read_text(encoding="utf-8")
    assert {name for name, _, _ in LISTED.findall(readme)} == {"LICENSE.md", "wc2018.jsonl", "wc2022.jsonl"}
