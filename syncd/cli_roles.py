"""The command line for roles: `role set` in the whole app, `role grant`, `revoke` and `list` in one scope.

Only declared here; what they do is in syncd/commands/people.py, which is imported when one of them runs.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from syncd.cli_shared import JsonOption, TokenOption, UrlOption, UserArgument, errors_as_exit_codes, people_at

__all__ = ["roles"]

roles = typer.Typer(no_args_is_help=True)

ScopeOption = Annotated[str, typer.Option(help="In this scope, such as match:9f.", show_default=False)]


@roles.callback(
    epilog="""
[bold]Examples[/bold]

  [cyan]syncd role list --scope match:9f --url http://127.0.0.1:8000[/cyan]
"""
)
def group() -> None:
    """What people are: in the whole app, or in one scope."""


@roles.command(
    name="set",
    epilog="""
[bold]Examples[/bold]

These roles in the whole app, and no others:

  [cyan]syncd role set ann@club.example moderator --url http://127.0.0.1:8000[/cyan]

None:

  [cyan]syncd role set ann@club.example --url http://127.0.0.1:8000[/cyan]

They count with the next request. Exit codes: 0 set; 1 there is no such account, or the server refuses; 2 wrong usage.
""",
)
def set_(
    user: UserArgument,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[ROLE]...", help="The roles.", show_default=False)
    ] = None,
    url: UrlOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set an account's roles in the whole app."""
    with errors_as_exit_codes(as_json):
        from syncd.commands.output import Output
        from syncd.commands.people import set_roles

        done = set_roles(people_at(url, token), user, names or [], Output(as_json=as_json))
        raise typer.Exit(asyncio.run(done))


@roles.command(
    epilog="""
[bold]Examples[/bold]

  [cyan]syncd role grant ann@club.example scorer --scope match:9f --url http://127.0.0.1:8000[/cyan]

Devices that are connected hear of it at once. Exit codes: 0 granted; 1 the server refuses; 2 wrong usage.
"""
)
def grant(
    user: UserArgument,
    role: Annotated[str, typer.Argument(help="A role that the app declares.", show_default=False)],
    scope: ScopeOption,
    url: UrlOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make somebody something in one scope."""
    with errors_as_exit_codes(as_json):
        from syncd.commands.output import Output
        from syncd.commands.people import grant_role

        done = grant_role(people_at(url, token), user, role, scope, Output(as_json=as_json))
        raise typer.Exit(asyncio.run(done))


@roles.command(
    epilog="""
[bold]Examples[/bold]

  [cyan]syncd role revoke ann@club.example --scope match:9f --url http://127.0.0.1:8000[/cyan]

Devices let go of the scope; what they had not sent goes to the quarantine.
Exit codes: 0 revoked; 1 the server refuses; 2 wrong usage.
"""
)
def revoke(
    user: UserArgument,
    scope: ScopeOption,
    url: UrlOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make somebody nothing in one scope any more."""
    with errors_as_exit_codes(as_json):
        from syncd.commands.output import Output
        from syncd.commands.people import revoke_role

        raise typer.Exit(asyncio.run(revoke_role(people_at(url, token), user, scope, Output(as_json=as_json))))


@roles.command(
    name="list",
    epilog="""
[bold]Examples[/bold]

  [cyan]syncd role list --scope match:9f --url http://127.0.0.1:8000[/cyan]

Exit codes: 0 listed; 1 the server is not to be reached, or refuses; 2 wrong usage.
""",
)
def list_(scope: ScopeOption, url: UrlOption = None, token: TokenOption = None, as_json: JsonOption = False) -> None:
    """List who is what in one scope."""
    with errors_as_exit_codes(as_json):
        from syncd.commands.output import Output
        from syncd.commands.people import list_members

        raise typer.Exit(asyncio.run(list_members(people_at(url, token), scope, Output(as_json=as_json))))
