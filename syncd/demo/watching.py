"""The narrator for somebody who watches: keeps the three screens up to date on a terminal while the match is played."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.live import Live

from syncd.demo.beats import Moment
from syncd.demo.glimpse import Glimpse
from syncd.demo.screens import Line, Screens, render

__all__ = ["ScreensNarrator", "screens_on"]

_PER_SECOND = 10


class ScreensNarrator:
    """What `syncd.demo.play.Narrator` hears and sees, put on the screens."""

    def __init__(self) -> None:
        self.screens = Screens()

    def tell(self, at: Moment, who: str, words: str, *, aside: str = "", trouble: bool = False) -> None:
        """The `aside` is on the screen anyway."""
        self.screens = self.screens.hearing(who, Line(at, words, trouble))

    def show(self, glimpse: Glimpse) -> None:
        """See `syncd.demo.play.Narrator`."""
        self.screens = self.screens.seeing(glimpse)


@contextmanager
def screens_on(console: Console) -> Iterator[ScreensNarrator]:
    """The screens are there for as long as this is open, and stay as they are at the end."""
    narrator = ScreensNarrator()

    def picture() -> RenderableType:
        now = datetime.datetime.now().astimezone()
        return render(narrator.screens, now, width=console.width, height=console.height)

    # Drawn by a thread of its own, so that the clocks go on while nothing happens.
    with Live(get_renderable=picture, console=console, refresh_per_second=_PER_SECOND):
        yield narrator
