"""The command line for share links: `share create`, `list`, `revoke`.

Only declared here; what they do is in syncd/commands/sharing.py, which is imported when one of them runs.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from syncd.cli_shared import JsonOption, TokenOption, UrlOption, errors_as_exit_codes, people_at

__all__ = ["shares"]

shares = typer.Typer(no_args_is_help=True)

ScopeArgument = Annotated[str, typer.Argument(metavar="SCOPE", help="Such as match:9f.", show_default=False)]


@shares.callback(
    epilog="""
[bold]Examples[/bold]

  [cyan]syncd share list match:9f --url http://127.0.0.1:8000[/cyan]
"""
)
def group() -> None:
    """Links by which strangers read one scope, without private fields."""


@shares.command(
    epilog="""
[bold]Examples[/bold]

For a week; the link is the only line on standard output:

  [cyan]syncd share create match:9f --label "The stands" --days 7 --url http://127.0.0.1:8000[/cyan]

Exit codes: 0 made; 1 the server is not to be reached, or refuses; 2 wrong usage.
"""
)
def create(
    scope: ScopeArgument,
    label: Annotated[str, typer.Option(help="Whom it is for.", show_default=False)] = "",
    days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="How long it opens.", show_default="until it is revoked")
    ] = None,
    url: UrlOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a link by which strangers read a scope."""
    with errors_as_exit_codes(as_json):
        from syncd.commands.output import Output
        from syncd.commands.sharing import create_link

        done = create_link(people_at(url, token), scope, label, days, Output(as_json=as_json))
        raise typer.Exit(asyncio.run(done))


@shares.command(
    name="list",
    epilog="""
[bold]Examples[/bold]

  [cyan]syncd share list match:9f --url http://127.0.0.1:8000[/cyan]

Exit codes: 0 listed; 1 the server is not to be reached, or refuses; 2 wrong usage.
""",
)
def list_(scope: ScopeArgument, url: UrlOption = None, token: TokenOption = None, as_json: JsonOption = False) -> None:
    """List the links of a scope, and how many watch by each now."""
    with errors_as_exit_codes(as_json):
        from syncd.commands.output import Output
        from syncd.commands.sharing import list_links

        raise typer.Exit(asyncio.run(list_links(people_at(url, token), scope, Output(as_json=as_json))))


@shares.command(
    epilog="""
[bold]Examples[/bold]

  [cyan]syncd share revoke 5f0f3a9c --url http://127.0.0.1:8000[/cyan]

Exit codes: 0 it opens nothing any more; 1 there is none, or the server refuses; 2 wrong usage.
"""
)
def revoke(
    id_: Annotated[str, typer.Argument(metavar="ID", help="Of the link, as 'list' shows it.", show_default=False)],
    url: UrlOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a link; whoever watches by it sees nothing more."""
    with errors_as_exit_codes(as_json):
        from syncd.commands.output import Output
        from syncd.commands.sharing import end_link

        raise typer.Exit(asyncio.run(end_link(people_at(url, token), id_, Output(as_json=as_json))))
