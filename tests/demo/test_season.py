"""All matches together: two at a time, each failure named and its files kept, the sums right, one exit code."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from syncd.apps.grassroots import app
from syncd.demo.audit import Check
from syncd.demo.fixtures import load_match, match_ids
from syncd.demo.report import PLACES, Report
from syncd.demo.run import Options
from syncd.demo.season import AT_ONCE, Played, Season, play_season
from syncd.demo.show_season import season_bar, show_season
from syncd.demo.standing import copy_of
from tests.demo.states import as_logged, questions_of, state_of

COUNTS = {"made": 10, "made_offline": 9, "acknowledged": 10, "repeated": 2, "merged": 1, "overruled": 1, "lost": 0}


def report_of(match: str, *, ok: bool = True, without: int = 0) -> Report:
    """What a run of that match comes to; `without`: how many events the copies lack."""
    script = as_logged(load_match(match))
    states = [state_of(event) for event in [*script.events[without:], *script.doubles[without:]]]
    copy = copy_of("somewhere", app, [*states, *questions_of(script)])
    checks = [Check("story", ok, "told" if ok else "the story broke off")]
    return Report(script, dict.fromkeys(PLACES, copy), COUNTS, checks, 4.0, None)


async def play_well(options: Options) -> Report:
    assert options.keep is not None
    options.keep.mkdir(parents=True)
    return report_of(options.match)


async def test_every_match_is_played_and_the_sums_are_those_of_the_records() -> None:
    told: list[Played] = []

    season = await play_season(Options(), ["wc2022-36", "wc2022-64"], play_well, told.append)

    assert season.ok
    assert [played.match for played in season.played] == ["wc2022-36", "wc2022-64"]
    assert {played.match for played in told} == {"wc2022-36", "wc2022-64"}
    assert (season.scores_right, season.goals, season.goals_right) == (2, 3 + 6, 3 + 6)
    assert (season.changes["made"], season.changes["lost"]) == (20, 0)


async def test_no_more_than_two_are_played_at_a_time() -> None:
    playing, most = 0, 0

    async def play(options: Options) -> Report:
        nonlocal playing, most
        playing += 1
        most = max(most, playing)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        playing -= 1
        return await play_well(options)

    await play_season(Options(), match_ids("wc2022-0"), play, lambda played: None)

    assert most == AT_ONCE


async def test_a_match_that_fails_or_breaks_is_named_and_keeps_its_folder_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folders: dict[str, Path] = {}

    async def play(options: Options) -> Report:
        assert options.keep is not None
        folders[options.match] = options.keep
        options.keep.mkdir(parents=True)
        if options.match == "wc2022-36":
            raise OSError("no space left on device")
        return report_of(options.match, ok=options.match != "wc2022-02")

    season = await play_season(Options(), ["wc2022-36", "wc2022-02", "wc2022-64"], play, lambda played: None)

    assert not season.ok
    assert {played.match: played.why for played in season.failed} == {
        "wc2022-36": "the run broke: OSError: no space left on device",
        "wc2022-02": "story: the story broke off",
    }
    assert {match: folder.exists() for match, folder in folders.items()} == {
        "wc2022-36": True,
        "wc2022-02": True,
        "wc2022-64": False,
    }
    assert season.failed[0].folder == str(folders["wc2022-36"])


async def test_with_keep_the_files_of_every_match_stay(tmp_path: Path) -> None:
    await play_season(Options(keep=tmp_path / "all"), ["wc2022-36"], play_well, lambda played: None)

    assert [path.name for path in (tmp_path / "all").iterdir()] == ["wc2022-36"]


def test_a_missing_goal_counts_against_score_and_scorers() -> None:
    season = Season([Played("wc2022-36", report_of("wc2022-36", ok=False, without=1), "", None)], 4.0)

    assert (season.scores_right, season.goals_right, season.goals) == (0, 2, 3)


def test_a_goal_that_one_place_lacks_is_not_right_though_the_others_have_it() -> None:
    whole, lacking = report_of("wc2022-36"), report_of("wc2022-36", without=1)
    report = replace(whole, copies={**whole.copies, "family": lacking.copies["family"]})

    assert (report.score_right, report.goals_right) == (False, 2)
    assert replace(whole, copies={"fresh": whole.copies["fresh"]}).goals_right == 0


def test_nothing_played_is_not_well_played() -> None:
    assert not Season([], 0.0).ok


def test_the_closing_table_gives_the_figures_and_names_what_failed() -> None:
    good = Played("wc2022-64", report_of("wc2022-64"), "", None)
    bad = Played("wc2022-36", report_of("wc2022-36", ok=False, without=1), "", "/somewhere")
    out = io.StringIO()
    show_season(Console(file=out, width=100), Season([good, bad], 250.0))
    text = out.getvalue()

    assert "1 of 2" in text
    assert "8 of 9" in text
    assert "wc2022-36  story: the story broke off" in text
    assert "/somewhere" in text
    assert "This does not hold: wc2022-36. (4 min 10 s)" in text

    out = io.StringIO()
    show_season(Console(file=out, width=100), Season([good], 4.0))
    assert "Every match is the published one; nothing acknowledged was lost. (4 s)" in out.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_the_bar_is_for_terminals_and_failures_are_named_anyway(terminal: bool) -> None:
    out = io.StringIO()
    with season_bar(Console(file=out, force_terminal=terminal, width=120), 2) as bar:
        bar(Played("wc2022-64", report_of("wc2022-64"), "", None))
        bar(Played("wc2022-36", report_of("wc2022-36", ok=False), "", "/somewhere"))

    assert "wc2022-36  story: the story broke off" in out.getvalue()
    assert ("2/2" in out.getvalue()) == terminal


def demo_all(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "syncd", "demo", "--all", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_command_plays_all_matches_that_begin_so_and_prints_one_object() -> None:
    done = demo_all("--match", "wc2022-36", "--json")
    facts = json.loads(done.stdout)

    assert (done.returncode, done.stderr, facts["ok"], facts["failed"]) == (0, "", True, [])
    assert (facts["matches"], facts["scores_right"], facts["goals"], facts["goals_right"]) == (1, 1, 3, 3)
    assert facts["changes"]["lost"] == 0
    assert facts["played"][0]["official"]["score"] == [0, 3]


def test_the_command_ends_with_1_if_a_match_fails_and_says_which(tmp_path: Path) -> None:
    hanging = f'{sys.executable} -c "import time; time.sleep(600)"'
    done = demo_all(
        "--match", "wc2022-36", "--keep", str(tmp_path / "all"), "--deadline", "1", "--server-command", hanging
    )

    assert done.returncode == 1
    assert "This does not hold: wc2022-36." in done.stdout
    assert "wc2022-36  story: the story did not begin" in done.stderr
    assert (tmp_path / "all" / "wc2022-36").is_dir()


def test_a_beginning_that_no_match_has_is_wrong_usage() -> None:
    done = demo_all("--match", "euro")

    assert done.returncode == 2
    assert "wc2018" in done.stderr
