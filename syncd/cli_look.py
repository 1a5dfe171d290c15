"""The command line for those who want to know: `tail`, `status`, `explain`, `doctor`.

Only declared here; what they do is in syncd/commands, which is imported when one of them runs.
"""

from __future__ import annotations

import asyncio
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
    url_of,
)

__all__ = ["look"]

look = typer.Typer()


@look.command(
    rich_help_panel="Look",
    epilog="""
[bold]Examples[/bold]

Follow a match, one line for each change:

  [cyan]syncd tail match:9f[/cyan]

Two scopes of a server elsewhere, what is there first, for a program:

  [cyan]SYNCD_TOKEN=... syncd tail match:9f team:a --url https://sync.example.org --from-start --json[/cyan]

A server that goes away is waited for. Ctrl-C ends it, with exit code 0; 1, there is no server, or it refuses.
""",
)
def tail(
    scopes: Annotated[list[str], typer.Argument(metavar="SCOPE...", help="The scopes to follow.", show_default=False)],
    url: UrlOption = None,
    token: TokenOption = None,
    from_start: Annotated[bool, typer.Option("--from-start", help="First tell what is there already.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Tell what changes in scopes, as it happens."""
    with errors_as_exit_codes(as_json):
        from syncd.commands.output import Output
        from syncd.commands.tail import tail as follow

        raise typer.Exit(
            asyncio.run(
                follow(scopes, url_of(url), token, Output(as_json=as_json), from_start=from_start),
            )
        )


@look.command(
    rich_help_panel="Look",
    epilog="""
[bold]Examples[/bold]

What is in a file, also while a server is using it:

  [cyan]syncd status --database club.db[/cyan]

Every scope and replica, and the newest changes that were rejected, with the reasons:

  [cyan]syncd status --database club.db --top 0 --rejected 20[/cyan]

A running server, its limits and its clock:

  [cyan]syncd status --url http://127.0.0.1:8000[/cyan]

Exit codes: 0 told; 1 the file cannot be read, or the server is not to be reached or not ready; 2 there is no database.
""",
)
def status(
    database: DatabaseOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    top: Annotated[int, typer.Option(min=0, help="How many scopes and replicas to list; 0 for all.")] = 10,
    rejected: Annotated[int, typer.Option(min=0, help="How many of the newest rejected changes to list.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Tell what a database holds, or how a running server is."""
    with errors_as_exit_codes(as_json):
        from syncd.commands.output import Output
        from syncd.commands.status import status_of_database, status_of_server

        output = Output(as_json=as_json)
        if url is not None:
            not_both(database)
            raise typer.Exit(asyncio.run(status_of_server(url_of(url), token, output)))
        raise typer.Exit(status_of_database(database_of(database), output, top=top, rejected=rejected))


@look.command(
    rich_help_panel="Look",
    epilog="""
[bold]Examples[/bold]

Why does this event say minute 47? From a file, in use or not, under the rules of its app:

  [cyan]syncd explain event 0193a6c0-f2e1 --field minute --database club.db --app syncd.apps.grassroots:app[/cyan]

Everything about it, from a running server:

  [cyan]syncd explain event 0193a6c0-f2e1 --url http://127.0.0.1:8000[/cyan]

Exit codes: 0 explained; 1 nothing was ever sent about it, or the file or server cannot be asked; 2 there is no
database, or wrong usage, settings or app.
""",
)
def explain(
    type_: Annotated[str, typer.Argument(metavar="TYPE", help="The type, such as event.", show_default=False)],
    id_: Annotated[str, typer.Argument(metavar="ID", help="The id of the resource.", show_default=False)],
    field: Annotated[str | None, typer.Option(help="This field only.", show_default=False)] = None,
    database: DatabaseOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    app: Annotated[
        str | None,
        typer.Option(help="The app whose rules held, as package.module:name; a server knows its own."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell why a resource says what it says: which change set each value, and why the others did not."""
    with errors_as_exit_codes(as_json):
        from syncd.app import load_app
        from syncd.commands.explain import explain_in_file, explain_on_server
        from syncd.commands.output import Output

        output, key = Output(as_json=as_json), (type_, id_)
        if url is not None:
            not_both(database)
            raise typer.Exit(asyncio.run(explain_on_server(url_of(url), token, key, field, output)))
        known = None if app is None else load_app(app)
        raise typer.Exit(explain_in_file(database_of(database), key, field, known, output))


@look.command(
    rich_help_panel="Look",
    epilog="""
[bold]Examples[/bold]

Check a database, also while a server is using it:

  [cyan]syncd doctor --database club.db[/cyan]

With the server stopped, write the right digests where they are wrong:

  [cyan]syncd doctor --database club.db --repair[/cyan]

Check a server from outside, or with its file:

  [cyan]syncd doctor --url http://127.0.0.1:8000 --database club.db[/cyan]

Exit codes: 0 no fault, perhaps warnings; 1 a fault; 2 there is no database.
""",
)
def doctor(
    database: DatabaseOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Write the right digests; no server may be running.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Name what is wrong, and the command that mends it."""
    with errors_as_exit_codes(as_json):
        from syncd.commands.doctor import examine
        from syncd.commands.output import Output

        file = None if url is not None and database is None else database_of(database)
        address = None if url is None else url_of(url)
        raise typer.Exit(examine(file, address, token, Output(as_json=as_json), repair=repair))
