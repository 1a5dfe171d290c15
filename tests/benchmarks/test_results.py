"""What the README says of speed is what was measured last."""

from __future__ import annotations

from pathlib import Path

from benchmarks.harness.readme import BEGIN, END, table
from benchmarks.harness.results import HISTORY, append, last_row
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
