"""The command line for those who move data: `export`, `import`, `backup`, `restore`.

Only declared here; what they do is in syncd/commands, which is imported when one of them runs.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from syncd.cli_shared import (
    DatabaseOption,
    JsonOption,
    TokenOption,
    UrlOption,
    database_of,
    errors_as_exit_codes,
    not_both,
    settings_from,
    url_of,
)

__all__ = ["data"]

data = typer.Typer()

ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite the file if it is there.")]


@data.command(
    rich_help_panel="Data",
    epilog="""
[bold]Examples[/bold]

Everything, as JSON lines:

  [cyan]syncd export --database club.db --output club.jsonl[/cyan]

One match, to a pipe:

  [cyan]syncd export match:9f | jq -r 'select(.type == "event").fields.kind'[/cyan]

All of one moment, also while a server is using the file.
Exit codes: 0 written; 1 no such scope, or the file is there already or cannot be written; 2 there is no database.
""",
)
def export(
    scopes: Annotated[
        list[str] | None, typer.Argument(metavar="[SCOPE]...", help="These scopes only.", show_default="all")
    ] = None,
    database: DatabaseOption = None,
    target: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Where to; - is standard output.")
    ] = "-",
    deleted: Annotated[bool, typer.Option("--deleted", help="What was deleted too, without its fields.")] = False,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write resources as JSON lines, scope by scope."""
    with errors_as_exit_codes(as_json):
        from syncd.commands.export import export_database
        from syncd.commands.output import Output

        output = Output(as_json=as_json)
        code = export_database(
            database_of(database), scopes or [], target, deleted=deleted, overwrite=force, output=output
        )
        raise typer.Exit(code)


@data.command(
    name="import",
    rich_help_panel="Data",
    epilog="""
[bold]Examples[/bold]

Into a running server, as any device would send it:

  [cyan]syncd import club.jsonl --url http://127.0.0.1:8000[/cyan]

Into a file that no server is using, made if it is not there, under the rules of an app:

  [cyan]syncd import club.jsonl --database new.db --app syncd.apps.grassroots:app[/cyan]

From a pipe:

  [cyan]syncd export --database old.db | syncd import - --database new.db[/cyan]

What is there as the file says is left alone: the same file twice changes nothing.
Exit codes: 0 all of it is there; 1 some lines were refused, each with number and reason, or it could not be done at
all; 2 wrong usage, settings or app.
""",
)
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What export has written; - is standard input.")],
    database: DatabaseOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    app: Annotated[
        str | None,
        typer.Option(help="The app that says which rules hold, as package.module:name.", show_default="rule merge"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Send the resources of an export to a server."""
    with errors_as_exit_codes(as_json):
        from syncd.app import load_app, open_app
        from syncd.commands.import_ import import_file
        from syncd.commands.output import Output
        from syncd.commands.peer import peer_at_url, peer_on_file
        from syncd.logs import configure_logging

        configure_logging("warning")
        output = Output(as_json=as_json)
        known = open_app() if app is None else load_app(app)
        if url is not None:
            not_both(database)
            peer = peer_at_url(url_of(url), token, known, output)
        else:
            peer = peer_on_file(settings_from(database=database, host="127.0.0.1"), known)

        async def run() -> int:
            async with peer as opened:
                return await import_file(None if str(file) == "-" else file, opened, output)

        raise typer.Exit(asyncio.run(run()))


@data.command(
    rich_help_panel="Data",
    epilog="""
[bold]Examples[/bold]

Every night, while the server runs:

  [cyan]syncd backup backups/club-$(date +%F).db --database club.db[/cyan]

The copy is of one moment, checked, and on the disk before it gets its name.
Exit codes: 0 made; 1 there is such a file already, or it cannot be written; 2 there is no database.
""",
)
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The new file.", show_default=False)],
    database: DatabaseOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Copy a database, also while a server is using it."""
    with errors_as_exit_codes(as_json):
        from syncd.commands.backup import back_up_database
        from syncd.commands.output import Output

        raise typer.Exit(back_up_database(database_of(database), file, overwrite=force, output=Output(as_json=as_json)))


@data.command(
    rich_help_panel="Data",
    epilog="""
[bold]Examples[/bold]

With the server stopped; what was there is kept beside it, as club.db-before-restore-...:

  [cyan]syncd restore backups/club-2026-11-03.db --database club.db[/cyan]

Devices that have seen more than the backup are told to start over, and send again what is theirs.
Exit codes: 0 restored; 1 a server is using the database, or the backup cannot be used: nothing is changed.
""",
)
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What backup has made.", show_default=False)],
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a backup in the place of a database."""
    with errors_as_exit_codes(as_json):
        from syncd.commands.output import Output
        from syncd.commands.restore import restore_database

        raise typer.Exit(restore_database(file, database_of(database), Output(as_json=as_json)))
