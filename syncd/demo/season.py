"""Every match of the fixtures, one after the other, two at a time: what came of each, and of all together."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from syncd.demo.report import Report
from syncd.demo.run import Options, new_folder

__all__ = ["AT_ONCE", "Played", "Season", "play_season"]

AT_ONCE: Final = 2
"""Matches at a time: each is a server and two phones, and what is tested is not how they fight for processors."""

PlayMatch = Callable[[Options], Awaitable[Report]]


@dataclass(frozen=True, slots=True)
class Played:
    """One match. `report`: None where the run itself broke, by `broken`. `folder`: its files, where they are kept."""

    match: str
    report: Report | None
    broken: str
    folder: str | None

    @property
    def ok(self) -> bool:
        """Whether every check of it holds."""
        return self.report is not None and self.report.ok

    @property
    def why(self) -> str:
        """What went wrong, in a sentence; empty if nothing did."""
        if self.report is None:
            return self.broken
        return "; ".join(f"{check.name}: {check.detail}" for check in self.report.checks if not check.ok)

    def to_json(self) -> dict[str, Any]:
        """The essence, for programs."""
        facts: dict[str, Any] = {"match": self.match, "ok": self.ok, "folder": self.folder}
        if self.report is None:
            return {**facts, "why": self.broken}
        whole = self.report.to_json()
        facts |= {name: whole[name] for name in ("teams", "official", "changes", "seconds")}
        return facts if self.ok else {**facts, "why": self.why}


@dataclass(frozen=True, slots=True)
class Season:
    """All of them, in the order of the fixtures. `seconds`: from the first kick-off to the last whistle."""

    played: Sequence[Played]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether there was something to see, and all of it was right."""
        return bool(self.played) and not self.failed

    @property
    def failed(self) -> Sequence[Played]:
        """The matches that do not hold."""
        return [match for match in self.played if not match.ok]

    @property
    def scores_right(self) -> int:
        """Matches whose official score is what both phones, the family and a fresh replica show."""
        return sum(match.report is not None and match.report.score_right for match in self.played)

    @property
    def goals(self) -> int:
        """Goals in the record of every match."""
        return sum(len(match.report.script.record.goals) for match in self.played if match.report is not None)

    @property
    def goals_right(self) -> int:
        """Goals that all four places have with the published scorer, minute and side."""
        return sum(match.report.goals_right for match in self.played if match.report is not None)

    @property
    def changes(self) -> Mapping[str, int]:
        """Changes by their fate, over all matches."""
        total: Counter[str] = Counter()
        for match in self.played:
            if match.report is not None:
                total.update(match.report.counts)
        return total

    def to_json(self) -> dict[str, Any]:
        """Everything, for programs; the matches by their essence."""
        return {
            "ok": self.ok,
            "matches": len(self.played),
            "scores_right": self.scores_right,
            "goals": self.goals,
            "goals_right": self.goals_right,
            "changes": dict(self.changes),
            "failed": [match.match for match in self.failed],
            "seconds": round(self.seconds, 1),
            "played": [match.to_json() for match in self.played],
        }


async def play_season(
    options: Options, matches: Sequence[str], play: PlayMatch, on_played: Callable[[Played], None]
) -> Season:
    """`play` each of the `matches` with these `options`; `on_played` hears of each as it ends.

    The files of a match go when it was right, unless `options.keep` says where all of them are to be.
    """
    started = time.monotonic()
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(match: str, folder: Path) -> Played:
        async with gate:
            played = await _play(replace(options, match=match, keep=folder), play)
        if played.ok and options.keep is None:
            await asyncio.to_thread(shutil.rmtree, folder)
            played = replace(played, folder=None)
        on_played(played)
        return played

    with _folder(options.keep) as parent:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(match, parent / match), name=match) for match in matches]
        season = Season([task.result() for task in tasks], time.monotonic() - started)
    if season.ok and options.keep is None:
        shutil.rmtree(parent)
    return season


async def _play(options: Options, play: PlayMatch) -> Played:
    folder = str(options.keep)
    try:
        report = await play(options)
    except Exception as broken:  # One match that breaks is one that failed; the others are still to be seen.
        return Played(options.match, None, f"the run broke: {type(broken).__name__}: {broken}", folder)
    return Played(options.match, report, "", folder)


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """One folder for the folders of all matches; one of our own goes if all was broken off."""
    if keep is not None:
        new_folder(keep)
        yield keep
        return
    folder = Path(tempfile.mkdtemp(prefix="syncd-demo-"))
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
