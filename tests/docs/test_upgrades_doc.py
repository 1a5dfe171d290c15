"""docs/upgrades.md: its examples run in order, the last of them against a server of the app that they declare."""

from __future__ import annotations

import builtins
import re
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from syncd.app import Intent
from tests.docs.test_sdk_doc import run
from tests.support.served import served

PAGE = (Path(__file__).parents[2] / "docs" / "upgrades.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
URL = "http://127.0.0.1:8000"


async def test_every_example_prints_what_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__builtins__": builtins, "__name__": "docs.upgrades"}
    assert URL in BLOCKS[-1]
    async with AsyncExitStack() as undo:
        for block in BLOCKS:
            expected = re.findall(r"# → (.*)", block)
            if URL in block:
                server = await undo.enter_async_context(served(tmp_path / "server.db", names["app"]))
                block = block.replace(URL, server.url)
            assert [line.strip() for line in await run(block, names)] == expected, block


def test_every_method_of_an_intent_is_on_the_page() -> None:
    methods = {name for name, value in vars(Intent).items() if callable(value) and not name.startswith("_")}
    assert methods == set(re.findall(r"^\| `(\w+)\(", PAGE, re.MULTILINE))
    assert [name for name in Intent.__dataclass_fields__ if f"`{name}`" not in PAGE] == []
