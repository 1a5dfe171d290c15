"""One run of the demo, from a match to a report: sets the stage, plays the script, and lets nothing live on."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from client_sdk import SyncError
from syncd.app import load_app, new_id
from syncd.demo.audit import Check, audit
from syncd.demo.beats import BOTH, PhoneName
from syncd.demo.family import Family, fresh_copy
from syncd.demo.fixtures import load_match
from syncd.demo.glimpse import shown
from syncd.demo.journal import Journal, read_journal
from syncd.demo.ledger import read_ledger
from syncd.demo.patience import OutOfPatience, Patience
from syncd.demo.play import Narrator, Play, Scorer
from syncd.demo.processes import ChildDied, PhoneProcess, ServerProcess
from syncd.demo.questions import check_questions
from syncd.demo.report import Report, check_copies
from syncd.demo.script import Script, write_script
from syncd.demo.signal import Signal
from syncd.demo.standing import Copy
from syncd.errors import SettingsError

__all__ = ["Options", "new_folder", "run_match"]

APP = "syncd.apps.grassroots:app"


@dataclass(frozen=True, slots=True)
class Options:
    """`match`: an id of the fixtures. `keep`: the folder for all files; without one, they go when all is well.

    `minute_ms`: how long a minute of play takes. `each_s`, `deadline_s`: how long one thing, and all, may take.
    `server_command`: what starts the server, up to the app's name.
    """

    match: str = "wc2022-64"
    keep: Path | None = None
    minute_ms: float = 80
    each_s: float = 15
    deadline_s: float = 120
    server_command: Sequence[str] = field(default=(sys.executable, "-m", "syncd", "serve"))

    def at_pace(self, minute_ms: float | None, *, speed: float) -> Options:
        """These, `speed` times as fast, or with so many milliseconds to a minute; slow ones get more time in all."""
        chosen = self.minute_ms / speed if minute_ms is None else minute_ms
        # 120 minutes and the breaks, at most; what the run itself needs comes on top.
        return replace(self, minute_ms=chosen, deadline_s=self.deadline_s + 0.2 * max(0.0, chosen - self.minute_ms))


@dataclass(slots=True)
class _Stage:
    """Everything that has to be there, and to be gone afterwards."""

    folder: Path
    script: Script
    server: ServerProcess
    journal: Journal
    scorers: dict[PhoneName, Scorer]
    copies: dict[str, Copy] = field(default_factory=dict)


async def run_match(options: Options, narrator: Narrator) -> Report:
    """Play the match, and hold what came of it against the record; raises `SettingsError` for an unknown match."""
    script = write_script(load_match(options.match), new_id)
    started = time.monotonic()
    patience = Patience(each_s=options.each_s, total_s=options.deadline_s)
    with _folder(options.keep) as folder:
        async with _stage(options, script, folder) as stage:
            play = Play(stage.server, stage.scorers, narrator, minute_ms=options.minute_ms, patience=patience)
            played = await _perform(stage, play, patience)
        report = _report(stage, play, played, time.monotonic() - started)
    if report.ok and options.keep is None:
        shutil.rmtree(folder)
        return replace(report, folder=None)
    return report


async def _perform(stage: _Stage, play: Play, patience: Patience) -> Check:
    """The play, and then a look at every copy; says whether, and why not, all of it could be done."""
    script, server = stage.script, stage.server

    def on_score(score: Mapping[str, Any]) -> None:
        match, before, play.family = script.record.match, play.family, shown(score)
        home, away = play.family.home, play.family.away
        if (home, away) == (before.home, before.away):
            play.show()
        else:
            play.tell("the family", f"sees {match.home_team} {home} - {away} {match.away_team}")

    try:
        async with patience.wait_for("the server to start"):
            await server.start()
    except (OutOfPatience, ChildDied) as trouble:
        return Check("story", False, f"the story did not begin: {trouble}")
    async with Family(server.url, stage.folder / "family.db", load_app(APP), script.scope, on_score) as family:
        troubles: list[str] = []
        try:
            async with patience.wait_for("the phones to start"):
                await asyncio.gather(*(scorer.phone.start() for scorer in stage.scorers.values()))
            await play.perform(script)
        except (OutOfPatience, ChildDied) as trouble:
            troubles.append(f"the story broke off: {trouble}")
        troubles += await _look(stage, family, as_they_lie=bool(troubles))
    return Check("story", not troubles, "; ".join(troubles) or f"{len(script.beats)} beats, played to the end")


async def _look(stage: _Stage, family: Family, *, as_they_lie: bool) -> list[str]:
    """What every copy holds now; returns what went wrong with looking.

    `as_they_lie`: a phone may hang in the middle of something, and is started again on its file, without signal.
    """
    troubles: list[str] = []
    patience = Patience(each_s=10, total_s=40)
    script, server = stage.script, stage.server
    for name, scorer in stage.scorers.items():
        try:
            async with patience.wait_for(f"phone {name} to show what it has"):
                if as_they_lie:
                    scorer.signal.cut()
                    scorer.phone.kill()
                    await scorer.phone.wait_dead()
                    await scorer.phone.start()
                shown = await scorer.phone.ask({"do": "show_all", "scope": script.scope})
        except (OutOfPatience, ChildDied) as trouble:
            troubles.append(str(trouble))
        else:
            resources = {(entry["type"], entry["id"]): entry["fields"] for entry in shown["resources"]}
            stage.copies[f"phone_{name.lower()}"] = Copy(f"phone {name}", resources, shown["score"], shown["events"])
    try:
        async with patience.wait_for("a fresh replica to pull everything"):
            fresh = await fresh_copy(server.url, stage.folder / "fresh.db", load_app(APP), script.scope)
    except (OutOfPatience, SyncError) as trouble:
        troubles.append(str(trouble))
    else:
        stage.copies["fresh"] = fresh
        # If it does not come to that, the family's own check says what is lacking.
        with suppress(OutOfPatience):
            async with Patience(each_s=5, total_s=5).wait_for("the family to hear of everything"):
                await family.holds(fresh)
    stage.copies["family"] = family.copy()
    return troubles


def _report(stage: _Stage, play: Play, played: Check, seconds: float) -> Report:
    fresh = stage.copies.get("fresh")
    audited = audit(
        read_journal(stage.journal.path),
        read_ledger(stage.folder / "server.db"),
        fresh.resources if fresh is not None else (),
    )
    questions = check_questions(fresh, stage.script)
    checks = [played, *check_copies(stage.copies, stage.script), questions.check, *audited.checks]
    counts = {"made": play.taps, "made_offline": play.taps_offline, **audited.counts, **questions.counts}
    return Report(stage.script, stage.copies, counts, checks, seconds, str(stage.folder))


@asynccontextmanager
async def _stage(options: Options, script: Script, folder: Path) -> AsyncIterator[_Stage]:
    """The server and the phones, none of them running yet; whatever runs in the end is ended."""
    server = ServerProcess(options.server_command, APP, folder / "server.db", folder / "server.log")
    journal = Journal(folder / "acknowledgements.jsonl")
    scorers: dict[PhoneName, Scorer] = {}
    for name in BOTH:
        signal = Signal(name, lambda: server.port, journal)
        stem = f"phone-{name.lower()}"
        phone = PhoneProcess(name, APP, signal.url, folder / f"{stem}.db", [script.scope], folder / f"{stem}.log")
        scorers[name] = Scorer(name, phone, signal)
    try:
        yield _Stage(folder, script, server, journal, scorers)
    finally:
        for scorer in scorers.values():
            scorer.phone.kill()
        try:
            for scorer in scorers.values():
                await scorer.phone.wait_dead()
                await scorer.signal.close()
            await server.stop()
        finally:
            server.kill()
            journal.close()


def new_folder(folder: Path) -> None:
    """Make it, if it is not there; raises `SettingsError` if it holds anything."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise SettingsError(f"the folder {folder} is not empty", hint="Name a new folder for the files of this run.")


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """Where the files go; a folder of our own goes again where the run was broken off."""
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
