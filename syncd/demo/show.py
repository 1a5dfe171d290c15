"""The demo for people: the story line by line while it happens, then the match beside the record, and the verdict."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from syncd.demo.beats import Moment
from syncd.demo.glimpse import Glimpse
from syncd.demo.report import PLACES, Report
from syncd.demo.standing import Line

__all__ = ["COLOURS", "ConsoleNarrator", "SilentNarrator", "show_opening", "show_report"]

COLOURS = {"phone A": "cyan", "phone B": "magenta", "the family": "green", "the server": "yellow"}
_FATES = {
    "made": "changes made",
    "made_offline": "of them without signal",
    "acknowledged": "acknowledged by the server",
    "unheard": "acknowledgements that never reached the phone",
    "repeated": "sent again, and answered as the first time",
    "applied": "applied as intended",
    "merged": "merged with what others had done meanwhile",
    "conflict": "raised a question",
    "overruled": "overruled, and kept in the history",
    "rejected": "rejected",
    "lost": "lost",
    "doubled": "goals that both phones have logged, each there once",
    "asked": "questions whether two goals are one",
    "answered": "of them answered",
}


class SilentNarrator:
    """Tells nothing: the report is all that is wanted."""

    def tell(self, at: Moment, who: str, words: str, *, aside: str = "", trouble: bool = False) -> None:
        """Nothing."""

    def show(self, glimpse: Glimpse) -> None:
        """Nothing."""


class ConsoleNarrator:
    """One line for each thing that happens."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def show(self, glimpse: Glimpse) -> None:
        """Nothing: what is told says it."""

    def tell(self, at: Moment, who: str, words: str, *, aside: str = "", trouble: bool = False) -> None:
        """See `syncd.demo.play.Narrator`."""
        line = Text.assemble(
            (f"{at!s:>6}  ", "dim"),
            (f"{f'{who}, {aside}' if aside else who:<30}", COLOURS[who]),
            (words, "bold red" if trouble else ""),
        )
        self._console.print(line, soft_wrap=True)


def show_opening(console: Console) -> None:
    """What is going to be seen."""
    console.print(
        "Two parents score a real match on their phones, every other event each and some goals both, with hardly any\n"
        "signal. The family follows live. A minute of play takes a moment.\n",
        style="dim",
    )


def show_report(console: Console, report: Report) -> None:
    """The timelines, the counts, the checks and the verdict."""
    console.print()
    console.print(_timeline(report))
    record = report.script.record
    console.print(
        f"Left out, for the app has no kind for them: {record.left_out['cards']} cards, "
        f"{record.left_out['shoot_out_kicks']} kicks of a shoot-out. "
        f"Nobody logs the {len(record.substitutions)} substitutions.\n",
        style="dim",
    )
    console.print(_counts(report))
    for check in report.checks:
        mark = ("  ok  ", "green") if check.ok else (" FAIL ", "bold white on red")
        console.print(Text.assemble(mark, (f" {check.name:<10}", "bold"), check.detail))
    console.print()
    console.print(_verdict(report))
    if report.folder is not None:
        console.print(f"Journal, logs and databases: {report.folder}", style="dim", soft_wrap=True)


def _timeline(report: Report) -> Table:
    record = report.script.record
    table = Table(
        box=box.SIMPLE_HEAD,
        title=f"{record.match.home_team} - {record.match.away_team}, {record.match.date:%d %B %Y}",
        title_style="bold",
        show_footer=True,
    )
    right = f"{record.home}-{record.away}"
    table.add_column("", justify="right", style="dim")
    table.add_column("the record", footer=right)
    fresh = report.copies.get("fresh")
    table.add_column("merged from two phones", footer=_score(report, "fresh"))
    table.add_column("", footer=Text("=", "green") if fresh and _score(report, "fresh") == right else Text("≠", "red"))
    for official, merged in report.lines():
        line = official or merged
        assert line is not None
        same = official is not None and merged is not None
        table.add_row(
            str(Moment(line[0], line[1])),
            _told(official),
            _told(merged),
            Text("=", "green") if same else Text("≠", "red"),
        )
    table.caption = "   ".join(f"{place} {_score(report, name)}" for name, place in PLACES.items())
    return table


def _counts(report: Report) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", style="bold")
    table.add_column()
    for fate, words in _FATES.items():
        number = report.counts.get(fate, 0)
        style = "bold red" if fate == "lost" and number else ""
        table.add_row(str(number), words, style=style)
    table.add_row("", "")
    return table


def _verdict(report: Report) -> Text:
    seconds = f"{report.seconds:.0f} s"
    if report.ok:
        return Text(
            f"Both phones, the family and the record agree; nothing acknowledged was lost. ({seconds})", "bold green"
        )
    failed = ", ".join(check.name for check in report.checks if not check.ok)
    return Text(f"This run does not hold: {failed}. ({seconds})", "bold red")


def _score(report: Report, name: str) -> str:
    copy = report.copies.get(name)
    return f"{copy.score['home']}-{copy.score['away']}" if copy is not None else "none"


def _told(line: Line | None) -> str:
    return f"{line[2].replace('_', ' ')}, {line[4]} ({line[3]})" if line is not None else ""
