"""The command line for accounts: `user list`, `show`, `create`, `suspend`, `reinstate`, `log-out`, `tier`.

Only declared here; what they do is in syncd/commands/people.py, which is imported when one of them runs.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from syncd.cli_shared import JsonOption, TokenOption, UrlOption, UserArgument, errors_as_exit_codes, people_at

if TYPE_CHECKING:
    from syncd.commands.output import Output

__all__ = ["users"]

users = typer.Typer(no_args_is_help=True)


@users.callback(
    epilog="""
[bold]Examples[/bold]

  [cyan]syncd user list --url http://127.0.0.1:8000[/cyan]
"""
)
def group() -> None:
    """Accounts of a running server that has them (SYNCD_ACCOUNTS), by its shared token (SYNCD_TOKEN)."""


@users.command(
    name="list",
    epilog="""
[bold]Examples[/bold]

  [cyan]syncd user list --url http://127.0.0.1:8000[/cyan]

All of them, for a program:

  [cyan]syncd user list --url http://127.0.0.1:8000 --limit 0 --json[/cyan]

Exit codes: 0 listed; 1 the server is not to be reached, or refuses; 2 wrong usage.
""",
)
def list_(
    url: UrlOption = None,
    token: TokenOption = None,
    limit: Annotated[int, typer.Option(min=0, help="How many to list, the oldest first; 0 for all.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List accounts."""
    with errors_as_exit_codes(as_json):
        from syncd.commands.people import list_users

        raise typer.Exit(asyncio.run(list_users(people_at(url, token), _output(as_json), limit=limit)))


@users.command(
    epilog="""
[bold]Examples[/bold]

By address or by id:

  [cyan]syncd user show ann@club.example --url http://127.0.0.1:8000[/cyan]

Exit codes: 0 shown; 1 there is none, or the server is not to be reached; 2 wrong usage.
"""
)
def show(user: UserArgument, url: UrlOption = None, token: TokenOption = None, as_json: JsonOption = False) -> None:
    """Show an account, and where it is logged in."""
    with errors_as_exit_codes(as_json):
        from syncd.commands.people import show_user

        raise typer.Exit(asyncio.run(show_user(people_at(url, token), user, _output(as_json))))


@users.command(
    epilog="""
[bold]Examples[/bold]

Somebody gets a mail with a code to set a password:

  [cyan]syncd user create ann@club.example --name Ann --role moderator --url http://127.0.0.1:8000[/cyan]

Exit codes: 0 made; 1 the address has an account, or the server refuses; 2 wrong usage.
"""
)
def create(
    email: Annotated[str, typer.Argument(help="The e-mail address.", show_default=False)],
    name: Annotated[str, typer.Option(help="The person's name.", show_default=False)] = "",
    role: Annotated[
        list[str] | None, typer.Option(help="A role in the whole app; may be given again.", show_default=False)
    ] = None,
    url: UrlOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an account, and mail its owner an invitation."""
    with errors_as_exit_codes(as_json):
        from syncd.commands.people import create_user

        done = create_user(people_at(url, token), email, name, role or [], _output(as_json))
        raise typer.Exit(asyncio.run(done))


@users.command(
    epilog="""
[bold]Examples[/bold]

  [cyan]syncd user suspend ann@club.example --url http://127.0.0.1:8000[/cyan]

Its sockets close; what its devices push is kept in the quarantine, until 'reinstate'.
Exit codes: 0 suspended; 1 there is none, or the server refuses; 2 wrong usage.
"""
)
def suspend(user: UserArgument, url: UrlOption = None, token: TokenOption = None, as_json: JsonOption = False) -> None:
    """Let an account do nothing more for now."""
    _stand(user, "suspend", url, token, as_json)


@users.command(
    epilog="""
[bold]Examples[/bold]

  [cyan]syncd user reinstate ann@club.example --url http://127.0.0.1:8000[/cyan]

Exit codes: 0 it goes on; 1 there is none, or the server refuses; 2 wrong usage.
"""
)
def reinstate(
    user: UserArgument, url: UrlOption = None, token: TokenOption = None, as_json: JsonOption = False
) -> None:
    """Let a suspended account go on."""
    _stand(user, "reinstate", url, token, as_json)


@users.command(
    name="log-out",
    epilog="""
[bold]Examples[/bold]

A phone was lost:

  [cyan]syncd user log-out ann@club.example --url http://127.0.0.1:8000[/cyan]

Exit codes: 0 logged out; 1 there is none, or the server refuses; 2 wrong usage.
""",
)
def log_out(user: UserArgument, url: UrlOption = None, token: TokenOption = None, as_json: JsonOption = False) -> None:
    """End every session of an account; its sockets close."""
    with errors_as_exit_codes(as_json):
        from syncd.commands.people import log_out_user

        raise typer.Exit(asyncio.run(log_out_user(people_at(url, token), user, _output(as_json))))


@users.command(
    epilog="""
[bold]Examples[/bold]

  [cyan]syncd user tier ann@club.example premium --url http://127.0.0.1:8000[/cyan]

Exit codes: 0 done; 1 there is no such account, or the server refuses; 2 wrong usage.
"""
)
def tier(
    user: UserArgument,
    name: Annotated[Literal["authenticated", "premium", "partner"], typer.Argument(help="The tier.")],
    url: UrlOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say how much an account may ask for, by a row of docs/limits.md; authenticated is everybody's."""
    with errors_as_exit_codes(as_json):
        from syncd.commands.people import set_tier

        raise typer.Exit(asyncio.run(set_tier(people_at(url, token), user, name, _output(as_json))))


def _stand(user: str, what: str, url: str | None, token: str | None, as_json: bool) -> None:
    with errors_as_exit_codes(as_json):
        from syncd.commands.people import set_standing

        raise typer.Exit(asyncio.run(set_standing(people_at(url, token), user, what, _output(as_json))))


def _output(as_json: bool) -> Output:
    from syncd.commands.output import Output

    return Output(as_json=as_json)
