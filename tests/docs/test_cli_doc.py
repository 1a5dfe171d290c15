"""docs/cli.md is what the source says now, and the examples in it are command lines that are taken."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from docs.generate_cli import PAGE, cli_page, commands, examples
from syncd.settings import Settings

COMMANDS = dict(commands())


def every_example() -> Iterator[tuple[str, str]]:
    for name, command in COMMANDS.items():
        for line in examples(command.epilog):
            yield name, line


def words_for_syncd(line: str) -> list[list[str]]:
    """The words after `syncd`, of each syncd in a pipe, without what the shell sets, redirects or runs after it."""
    lexer = shlex.shlex(re.sub(r"\$\([^)]*\)", "filled-in", line), posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    calls: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set("|&;<>"):
            calls.append([])
        else:
            calls[-1].append(word)
    return [call[call.index("syncd") + 1 :] for call in calls if "syncd" in call]


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == cli_page(), "run `make docs`"


def test_every_command_and_every_setting_has_its_place() -> None:
    page = cli_page()
    assert {"syncd serve", "syncd migrate", "syncd demo"} <= set(COMMANDS)
    assert [name for name in COMMANDS if name != "syncd" and f"\n## {name}\n" not in page] == []
    assert [name for name in Settings.model_fields if f"`SYNCD_{name.upper()}`" not in page] == []


def test_every_command_has_an_example() -> None:
    shown = {name for name, _ in every_example()}
    assert [name for name in COMMANDS if name != "syncd" and name not in shown] == []


@pytest.mark.parametrize(("name", "line"), list(every_example()))
def test_every_example_is_a_command_line_that_is_taken(name: str, line: str) -> None:
    calls = words_for_syncd(line)
    assert any(["syncd", *call[: len(name.split()) - 1]] == name.split() for call in calls)
    for call in calls:
        command: Any = COMMANDS["syncd"]
        while call and not call[0].startswith("-") and hasattr(command, "commands"):
            command, call = command.commands[call[0]], call[1:]
        with command.make_context("syncd", list(call)):
            pass  # A word that it does not know would have raised.
