"""The command line for what waits for a person's answer: `conflicts list`, `settle`, `reopen`.

Only declared here; what they do is in syncd/commands/conflicts.py, which is imported when one of them runs.
"""

from __future__ import annotations

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from syncd.commands.inboxes import Inbox

__all__ = ["conflicts"]

conflicts = typer.Typer(no_args_is_help=True)


class Status(StrEnum):
    """Which to list."""

    OPEN = "open"
    SETTLED = "settled"
    ANY = "any"


AppOption = Annotated[
    str | None,
    typer.Option(
        help="For a database: the app whose rules hold, as package.module:name. A server knows its own.",
        show_default=False,
    ),
]
IdsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="ID", help="The conflicts, such as c-5f0f.", show_default=False)
]


@conflicts.callback(
    epilog="""
[bold]Examples[/bold]

  [cyan]syncd conflicts list --database club.db[/cyan]
"""
)
def group() -> None:
    """Questions that wait for a person: which of two values is right, whether two phones logged one goal."""


@conflicts.command(
    name="list",
    epilog="""
[bold]Examples[/bold]

What waits for an answer, with who said what, also while a server is using the file:

  [cyan]syncd conflicts list --database club.db[/cyan]

Of one match, answered ones too, for a program:

  [cyan]syncd conflicts list --url http://127.0.0.1:8000 --scope match:9f --status any --json[/cyan]

Exit codes: 0 listed; 1 the file cannot be read, or the server is not to be reached; 2 there is no database.
""",
)
def list_(
    database: DatabaseOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    scope: Annotated[str | None, typer.Option(help="In this scope only.", show_default=False)] = None,
    type_: Annotated[
        str | None, typer.Option("--type", help="About resources of this type only.", show_default=False)
    ] = None,
    id_: Annotated[
        str | None, typer.Option("--id", help="About the resource of this id only.", show_default=False)
    ] = None,
    status: Annotated[Status, typer.Option(help="Open ones, settled ones, or any.")] = Status.OPEN,
    limit: Annotated[int, typer.Option(min=0, help="How many to list, by id; 0 for all.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List what waits for an answer, with every candidate."""
    with errors_as_exit_codes(as_json):
        from syncd.commands.conflicts import list_conflicts
        from syncd.commands.inboxes import Which
        from syncd.commands.output import Output

        inbox = _inbox(database, url, token, None)
        which = Which(None if status is Status.ANY else status.value, scope, type_, id_)
        raise typer.Exit(asyncio.run(list_conflicts(inbox, which, Output(as_json=as_json), limit=limit)))


@conflicts.command(
    epilog="""
[bold]Examples[/bold]

By the key of a candidate, through the server:

  [cyan]syncd conflicts settle c-5f0f --choose phone-1.3 --url http://127.0.0.1:8000[/cyan]

By a value that nobody had named, as JSON, on a file that no server is using, under the rules of its app:

  [cyan]syncd conflicts settle c-5f0f --value 2 --database club.db --app syncd.apps.grassroots:app[/cyan]

Several questions of an app with one answer:

  [cyan]syncd conflicts settle goal-1a goal-2b --choose one --url http://127.0.0.1:8000[/cyan]

An answer is a change like any other: devices get it, it has its place in the history, and 'reopen' asks again.
Exit codes: 0 all were settled; 1 some were not, each with the reason; 2 wrong usage, settings or app.
""",
)
def settle(
    ids: IdsArgument = None,
    choose: Annotated[
        str | None, typer.Option(metavar="KEY", help="The key of the candidate that is right.", show_default=False)
    ] = None,
    value: Annotated[
        str | None,
        typer.Option(metavar="JSON", help="Whatever is right, as JSON; over a field only.", show_default=False),
    ] = None,
    database: DatabaseOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    app: AppOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer conflicts: choose a candidate, or say what is right."""
    with errors_as_exit_codes(as_json):
        from syncd.commands.conflicts import settle as answer
        from syncd.commands.output import Output

        inbox = _inbox(database, url, token, app)
        raise typer.Exit(asyncio.run(answer(inbox, ids or [], choose, value, Output(as_json=as_json))))


@conflicts.command(
    epilog="""
[bold]Examples[/bold]

The answer was wrong, or given too soon:

  [cyan]syncd conflicts reopen c-5f0f --url http://127.0.0.1:8000[/cyan]

The value that was chosen stands until somebody answers anew; the answer is kept beside the conflict.
Exit codes: 0 all were reopened; 1 some were not, each with the reason; 2 wrong usage, settings or app.
""",
)
def reopen(
    ids: IdsArgument = None,
    database: DatabaseOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    app: AppOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask again what was answered."""
    with errors_as_exit_codes(as_json):
        from syncd.commands.conflicts import reopen as ask_again
        from syncd.commands.output import Output

        inbox = _inbox(database, url, token, app)
        raise typer.Exit(asyncio.run(ask_again(inbox, ids or [], Output(as_json=as_json))))


def _inbox(database: Path | None, url: str | None, token: str | None, app: str | None) -> Inbox:
    """The inbox that is meant."""
    from syncd.app import load_app
    from syncd.commands.inboxes import FileInbox, ServerInbox
    from syncd.logs import configure_logging

    configure_logging("warning")
    if url is not None:
        not_both(database)
        return ServerInbox(url_of(url), token)
    return FileInbox(database_of(database), None if app is None else load_app(app))
