"""The command line for one person's data: `user export` and `user erase`.

Only declared here; what they do is in syncd/commands/privacy.py, which is imported when one of them runs.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from syncd.cli_shared import JsonOption, TokenOption, UrlOption, errors_as_exit_codes, url_of

__all__ = ["user"]

user = typer.Typer(no_args_is_help=True)

AccountArgument = Annotated[str, typer.Argument(metavar="ID", help="The id of the account.", show_default=False)]


@user.callback(
    epilog="""
[bold]Examples[/bold]

  [cyan]syncd user export 0199a3f2-7c11-7d57-8a54-2f6b1c0d9e31 -o ann.zip[/cyan]
"""
)
def group() -> None:
    """People: what is stored of one, and to forget one."""


@user.command(
    epilog="""
[bold]Examples[/bold]

Everything that is stored of one person, as a zip of JSON lines, from a running server:

  [cyan]syncd user export 0199a3f2-7c11-7d57-8a54-2f6b1c0d9e31 -o ann.zip --url http://127.0.0.1:8000[/cyan]

Exit codes: 0 written; 1 there is no such account, the server is not to be reached, or the file cannot be written;
2 wrong usage.
""",
)
def export(
    account: AccountArgument,
    target: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The zip to write.")],
    url: UrlOption = None,
    token: TokenOption = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it is there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write all that is stored of a person."""
    with errors_as_exit_codes(as_json):
        from syncd.commands.output import Output
        from syncd.commands.privacy import export as export_person

        output = Output(as_json=as_json)
        raise typer.Exit(asyncio.run(export_person(url_of(url), token, account, target, output, overwrite=force)))


@user.command(
    epilog="""
[bold]Examples[/bold]

What would go is counted and asked about first; it cannot be taken back:

  [cyan]syncd user erase 0199a3f2-7c11-7d57-8a54-2f6b1c0d9e31 --url http://127.0.0.1:8000[/cyan]

In a script:

  [cyan]syncd user erase 0199a3f2-7c11-7d57-8a54-2f6b1c0d9e31 --yes --json[/cyan]

One that was stopped in the middle goes on: give the command again.
Exit codes: 0 erased; 1 there is no such account, the answer was no, or it failed; 2 wrong usage.
""",
)
def erase(
    account: AccountArgument,
    url: UrlOption = None,
    token: TokenOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Erase a person: the account goes, and what is personal."""
    with errors_as_exit_codes(as_json):
        from syncd.commands.output import Output
        from syncd.commands.privacy import erase as erase_person

        def confirm(question: str) -> bool:
            return yes or typer.confirm(question, err=True)

        raise typer.Exit(asyncio.run(erase_person(url_of(url), token, account, Output(as_json=as_json), confirm)))
