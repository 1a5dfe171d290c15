"""What every command of the command line shares: its options, its settings, and its exit codes.

0, all went well; 1, it could not be done or a check failed; 2, wrong usage, settings or app; 130, Ctrl-C.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

if TYPE_CHECKING:
    from syncd.commands.people import PeopleServer
    from syncd.settings import Settings

__all__ = [
    "FAILED",
    "INTERRUPTED",
    "WRONG",
    "AppOption",
    "DatabaseOption",
    "JsonOption",
    "TokenOption",
    "UrlOption",
    "UserArgument",
    "database_of",
    "errors_as_exit_codes",
    "not_both",
    "people_at",
    "settings_from",
    "url_of",
]

FAILED: Final = 1
WRONG: Final = 2
INTERRUPTED: Final = 130
"""128 and the number of SIGINT, as shells have it."""

AppOption = Annotated[
    str | None,
    typer.Option(help="The app that says which rules hold, as package.module:name.", show_default="rule merge"),
]
DatabaseOption = Annotated[
    Path | None,
    typer.Option("--database", "-d", help="The SQLite file (SYNCD_DATABASE; ./syncd.db).", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs, one object per line.")]
UrlOption = Annotated[
    str | None,
    typer.Option("--url", "-u", help="A running server, such as http://127.0.0.1:8000.", show_default=False),
]
TokenOption = Annotated[
    str | None,
    typer.Option(
        "--token", envvar="SYNCD_TOKEN", help="The server's token; better in SYNCD_TOKEN.", show_default=False
    ),
]
UserArgument = Annotated[
    str, typer.Argument(metavar="USER", help="The account, by its id or its e-mail address.", show_default=False)
]


def settings_from(**given: object) -> Settings:
    """Settings from the command line, then the environment."""
    from pydantic import ValidationError
    from pydantic_settings import SettingsError as Unreadable

    from syncd.errors import SettingsError
    from syncd.settings import Settings

    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as invalid:
        first = invalid.errors(include_input=False, include_url=False)[0]
        # An alias is the whole name of the variable.
        name = str(first["loc"][0]).lower().removeprefix("syncd_") if first["loc"] else "settings"
        raise SettingsError(
            f"{name}: {first['msg'][:1].lower()}{first['msg'][1:]}",
            hint=f"Set SYNCD_{name.upper()}, or the option --{name.replace('_', '-')}, to another value.",
            field=name,
        ) from None
    except Unreadable as unreadable:
        # Its text names the field, and nothing that was in it.
        raise SettingsError(
            f"{str(unreadable)[:200]}: it is not JSON",
            hint="docs/cli.md says which settings are lists and objects in JSON.",
        ) from None


def database_of(given: Path | None) -> Path:
    """The file of the option, else of the environment, else the usual one."""
    return settings_from(database=given).database


def url_of(given: str | None) -> str:
    """The URL of the option, else the usual one; raises `SettingsError` if it is none."""
    from syncd.commands.remote import base_url

    return base_url(given or "http://127.0.0.1:8000")


def people_at(url: str | None, token: str | None) -> PeopleServer:
    """The accounts of the server that is meant."""
    from syncd.commands.people import PeopleServer
    from syncd.logs import configure_logging

    configure_logging("warning")
    return PeopleServer(url_of(url), token)


def not_both(database: Path | None) -> None:
    """Refuse a database beside a URL."""
    if database is not None:
        raise typer.BadParameter("name either --database or --url")


@contextmanager
def errors_as_exit_codes(as_json: bool) -> Iterator[None]:
    """A failure with a name is a sentence and a hint on standard error, not a traceback."""
    from syncd.errors import AppError, SettingsError, SyncdError

    try:
        yield
    except SyncdError as error:
        _fail(error, WRONG if isinstance(error, (SettingsError, AppError)) else FAILED, as_json)
    except KeyboardInterrupt:
        typer.echo("\nInterrupted.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        # Whoever read has gone, as `head` does: nobody is left to tell. Python would try once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(FAILED) from None


def _fail(error: Any, exit_code: int, as_json: bool) -> NoReturn:
    if as_json:
        facts = {"event": "failed", "code": error.problem_code, "message": error.message, "hint": error.hint}
        sys.stdout.write(json.dumps(facts) + "\n")
    else:
        typer.secho(f"syncd: {error.message}", err=True, fg="red")
        typer.echo(error.hint, err=True)
    raise typer.Exit(exit_code)
