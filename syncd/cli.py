"""The command line: `syncd serve`, `syncd migrate`, `syncd demo`; more in cli_look, cli_data, cli_conflicts and so on.

Exit codes: 0, all went well; 1, it could not be done or a check failed; 2, wrong usage, settings or app.
Everything heavy is imported inside of the commands, so that `syncd --help` is quick.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from syncd import __version__
from syncd.cli_conflicts import conflicts
from syncd.cli_data import data
from syncd.cli_look import look
from syncd.cli_privacy import user
from syncd.cli_quarantine import quarantine
from syncd.cli_roles import roles
from syncd.cli_shared import FAILED, DatabaseOption, JsonOption, errors_as_exit_codes, settings_from
from syncd.cli_shares import shares
from syncd.cli_tokens import tokens
from syncd.cli_users import users

if TYPE_CHECKING:
    from syncd.app import App
    from syncd.settings import Settings
    from syncd.wiring import Server

__all__ = ["main"]

cli = typer.Typer(
    name="syncd",
    help="An offline-first sync server: devices work without a signal, and nothing acknowledged is lost.",
    epilog="Exit codes: 0 all went well · 1 it could not be done, or a check failed · 2 wrong usage, settings or app.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

cli.add_typer(look)
cli.add_typer(data)
cli.add_typer(conflicts, name="conflicts", rich_help_panel="Data")
cli.add_typer(quarantine, name="quarantine", rich_help_panel="Data")
users.registered_commands += user.registered_commands
cli.add_typer(users, name="user", rich_help_panel="People")
cli.add_typer(roles, name="role", rich_help_panel="People")
cli.add_typer(tokens, name="token", rich_help_panel="People")
cli.add_typer(shares, name="share", rich_help_panel="People")


def main() -> None:
    """The entry point of the `syncd` command."""
    cli()


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"syncd {__version__}")
        raise typer.Exit


@cli.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Options that go before a command."""


@cli.command(
    epilog="""
[bold]Examples[/bold]

Without an app, for any type of resource, on http://127.0.0.1:8000:

  [cyan]syncd serve[/cyan]

The football app, in a file of your choice:

  [cyan]syncd serve syncd.apps.grassroots:app --database club.db[/cyan]

For other devices too, who must know the token:

  [cyan]SYNCD_TOKEN=$(openssl rand -hex 24) syncd serve --host 0.0.0.0[/cyan]

Every setting has an environment variable: SYNCD_HOST, SYNCD_PORT, SYNCD_DATABASE, SYNCD_TOKEN, SYNCD_LOG_LEVEL …
"""
)
def serve(
    app: Annotated[
        str | None,
        typer.Argument(help="The app, as package.module:name. Without one, any type is taken.", show_default=False),
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="The address to listen on (SYNCD_HOST; 127.0.0.1).", show_default=False)
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="The port; 0 picks a free one (SYNCD_PORT; 8000).", show_default=False)
    ] = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start the server, and run it until Ctrl-C or SIGTERM."""
    with errors_as_exit_codes(as_json):
        settings = settings_from(host=host, port=port, database=database)
        _configure_logging(settings, as_json)
        _run(_serve(settings, _load(app), as_json))


@cli.command(
    epilog="""
[bold]Examples[/bold]

Bring the file to the newest schema:

  [cyan]syncd migrate --database club.db[/cyan]

Only say whether that is due (exit code 1 if it is):

  [cyan]syncd migrate --database club.db --check[/cyan]
"""
)
def migrate(
    database: DatabaseOption = None,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit code 1 if a migration is due.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring the database to the newest schema; `serve` does the same when it starts."""
    with errors_as_exit_codes(as_json):
        settings = settings_from(database=database)
        _configure_logging(settings, as_json)
        _migrate(settings.database, check=check, as_json=as_json)


@cli.command(
    epilog="""
[bold]Examples[/bold]

The final of 2022, in about fifteen seconds:

  [cyan]syncd demo[/cyan]

Another match, slow enough to read along, with all files kept for a look:

  [cyan]syncd demo --match wc2022-36 --speed 0.3 --keep ./demo-files[/cyan]

Every match of both World Cups, as quick as it goes, in five to ten minutes:

  [cyan]syncd demo --all[/cyan]

The matches are wc2018-01 to wc2018-64 and wc2022-01 to wc2022-64.
Exit code 1: a result differs from the record, or something that was acknowledged is missing.
"""
)
def demo(
    match: Annotated[
        str | None,
        typer.Option(help="The match; with --all, how its id begins.", show_default="wc2022-64, the final"),
    ] = None,
    speed: Annotated[float, typer.Option(min=0.01, help="How many times as fast as the story goes by itself.")] = 1.0,
    every: Annotated[
        bool, typer.Option("--all", help="Every match of the fixtures, without pauses, two at a time.")
    ] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Line by line, without the three screens.")] = False,
    keep: Annotated[
        Path | None,
        typer.Option(help="A new folder for journal, logs and databases.", show_default="a temporary one, removed"),
    ] = None,
    deadline: Annotated[
        float | None,
        typer.Option(
            min=1, help="Seconds after which a match is given up as failed.", show_default="120, more at a low speed"
        ),
    ] = None,
    as_json: JsonOption = False,
    pace: Annotated[
        float | None, typer.Option(hidden=True, min=0, help="Milliseconds for a minute of play, in place of --speed.")
    ] = None,
    server_command: Annotated[str | None, typer.Option(hidden=True, help="What starts the server, for tests.")] = None,
) -> None:
    """Play a real match on two phones without signal, and hold the result against the record."""
    import shlex

    from syncd.demo.main import run_all, run_demo
    from syncd.demo.run import Options

    with errors_as_exit_codes(as_json):
        options = Options(keep=keep).at_pace(0 if every else pace, speed=speed)
        if deadline is not None:
            options = replace(options, deadline_s=deadline)
        if server_command is not None:
            options = replace(options, server_command=tuple(shlex.split(server_command)))
        if every:
            raise typer.Exit(run_all(options, match or "", as_json=as_json))
        if match is not None:
            options = replace(options, match=match)
        raise typer.Exit(run_demo(options, as_json=as_json, plain=plain))


async def _serve(settings: Settings, app: App, as_json: bool) -> None:
    import asyncio
    import signal

    from syncd.api.listener import listening
    from syncd.short_pauses import short_pauses
    from syncd.wiring import open_server

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with (
        open_server(settings, app) as server,
        listening(
            server.web,
            host=settings.host,
            port=settings.port,
            idle_timeout_s=settings.idle_timeout_s,
            shutdown_timeout_s=settings.shutdown_timeout_s,
        ) as url,
    ):
        with short_pauses():
            _banner(server, url, as_json)
            await stop.wait()
        if not as_json:
            typer.echo("Closing …", err=True)


def _run(coroutine: Any) -> None:
    """Run on uvloop where there is one."""
    import asyncio
    from collections.abc import Callable

    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    with suppress(ImportError):
        import uvloop

        loop_factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(coroutine)


def _banner(server: Server, url: str, as_json: bool) -> None:
    """Say where it listens, on what data, and who may ask."""
    import os

    database = server.settings.database.resolve()
    types = sorted(server.app.types)
    if as_json:
        facts = {
            "event": "listening",
            "url": url,
            "database": str(database),
            "pid": os.getpid(),
            "incarnation": server.store.incarnation,
            "app": server.app.name,
            "types": types,
            "access": server.access.mode,
            "version": __version__,
        }
        sys.stdout.write(json.dumps(facts) + "\n")
        sys.stdout.flush()
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("syncd", __version__)
    table.add_row("url", url)
    table.add_row("live", url.replace("http", "ws", 1) + "/sync/v1/live")
    table.add_row("app", f"{server.app.name} ({', '.join(types) or 'any type, rule merge'})")
    table.add_row("data", escape(str(database)))
    table.add_row("access", server.access.mode)
    Console().print(table)


def _migrate(database: Path, *, check: bool, as_json: bool) -> None:
    from syncd.errors import SchemaTooNew
    from syncd.store import migrate as migrations

    newest = migrations.head_revision()
    found = migrations.schema_version(database)
    if check:
        if found is not None and found not in migrations.REVISIONS:
            raise SchemaTooNew(f"the database {database} has the schema {found!r}, which this syncd does not know")
        applied: list[str] = []
    else:
        applied = migrations.migrate(database)
        found = newest
    due = found != newest
    if as_json:
        facts = {"database": str(database.resolve()), "schema": found, "newest": newest, "applied": applied, "due": due}
        sys.stdout.write(json.dumps({"event": "migrated", **facts}) + "\n")
    elif due:
        typer.echo(f"{database}: at {found or 'nothing'}, a migration to {newest} is due")
    else:
        done = f"applied {', '.join(applied)}" if applied else "nothing to do"
        typer.echo(f"{database}: at {newest}, {done}")
    if due:
        raise typer.Exit(FAILED)


def _load(name: str | None) -> App:
    from syncd.app import load_app, open_app

    return open_app() if name is None else load_app(name)


def _configure_logging(settings: Settings, as_json: bool) -> None:
    from syncd.logs import configure_logging

    configure_logging(settings.log_level, json=True if as_json else None)
