"""What the command `syncd demo` does: one match or all, told to a person or as one JSON object, and its exit code."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

from rich.console import Console

from syncd.demo.fixtures import match_ids
from syncd.demo.report import Report
from syncd.demo.run import Options, run_match
from syncd.demo.screens import fits
from syncd.demo.season import Season, play_season
from syncd.demo.show import ConsoleNarrator, SilentNarrator, show_opening, show_report
from syncd.demo.show_season import season_bar, show_season
from syncd.demo.watching import screens_on
from syncd.errors import SettingsError

__all__ = ["run_all", "run_demo"]

Result = TypeVar("Result")

INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it."""


def run_demo(options: Options, *, as_json: bool, plain: bool = False) -> int:
    """Run it, on three screens where the terminal has room, or line by line if it has not or `plain` is wanted.

    Returns 0 if all is right, 1 if a check failed, 130 if it was interrupted. Leaves no process behind.
    """
    console = Console(highlight=False)
    report = _run(_match(options, console, as_json=as_json, plain=plain), console, as_json=as_json)
    if report is None:
        return INTERRUPTED
    if as_json:
        _print(report.to_json())
    else:
        show_report(console, report)
    return 0 if report.ok else 1


def run_all(options: Options, beginning: str, *, as_json: bool) -> int:
    """The same for every match whose id begins so; 1 if any of them fails. Raises `SettingsError` if there is none."""
    matches = match_ids(beginning)
    if not matches:
        raise SettingsError(
            f"no match of the fixtures begins with {beginning!r}",
            hint="Try wc2018 or wc2022, or leave --match out for all of them.",
        )
    console = Console(highlight=False)
    season = _run(_season(options, matches), console, as_json=as_json)
    if season is None:
        return INTERRUPTED
    if as_json:
        _print(season.to_json())
    else:
        show_season(console, season)
    return 0 if season.ok else 1


async def _match(options: Options, console: Console, *, as_json: bool, plain: bool) -> Report:
    if as_json:
        return await run_match(options, SilentNarrator())
    show_opening(console)
    if not plain and fits(console):
        with screens_on(console) as narrator:
            return await run_match(options, narrator)
    return await run_match(options, ConsoleNarrator(console))


async def _season(options: Options, matches: list[str]) -> Season:
    async def play(one: Options) -> Report:
        return await run_match(one, SilentNarrator())

    # On standard error, so that the table or the JSON can go elsewhere.
    with season_bar(Console(stderr=True, highlight=False), len(matches)) as bar:
        return await play_season(options, matches, play, bar)


def _run(work: Coroutine[Any, Any, Result], console: Console, *, as_json: bool) -> Result | None:
    """What the work came to, or None if it was interrupted."""
    try:
        return asyncio.run(_cancelled_by_sigterm(work))
    except (KeyboardInterrupt, asyncio.CancelledError):
        if not as_json:
            console.print("\nInterrupted; the server and the phones are ended.", style="yellow")
        return None


async def _cancelled_by_sigterm(work: Coroutine[Any, Any, Result]) -> Result:
    task = asyncio.current_task()
    assert task is not None
    # As Ctrl-C: without this, SIGTERM would leave the server behind.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await work


def _print(facts: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(facts, ensure_ascii=False) + "\n")
