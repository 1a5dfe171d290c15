"""What the README prints works as printed."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest

from tests.support.server import running_server

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("*/README.md")])


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_the_first_two_commands_are_the_demo_and_the_tests() -> None:
    commands = [line.split("#")[0].strip() for line in blocks("sh")[0].splitlines()]
    assert commands == ["make demo", "make check"]


def test_every_target_it_names_is_in_the_makefile() -> None:
    targets = set(re.findall(r"`?make ([a-z-]+)", README))
    assert {"demo", "check", "help"} <= targets
    assert [target for target in targets if not re.search(rf"^{target}:.*## ", MAKEFILE, re.MULTILINE)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_within_the_tree_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_decision_is_in_the_index() -> None:
    index = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    pages = {page.name for page in (ROOT / "docs" / "decisions").glob("0*.md")}
    assert pages == set(re.findall(r"\]\((0[^)]+\.md)\)", index))


def test_every_page_that_the_source_sends_its_reader_to_is_there() -> None:
    modules = [path for room in ("syncd", "client_sdk", "conflict_rules") for path in (ROOT / room).rglob("*.py")]
    named = {page for path in modules for page in re.findall(r"docs/[\w/.-]+\.md", path.read_text(encoding="utf-8"))}
    assert named
    assert [page for page in sorted(named) if not (ROOT / page).is_file()] == []


async def test_the_example_runs_and_its_goal_is_on_the_server(tmp_path: Path) -> None:
    (example,) = blocks("python")
    async with running_server(tmp_path / "club.db", app="syncd.apps.grassroots:app") as server:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", example.replace("http://127.0.0.1:8000", server.url)),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await asyncio.wait_for(process.communicate(), 30)
    score, outcome = out.decode().splitlines()
    assert "'home': 1, 'away': 0" in score
    assert outcome == "applied 0"
