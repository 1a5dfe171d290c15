"""The command line for what was rejected: `quarantine list`, `replay`, `dismiss`, `export`.

Only declared here; what they do is in syncd/commands/quarantine.py, which is imported when one of them runs.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from syncd.cli_shared import (
    AppOption,
    DatabaseOption,
    JsonOption,
    TokenOption,
    UrlOption,
    database_of,
    errors_as_exit_codes,
    not_both,
    url_of,
)

if TYPE_CHECKING:
    from syncd.commands.quarantine import Ward

__all__ = ["quarantine"]

quarantine = typer.Typer(no_args_is_help=True)

ReplicaOption = Annotated[str | None, typer.Option(help="Of this replica only.", show_default=False)]
ScopeOption = Annotated[str | None, typer.Option(help="In this scope only.", show_default=False)]
TypeOption = Annotated[str | None, typer.Option("--type", help="Of this type only.", show_default=False)]
AllOption = Annotated[bool, typer.Option("--all", help="All that wait; --replica, --scope and --type choose.")]
ChangesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[REPLICA.N]...", help="The changes, such as phone.3.", show_default=False),
]


@quarantine.callback(
    epilog="""
[bold]Examples[/bold]

  [cyan]syncd quarantine list --database club.db[/cyan]
"""
)
def group() -> None:
    """Changes that were rejected, and wait for somebody to deal with them."""


@quarantine.command(
    name="list",
    epilog="""
[bold]Examples[/bold]

What waits, with the reasons, also while a server is using the file:

  [cyan]syncd quarantine list --database club.db[/cyan]

Of one phone, with all that was sent, for a program:

  [cyan]syncd quarantine list --url http://127.0.0.1:8000 --replica phone-1 --json[/cyan]

Exit codes: 0 listed; 1 the file cannot be read, or the server is not to be reached; 2 there is no database.
""",
)
def list_(
    database: DatabaseOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    replica: ReplicaOption = None,
    scope: ScopeOption = None,
    type_: TypeOption = None,
    limit: Annotated[int, typer.Option(min=0, help="How many to list, the oldest first; 0 for all.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List what was rejected and waits."""
    with errors_as_exit_codes(as_json):
        from syncd.commands.output import Output
        from syncd.commands.quarantine import Which, list_waiting

        ward, output = _ward(database, url, token, None), Output(as_json=as_json)
        file = None if url is not None else database_of(database)
        which = Which(replica, scope, type_)
        raise typer.Exit(asyncio.run(list_waiting(ward, which, output, limit=limit, file=file)))


@quarantine.command(
    epilog="""
[bold]Examples[/bold]

Once what was wrong is mended, through the server:

  [cyan]syncd quarantine replay phone-1.3 phone-1.4 --url http://127.0.0.1:8000[/cyan]

All that wait of one type, on a file that no server is using, under the rules of an app:

  [cyan]syncd quarantine replay --all --type event --database club.db --app syncd.apps.grassroots:app[/cyan]

Validation, rules and hooks hold as for any change; what is refused again goes on waiting.
Exit codes: 0 all were settled; 1 some were not, each with the reason; 2 wrong usage, settings or app.
""",
)
def replay(
    changes: ChangesArgument = None,
    everything: AllOption = False,
    database: DatabaseOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    app: AppOption = None,
    replica: ReplicaOption = None,
    scope: ScopeOption = None,
    type_: TypeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Settle rejected changes anew, after a fix."""
    with errors_as_exit_codes(as_json):
        from syncd.commands.output import Output
        from syncd.commands.quarantine import Which, deal_with

        ward, which = _ward(database, url, token, app), Which(replica, scope, type_)
        output = Output(as_json=as_json)
        raise typer.Exit(asyncio.run(deal_with(ward, "replay", changes or [], which, output, everything=everything)))


@quarantine.command(
    epilog="""
[bold]Examples[/bold]

One that nobody needs:

  [cyan]syncd quarantine dismiss phone-1.3 --url http://127.0.0.1:8000[/cyan]

All of a phone that was lost:

  [cyan]syncd quarantine dismiss --all --replica phone-1[/cyan]

A dismissed change stays in the history of its resource; 'syncd quarantine export' keeps a copy.
Exit codes: 0 all were dismissed; 1 some did not wait any more; 2 wrong usage, settings or app.
""",
)
def dismiss(
    changes: ChangesArgument = None,
    everything: AllOption = False,
    database: DatabaseOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    replica: ReplicaOption = None,
    scope: ScopeOption = None,
    type_: TypeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take rejected changes out of the quarantine."""
    with errors_as_exit_codes(as_json):
        from syncd.commands.output import Output
        from syncd.commands.quarantine import Which, deal_with

        ward, which = _ward(database, url, token, None), Which(replica, scope, type_)
        output = Output(as_json=as_json)
        raise typer.Exit(asyncio.run(deal_with(ward, "dismiss", changes or [], which, output, everything=everything)))


@quarantine.command(
    epilog="""
[bold]Examples[/bold]

Everything that waits, as JSON lines, to look through:

  [cyan]syncd quarantine export --database club.db | jq -r '[.replica, .n, .code, .message] | @tsv'[/cyan]

What is exported goes on waiting. What the server had to export for want of room is in club.db.quarantine.jsonl.
Exit codes: 0 written; 1 the file is there already or cannot be written; 2 there is no database.
""",
)
def export(
    database: DatabaseOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    target: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Where to; - is standard output.")
    ] = "-",
    replica: ReplicaOption = None,
    scope: ScopeOption = None,
    type_: TypeOption = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it is there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write what waits as JSON lines, with all that was sent."""
    with errors_as_exit_codes(as_json):
        from syncd.commands.output import Output
        from syncd.commands.quarantine import Which, export_waiting

        ward, which = _ward(database, url, token, None), Which(replica, scope, type_)
        output = Output(as_json=as_json)
        raise typer.Exit(asyncio.run(export_waiting(ward, which, target, output, overwrite=force)))


def _ward(database: Path | None, url: str | None, token: str | None, app: str | None) -> Ward:
    """The quarantine that is meant."""
    from syncd.app import load_app, open_app
    from syncd.commands.quarantine import FileWard, ServerWard
    from syncd.logs import configure_logging

    configure_logging("warning")
    if url is not None:
        not_both(database)
        return ServerWard(url_of(url), token)
    return FileWard(database_of(database), open_app() if app is None else load_app(app))
