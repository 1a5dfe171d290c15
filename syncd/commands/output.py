"""Where a command says things: results to standard output, for people or as JSON lines; the rest to standard error.

Progress is drawn on standard error, and only where somebody looks on.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

__all__ = ["Output", "Progress", "no_progress"]

_REDRAW_S: Final = 0.05

Progress = Callable[[int, int], None]
"""Called with how much is done, and of how much; 0 for the latter where nobody knows."""


def no_progress(done: int, total: int) -> None:
    """Nobody looks on."""


class Output:
    """What a command writes. `as_json`: facts as one JSON object for each line, and nothing for people."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._consoles: dict[bool, Console] = {}

    def fact(self, event: str, **facts: object) -> None:
        """A line for programs; nothing where people read."""
        if self.as_json:
            sys.stdout.write(json.dumps({"event": event, **facts}, ensure_ascii=False) + "\n")
            sys.stdout.flush()

    def show(self, *things: RenderableType) -> None:
        """A result for people; nothing where programs read."""
        if not self.as_json:
            _print(self._console(stderr=False), things)

    def note(self, *things: RenderableType) -> None:
        """What is not the result, for people, on standard error."""
        if not self.as_json:
            _print(self._console(stderr=True), things)

    @contextmanager
    def progress(self, words: str) -> Iterator[Progress]:
        """A bar for the length of the block, on a terminal."""
        console = self._console(stderr=True)
        if self.as_json or not console.is_terminal:
            yield no_progress
            return
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        with Bar(*columns, console=console, transient=True) as bar:
            task = bar.add_task(words, total=None)
            shown_s = 0.0

            def show(done: int, total: int) -> None:
                nonlocal shown_s
                now_s = time.monotonic()
                if now_s - shown_s >= _REDRAW_S:
                    shown_s = now_s
                    bar.update(task, completed=done, total=total or None)

            yield show

    def _console(self, *, stderr: bool) -> Console:
        # The same one each time: a line that is printed while a bar is drawn then stands above it.
        if stderr not in self._consoles:
            from rich.console import Console

            self._consoles[stderr] = Console(stderr=stderr, highlight=False)
        return self._consoles[stderr]


def _print(console: Console, things: tuple[RenderableType, ...]) -> None:
    from rich.table import Table

    for thing in things:
        # Only tables are fitted to the width: a line cut at the 80 columns of a pipe could not be searched.
        console.print(thing, markup=False, soft_wrap=not isinstance(thing, Table))
