"""docs/sdk.md: every example runs, in order, against a real server, and prints what its comments say."""

from __future__ import annotations

import ast
import asyncio
import builtins
import inspect
import re
import types
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

import client_sdk
from client_sdk import Client, Collection, Conflicts, DictCollection, Status
from tests.support.served import served
from tests.support.server import running_server

PAGE = (Path(__file__).parents[2] / "docs" / "sdk.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


async def run(block: str, names: dict[str, Any]) -> list[str]:
    """What the block prints, a line each. Blocks that block run in a thread, as they would in a script."""
    printed: list[str] = []
    names["print"] = lambda *values: printed.append(" ".join(map(str, values)))
    code = compile(block, "docs/sdk.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    function = types.FunctionType(code, names)
    if code.co_flags & inspect.CO_COROUTINE:
        await function()
    else:
        await asyncio.to_thread(function)
    return printed


async def test_every_example_prints_what_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__builtins__": builtins, "__name__": "docs.sdk"}
    async with running_server(tmp_path / "server.db") as server, AsyncExitStack() as second:
        url = ""
        for block in BLOCKS:
            expected = re.findall(r"# → (.*)", block)
            block = block.replace("http://127.0.0.1:8000", server.url)
            if ":8001" in block and not url:
                # A server that runs the app which the page is just about to declare.
                apps = {**names}
                await run(block.partition("one = Client")[0], apps)
                url = (await second.enter_async_context(served(tmp_path / "cup.db", apps["cup"]))).url
            block = block.replace("http://127.0.0.1:8001", url)
            assert [line.strip() for line in await run(block, names)] == expected, block


def test_every_method_and_status_is_on_the_page() -> None:
    for kind in (Client, Collection, Conflicts, DictCollection):
        for name in vars(kind):
            assert name.startswith("_") or re.search(rf"\b{name}\b", PAGE), f"{kind.__name__}.{name}"
    for name in Status.__dataclass_fields__:
        assert name in PAGE


def test_every_error_is_on_the_page_or_never_raised_to_a_caller() -> None:
    raised = {name for name in client_sdk.__all__ if name in PAGE}
    assert {"NotHere", "Unfit", "NoServer", "Closed", "FileInUse", "FileTooNew", "FileUnusable"} <= raised
