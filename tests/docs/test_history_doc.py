"""docs/history.md: its examples run, in order, against a server, and print what the page shows."""

from __future__ import annotations

import os
import re
from pathlib import Path

from syncd.engine.quarantine import Bounds
from tests.docs.fresh import PATH
from tests.docs.terminal import as_printed, opened_terminal
from tests.support.server import running_server

PAGE = (Path(__file__).parents[2] / "docs" / "history.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


async def test_who_follows_the_page_sees_what_it_shows(tmp_path: Path) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SYNCD_")}
    printed, shown = "", 0
    async with (
        running_server(tmp_path / "club.db") as server,
        opened_terminal(tmp_path, {**inherited, "PATH": PATH, "COLUMNS": "500"}) as terminal,
    ):
        for language, text in BLOCKS:
            if language == "text":
                assert as_printed(text, printed), f"the page shows\n{text}\nbut this is printed\n{printed}"
                shown += 1
            else:
                printed = await terminal.run(text.replace("http://127.0.0.1:8000", server.url))
    assert shown == 5


def test_the_bounds_of_the_page_are_those_of_the_server() -> None:
    bounds = Bounds()
    assert f"keeps {bounds.changes} changes and {bounds.bytes // 1024**2} MiB of each replica" in PAGE
