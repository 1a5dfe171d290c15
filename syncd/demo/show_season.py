"""`syncd demo --all` for people: a bar while the matches are played, and the table that closes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from syncd.demo.season import Played, Season

__all__ = ["SeasonBar", "season_bar", "show_season"]


class SeasonBar:
    """Hears of each match as it ends; a match that failed is named at once, whether there is a bar or not."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None, last="")

    def set_total(self, matches: int) -> None:
        """How many there will be."""
        self._progress.update(self._task, total=matches)

    def __call__(self, played: Played) -> None:
        """One more is over."""
        self._progress.update(self._task, advance=1, last=_result(played))
        if not played.ok:
            line = Text.assemble((" FAIL ", "bold white on red"), f" {played.match}  {played.why}")
            self._progress.console.print(line, soft_wrap=True)


@contextmanager
def season_bar(console: Console, matches: int) -> Iterator[SeasonBar]:
    """A bar on the `console`, if that is a terminal; without one only failures are printed there."""
    columns = (
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("matches"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[last]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = SeasonBar(progress)
        bar.set_total(matches)
        yield bar


def show_season(console: Console, season: Season) -> None:
    """What all of them came to, the failed ones by name, and the verdict."""
    matches, changes = len(season.played), season.changes
    table = Table(
        box=box.SIMPLE_HEAD,
        show_header=False,
        title="1 match" if matches == 1 else f"{matches} matches",
        title_style="bold",
    )
    table.add_column(justify="right", style="bold")
    table.add_column()
    table.add_column()
    rows = (
        (f"{season.scores_right} of {matches}", "official scores, in all four places"),
        (f"{season.goals_right} of {season.goals}", "goals with their scorer, minute and side, there too"),
    )
    for (figure, words), right in zip(
        rows, (season.scores_right == matches, season.goals_right == season.goals), strict=True
    ):
        table.add_row(figure, words, _mark(right))
    table.add_section()
    for fate, words in (
        ("made", "changes made on the phones"),
        ("made_offline", "of them without signal"),
        ("acknowledged", "acknowledged by the server"),
        ("unheard", "acknowledgements that never reached the phone"),
        ("repeated", "sent again, and answered as the first time"),
        ("merged", "merged with what others had done meanwhile"),
        ("conflict", "raised a question"),
        ("overruled", "overruled, and kept in the history"),
        ("rejected", "rejected"),
    ):
        table.add_row(str(changes.get(fate, 0)), words, "")
    lost = changes.get("lost", 0)
    table.add_row(str(lost), "lost", _mark(lost == 0))
    table.add_section()
    asked, answered = changes.get("asked", 0), changes.get("answered", 0)
    table.add_row(str(changes.get("doubled", 0)), "goals that both phones have logged", "")
    table.add_row(str(asked), "questions whether two goals are one", "")
    table.add_row(str(answered), "of them answered, as the record has it", _mark(answered == asked))
    table.caption = "The four places: phone A, phone B, the family, a fresh replica."
    console.print(table)
    for played in season.failed:
        console.print(Text.assemble((" FAIL ", "bold white on red"), (f" {played.match}", "bold"), f"  {played.why}"))
        console.print(f"       journal, logs and databases: {played.folder}", style="dim", soft_wrap=True)
    console.print(_verdict(season))


def _verdict(season: Season) -> Text:
    time = f"({_minutes(season.seconds)})"
    if season.ok:
        return Text(f"Every match is the published one; nothing acknowledged was lost. {time}", "bold green")
    names = ", ".join(played.match for played in season.failed) or "no match was played"
    return Text(f"This does not hold: {names}. {time}", "bold red")


def _result(played: Played) -> str:
    if played.report is None:
        return played.match
    record = played.report.script.record
    return f"{record.match.home_team} {record.home}-{record.away} {record.match.away_team}"


def _mark(right: bool) -> Text:
    return Text("=", "green") if right else Text("≠", "bold red")


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
