"""docs/quickstart.md is followed as it is printed, in a fresh folder, with syncd installed as it says."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tests.docs.fresh import PATH, WITHOUT_NETWORK, free_port
from tests.docs.terminal import as_printed, opened_terminal

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?:(?<=`)([\w.]+)`:\n\n)?^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
"""File name where the text gives one, language, content."""


def environment(home: Path) -> dict[str, str]:
    """Of somebody who has a clone in ~/syncd, and whose pip finds the dependencies without a network."""
    (home / "syncd").symlink_to(ROOT)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SYNCD_", "PIP_", "PYTHON"))}
    return {**inherited, **WITHOUT_NETWORK, "HOME": str(home), "PATH": PATH, "COLUMNS": "240"}


async def test_who_follows_the_page_sees_what_it_shows(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "home").mkdir()
    settings = environment(tmp_path / "home")
    shown = 0
    async with (
        opened_terminal(tmp_path, settings) as first,
        opened_terminal(tmp_path, settings | {"SYNCD_PORT": port}) as second,
        opened_terminal(tmp_path, settings) as third,
    ):
        printed = watched = ""
        for name, language, content in BLOCKS:
            text = content.replace("127.0.0.1:8000", f"127.0.0.1:{port}")
            if language == "python":
                (tmp_path / "kit" / name).write_text(text, encoding="utf-8")
            elif language == "text":
                if text.startswith("Watching"):
                    printed = watched + await third.read_until('packed_by="ben"')
                assert as_printed(text, printed), f"the page shows\n{text}\nbut this is printed\n{printed}"
                shown += 1
            elif "syncd serve" in text:
                await second.type(text)
                printed = await second.read_until("access")
            elif "syncd tail" in text:
                await third.type(text)
                watched = await third.read_until("Watching")
            else:
                printed = await first.run(text)
        used = await first.run("python -c 'import client_sdk, syncd; print(client_sdk.__file__, syncd.__file__)'")
        assert used.count(str(tmp_path / "kit" / ".venv")) == 2
        second.interrupt()
        await second.read_until("Closing")
    assert shown >= 9


def test_the_page_installs_syncd_and_names_its_files() -> None:
    assert [name for name, language, _ in BLOCKS if language == "python"] == ["kit.py", "phone.py"]
    assert {language for _, language, _ in BLOCKS} == {"sh", "python", "text"}
    install = BLOCKS[0][2].splitlines()
    assert install[-1] == "pip install --quiet ~/syncd"
