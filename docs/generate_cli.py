"""Writes docs/cli.md from the declarations that `--help` is made of, and the settings: `make docs`.

Usage lines are put together here and not taken from typer, whose ways of writing them differ from version to version.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import typer

from syncd.cli import cli
from syncd.settings import Settings

__all__ = ["PAGE", "cli_page", "commands", "examples"]

PAGE: Final = Path(__file__).parent / "cli.md"

_HEAD: Final = """\
# The command line

<!-- Made by `make docs` from the declarations in the source: change them there. -->

What `--help` says, on one page, and every setting. `tests/docs/test_cli_doc.py` holds it to the source.
"""
_SETTINGS: Final = """\
## Settings

Read from the environment by every command that they concern; an option comes before them.

"""
_MARKUP: Final = re.compile(r"\[/?(?:bold|cyan|dim|green|italic|red|yellow)\]")


def commands() -> Iterator[tuple[str, Any]]:
    """Every command that is not hidden, with its full name, in the order of `--help`; `syncd` itself first."""
    yield from _commands("syncd", typer.main.get_command(cli))


def examples(epilog: str | None) -> list[str]:
    """The command lines in the text below a command's options."""
    return [line for paragraph in _paragraphs(epilog) if _is_example(paragraph) for line in _lines(paragraph)]


def cli_page() -> str:
    """The page as it should be now."""
    parts = [_HEAD]
    for name, command in commands():
        parts.append(f"## {name}\n" if " " in name else "")
        parts.append(f"{_plain(command.help)}\n")
        parts.append(f"```sh\n{_usage(name, command)}\n```\n")
        if hasattr(command, "commands"):
            parts.append(_command_table(name, command))
        parts.append(_parameter_table(command))
        parts.extend(
            "```sh\n" + "\n".join(_lines(paragraph)) + "\n```\n" if _is_example(paragraph) else f"{_plain(paragraph)}\n"
            for paragraph in _paragraphs(command.epilog)
            if _plain(paragraph) != "Examples"
        )
    parts.append(_SETTINGS + _settings_table())
    return "\n".join(part for part in parts if part)


def _commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    yield name, command
    for sub_name, sub_command in getattr(command, "commands", {}).items():
        if not sub_command.hidden:
            yield from _commands(f"{name} {sub_name}", sub_command)


def _usage(name: str, command: Any) -> str:
    arguments = [_argument(each) for each in _parameters(command) if each.param_type_name == "argument"]
    return " ".join([name, *arguments, "[OPTIONS]", *(["COMMAND …"] if hasattr(command, "commands") else [])])


def _argument(parameter: Any) -> str:
    word = (parameter.metavar or parameter.name).strip("[].{}").upper() + (" …" if parameter.nargs != 1 else "")
    return word if parameter.required else f"[{word}]"


def _command_table(name: str, command: Any) -> str:
    rows = [
        f"| [{name} {sub_name}](#{f'{name} {sub_name}'.replace(' ', '-')}) | {_cell(sub_command.help)} |\n"
        for sub_name, sub_command in command.commands.items()
        if not sub_command.hidden
    ]
    return "| command | does |\n| --- | --- |\n" + "".join(rows)


def _parameter_table(command: Any) -> str:
    rows = []
    context = command.context_class(command, info_name="syncd")
    for parameter in _parameters(command):
        record = parameter.get_help_record(context)
        if record is None:
            continue
        if parameter.param_type_name == "argument":
            names = f"`{_argument(parameter)}`"
        else:
            word = parameter.metavar or parameter.name.removeprefix("as_").strip("_").upper()
            value = "" if parameter.is_flag else f" {word}"
            names = ", ".join(f"`{option}{value}`" for option in [*parameter.opts, *parameter.secondary_opts])
        rows.append(f"| {names} | {_cell(record[1])} |\n")
    return "| option | means |\n| --- | --- |\n" + "".join(rows) if rows else ""


def _settings_table() -> str:
    rows = []
    for name, field in Settings.model_fields.items():
        value = ",".join(field.default) if isinstance(field.default, tuple) else field.default
        default = "" if value in (None, "") else f"`{value}`"
        rows.append(f"| `SYNCD_{name.upper()}` | {default} | {_cell(field.description)} |\n")
    return "| variable | default | means |\n| --- | --- | --- |\n" + "".join(rows)


def _parameters(command: Any) -> list[Any]:
    own = [parameter for parameter in command.params if not parameter.hidden]
    return [parameter for parameter in own if parameter.name not in ("install_completion", "show_completion")]


def _paragraphs(epilog: str | None) -> list[str]:
    return [paragraph for paragraph in re.split(r"\n\s*\n", (epilog or "").strip("\n")) if paragraph.strip()]


def _is_example(paragraph: str) -> bool:
    return all(line.strip().startswith("[cyan]") for line in paragraph.splitlines())


def _lines(paragraph: str) -> list[str]:
    return [_plain(line) for line in paragraph.splitlines()]


def _plain(text: str | None) -> str:
    return re.sub(r"[ \t]+", " ", _MARKUP.sub("", text or "")).strip()


def _cell(text: str | None) -> str:
    return " ".join(_plain(text).split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(cli_page(), encoding="utf-8")
