"""The three screens of the demo, side by side: two phones and the family. Pure: what is seen, as something to print."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from rich import box
from rich.align import Align
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from syncd.demo.beats import BOTH, Moment
from syncd.demo.glimpse import Glimpse, PhoneGlimpse, Shown
from syncd.demo.show import COLOURS

__all__ = ["LEAST_HEIGHT", "LEAST_WIDTH", "Line", "Screens", "fits", "render"]

LEAST_WIDTH: Final = 78
LEAST_HEIGHT: Final = 20
_MOST_HEIGHT: Final = 30
_MOST_WIDTH: Final = 132
_REMEMBERED: Final = 12
_BARS: Final = "▂▄▆█"
_SIGNAL: Final = {0: ("no signal", "red"), 1: ("one bar", "yellow")}
_GOOD: Final = ("signal", "green")
_GOALS: Final = 3


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened."""

    at: Moment
    words: str
    trouble: bool = False


@dataclass(frozen=True, slots=True)
class Screens:
    """All that is on them. `told`: what happened to each, by the narrator's names, newest first."""

    glimpse: Glimpse = field(default_factory=Glimpse)
    told: dict[str, tuple[Line, ...]] = field(default_factory=dict)

    def seeing(self, glimpse: Glimpse) -> Screens:
        """With everything as it stands now."""
        return replace(self, glimpse=glimpse)

    def hearing(self, who: str, line: Line) -> Screens:
        """With one more thing that happened to `who`."""
        return replace(self, told={**self.told, who: (line, *self.told.get(who, ()))[:_REMEMBERED]})


def fits(console: Console) -> bool:
    """Whether the console is a terminal on which the screens can be read."""
    return console.is_terminal and console.width >= LEAST_WIDTH and console.height >= LEAST_HEIGHT


def render(screens: Screens, now: datetime.datetime, *, width: int, height: int) -> RenderableType:
    """The screens for a terminal of that size, where it is `now`; one line is left free below."""
    glimpse = screens.glimpse
    layout = Layout()
    columns = Layout(name="columns")
    layout.split_column(Layout(_heading(glimpse), size=1), columns, Layout(_bottom(screens), size=2))
    panels = [Layout(_phone(f"phone {name}", glimpse.phones.get(name, PhoneGlimpse()), screens, now)) for name in BOTH]
    columns.split_row(*panels, Layout(_family(screens, now)))
    return _Sized(layout, min(width, _MOST_WIDTH), min(height - 1, _MOST_HEIGHT))


class _Sized:
    """A layout fills whatever it is given; this gives it no more than is pleasant to look at."""

    def __init__(self, layout: Layout, width: int, height: int) -> None:
        self._layout = layout
        self._size = (width, height)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from console.render(self._layout, options.update_dimensions(*self._size))


def _heading(glimpse: Glimpse) -> RenderableType:
    home, away = glimpse.teams
    return Align.center(
        Text.assemble((f"{home} - {away}" if home else "", "bold"), (f"   {glimpse.at}", "bold yellow"))
    )


def _phone(who: str, phone: PhoneGlimpse, screens: Screens, now: datetime.datetime) -> Panel:
    if not phone.on:
        return _panel(who, Text("off", "dim"), Text(""), Text(""), phone.screen, screens)
    wrong = phone.clock_ahead_ms
    clock = now + datetime.timedelta(milliseconds=wrong)
    told = f"{clock:%H:%M:%S}" + (f", {wrong / 3_600_000:+g} h wrong" if wrong else "")
    return _panel(
        who,
        _signal(phone.bars),
        Text.assemble("clock ", (told, "bold red" if wrong else "")),
        _queue(phone),
        phone.screen,
        screens,
    )


def _queue(phone: PhoneGlimpse) -> Text:
    queue = Text.assemble("queue ", (f"{phone.queue} {'■' * min(phone.queue, 12)}", "yellow" if phone.queue else "dim"))
    if phone.questions:
        queue.append(f"  asks {phone.questions}", "bold cyan")
    return queue


def _family(screens: Screens, now: datetime.datetime) -> Panel:
    up = screens.glimpse.server_up
    signal = _signal(4) if up else Text("connecting again …", "yellow")
    clock = Text.assemble("clock ", f"{now:%H:%M:%S}")
    return _panel("the family", signal, clock, Text("only watches", "dim"), screens.glimpse.family, screens)


def _panel(who: str, signal: Text, clock: Text, queue: Text, shown: Shown, screens: Screens) -> Panel:
    colour = COLOURS[who]
    goals = [Text(goal, "dim", no_wrap=True, overflow="ellipsis") for goal in shown.goals[-_GOALS:]]
    goals += [Text("")] * (_GOALS - len(goals))
    body = Group(
        *(_one_line(text) for text in (signal, clock, queue)),
        Text(""),
        Align.center(Text(f"{shown.home} - {shown.away}", f"bold {colour}")),
        *(Align.center(goal) for goal in goals),
        Text(""),
        *_happened(screens.told.get(who, ())),
    )
    return Panel(body, title=Text(who, f"bold {colour}"), border_style=colour, box=box.ROUNDED)


def _happened(lines: Sequence[Line]) -> list[Table]:
    """Newest first; what is older fades."""
    tables: list[Table] = []
    for age, line in enumerate(lines):
        style = "bold red" if line.trouble else "" if age == 0 else "dim"
        table = Table.grid(padding=(0, 1))
        table.add_column(width=6, justify="right", style="yellow" if age == 0 else "dim")
        table.add_column(style=style)
        table.add_row(str(line.at), line.words)
        tables.append(table)
    return tables


def _bottom(screens: Screens) -> RenderableType:
    glimpse = screens.glimpse
    server = Text.assemble(
        (" the server ", COLOURS["the server"]),
        ("runs", "green") if glimpse.server_up else ("is down", "bold red"),
        *_toll(glimpse.server_kills, "   server killed"),
        *_toll(glimpse.phone_kills, "   phones killed"),
        *_toll(glimpse.acknowledgements_lost, "   acknowledgements lost"),
    )
    told = screens.told.get("the server", ())
    last = Text(f" {told[0].at} the server: {told[0].words}" if told else "", "bold red" if _bad(told) else "dim")
    return Group(_one_line(server), _one_line(last))


def _toll(times: int, words: str) -> tuple[str, tuple[str, str]]:
    return f"{words} ", (str(times), "bold red" if times else "dim")


def _bad(told: Sequence[Line]) -> bool:
    return bool(told) and told[0].trouble


def _signal(bars: int) -> Text:
    words, colour = _SIGNAL.get(bars, _GOOD)
    return Text.assemble((_BARS[:bars], colour), ("·" * (4 - bars), "dim"), f" {words}")


def _one_line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
