"""The command line for API keys, which scripts show in the place of a log-in: `token create`, `list`, `revoke`.

Only declared here; what they do is in syncd/commands/people.py, which is imported when one of them runs.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from syncd.cli_shared import JsonOption, TokenOption, UrlOption, UserArgument, errors_as_exit_codes, people_at

__all__ = ["tokens"]

tokens = typer.Typer(no_args_is_help=True)


@tokens.callback(
    epilog="""
[bold]Examples[/bold]

  [cyan]syncd token list ann@club.example --url http://127.0.0.1:8000[/cyan]
"""
)
def group() -> None:
    """API keys: what a script shows in the place of a log-in. Each acts as an account."""


@tokens.command(
    epilog="""
[bold]Examples[/bold]

For one scope and thirty days; the key is the only line on standard output:

  [cyan]syncd token create ann@club.example --name import --scope match:9f --days 30 --url http://127.0.0.1:8000[/cyan]

Exit codes: 0 made; 1 there is no such account, or the server refuses; 2 wrong usage.
"""
)
def create(
    user: UserArgument,
    name: Annotated[str, typer.Option(help="What it is for.", show_default=False)] = "",
    scope: Annotated[
        list[str] | None,
        typer.Option(help="The only scope that it opens; may be given again.", show_default="all of the account's"),
    ] = None,
    days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="How long it is good.", show_default="it does not end")
    ] = None,
    url: UrlOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an API key for a script."""
    with errors_as_exit_codes(as_json):
        from syncd.commands.output import Output
        from syncd.commands.people import create_key

        done = create_key(people_at(url, token), user, name, scope or [], days, Output(as_json=as_json))
        raise typer.Exit(asyncio.run(done))


@tokens.command(
    name="list",
    epilog="""
[bold]Examples[/bold]

  [cyan]syncd token list ann@club.example --url http://127.0.0.1:8000[/cyan]

Exit codes: 0 listed; 1 there is no such account, or the server refuses; 2 wrong usage.
""",
)
def list_(user: UserArgument, url: UrlOption = None, token: TokenOption = None, as_json: JsonOption = False) -> None:
    """List an account's API keys, and when each was last used."""
    with errors_as_exit_codes(as_json):
        from syncd.commands.output import Output
        from syncd.commands.people import list_keys

        raise typer.Exit(asyncio.run(list_keys(people_at(url, token), user, Output(as_json=as_json))))


@tokens.command(
    epilog="""
[bold]Examples[/bold]

  [cyan]syncd token revoke ann@club.example 0f3a9c5e7b21d486 --url http://127.0.0.1:8000[/cyan]

Exit codes: 0 it opens nothing any more; 1 there is none, or the server refuses; 2 wrong usage.
"""
)
def revoke(
    user: UserArgument,
    id_: Annotated[str, typer.Argument(metavar="ID", help="Of the key, as 'list' shows it.", show_default=False)],
    url: UrlOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """End an API key; its sockets close."""
    with errors_as_exit_codes(as_json):
        from syncd.commands.output import Output
        from syncd.commands.people import revoke_key

        raise typer.Exit(asyncio.run(revoke_key(people_at(url, token), user, id_, Output(as_json=as_json))))
