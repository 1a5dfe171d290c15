"""What the README says of speed is what was measured last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks.harness.measure import Measured
from benchmarks.harness.readme import BEGIN, END, table
from benchmarks.harness.results import HISTORY, append, as_json, last_row, row_of
from benchmarks.harness.sample import Sample
from benchmarks.peers import install
from benchmarks.peers.versions import PEERS
from benchmarks.workloads import WORKLOADS

ROOT = Path(__file__).parents[2]
GOAL = {"workload": "W1", "case": "batch 1", "against": "pouchdb", "figure": "rate", "wanted": "≥ 0.60 → 1.20"}
MEASURED = GOAL | {"ratio": 0.8, "low": 0.71, "high": 0.9, "standing": "minimum reached"}
ROW = {"at": "2026-11-21T14:00:00Z", "commit": "abc1234", "cores": 2, "goals": [MEASURED]}


def test_the_readme_shows_the_last_line_of_the_results() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = readme.partition(BEGIN)[2].partition(END)[0].strip()

    assert HISTORY.exists() is bool(shown)
    if shown:
        assert shown == table(last_row())
        assert "docs/benchmarks.png" in readme
        assert (ROOT / "docs" / "benchmarks.png").exists()


def test_a_line_is_added_behind_the_others_and_read_again(tmp_path: Path) -> None:
    for number in range(3):
        append(ROW | {"commit": str(number)}, tmp_path / "results.jsonl")

    assert len((tmp_path / "results.jsonl").read_text().splitlines()) == 3
    assert last_row(tmp_path / "results.jsonl") == ROW | {"commit": "2"}


def test_the_table_has_the_ratio_the_rounds_and_what_is_wanted() -> None:
    unmeasured = GOAL | {"ratio": None, "low": None, "high": None, "standing": "not measured"}

    lines = table(ROW | {"goals": [MEASURED, unmeasured]}).splitlines()

    assert lines[0].endswith("of 2 goals 1 were measured, 1 are reached, 0 of them as far as we aim for.")
    assert lines[4] == "| W1 batch 1 | pouchdb | rate | 0.80 (0.71 to 0.90) | ≥ 0.60 → 1.20 | minimum reached |"
    assert lines[5] == "| W1 batch 1 | pouchdb | rate |  | ≥ 0.60 → 1.20 | not measured |"


def test_every_goal_has_a_minimum_or_an_aim_and_a_workload_its_own_name() -> None:
    goals = [goal for workload in WORKLOADS for goal in workload.goals]

    assert goals
    assert all(goal.minimum is not None or goal.aim is not None for goal in goals)
    assert len({workload.name for workload in WORKLOADS}) == len(WORKLOADS)


def test_the_versions_of_those_peers_are_recorded_that_were_measured() -> None:
    """Whoever was left out, or was not asked for, is not even asked: it may not be installed."""

    def not_installed() -> Mapping[str, str]:
        raise AssertionError("it was asked")

    found = [Sample(1, 1.0)]
    run = [
        Measured(WORKLOADS[0], samples={"one": {"syncd": found, "kinto": [], "pouchdb": found}}),
        Measured(WORKLOADS[1], samples={"two": {"syncd": found, "hocuspocus (SQLite)": found, "hocuspocus": found}}),
    ]
    peers = {
        "hocuspocus": lambda: {"yjs": "13.6.33"},
        "kinto": not_installed,
        "pouchdb": lambda: {"express-pouchdb": "4.2.0", "leveldown": "5.6.0"},
        "rxdb": not_installed,
    }
    recorded = {"hocuspocus": {"yjs": "13.6.33"}, "pouchdb": {"express-pouchdb": "4.2.0", "leveldown": "5.6.0"}}

    assert as_json(run, peers)["peers"] == recorded
    assert row_of(run, peers)["peers"] == recorded


def test_every_peer_says_its_versions_and_installs_nothing_for_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL, which comes with the machine, is part of Kinto."""
    monkeypatch.setenv("SYNCD_BENCH_PEERS", str(tmp_path))
    modules = [file for file in (ROOT / "benchmarks" / "peers").glob("*.py") if "def running(" in file.read_text()]

    assert sorted(PEERS) == sorted({file.stem.replace("_", "-") for file in modules} - {"postgresql"})
    for name, versions in PEERS.items():
        assert {*versions()} <= ({"postgresql"} if name == "kinto" else set())
    assert not [*tmp_path.iterdir()]


def test_versions_are_read_from_what_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCD_BENCH_PEERS", str(tmp_path))
    wanted = {"express": "^4"}
    for package, version in (("express", "4.21.2"), ("leveldown", "5.6.0")):
        manifest = install.folder_of("pouchdb", wanted) / "node_modules" / package / "package.json"
        manifest.parent.mkdir(parents=True)
        manifest.write_text(json.dumps({"name": package, "version": version}))
    site = install.folder_of("kinto", ["kinto"]) / "lib" / "python3.11" / "site-packages" / "kinto-26.5.0.dist-info"
    site.mkdir(parents=True)
    (site / "METADATA").write_text("Metadata-Version: 2.1\nName: kinto\nVersion: 26.5.0\n")

    of_node = install.versions_of_node("pouchdb", wanted, "leveldown", "no such")
    assert of_node == {"express": "4.21.2", "leveldown": "5.6.0"}
    assert install.versions_of_python("kinto", ["kinto"], ["kinto", "waitress"]) == {"kinto": "26.5.0"}
