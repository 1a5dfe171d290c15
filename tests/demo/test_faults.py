"""The demo is known to bite: on a server with one seeded fault each it must fail, and say why."""

from __future__ import annotations

from pathlib import Path

from tests.demo.running import run_demo


def test_the_same_server_without_a_fault_passes(tmp_path: Path) -> None:
    run = run_demo(tmp_path / "files", fault="none")

    assert (run.failed, run.exit_code) == ({}, 0)


def test_a_server_that_acknowledges_before_it_commits_is_caught(tmp_path: Path) -> None:
    run = run_demo(tmp_path / "files", fault="acknowledges_before_commit")

    assert run.exit_code == 1
    # What the server took right before it was killed is gone: it takes the same changes for new, at other versions.
    assert "was acknowledged, and taken for new" in run.failed["repeats"] or "is missing" in run.failed["ledger"]


def test_a_server_that_forgets_outcomes_is_caught(tmp_path: Path) -> None:
    run = run_demo(tmp_path / "files", fault="forgets_outcomes")

    assert run.exit_code == 1
    assert "was acknowledged, and taken for new when it came again" in run.failed["repeats"]


def test_a_server_that_lets_the_wrong_clock_win_is_caught(tmp_path: Path) -> None:
    run = run_demo(tmp_path / "files", fault="lets_the_wrong_clock_win")

    assert run.exit_code == 1
    assert set(run.failed) == {"phone_a", "phone_b", "family", "fresh"}
    for detail in run.failed.values():
        assert "no goal at 36' by Angel DI MARIA" in detail
        assert "a goal at 35' by Angel DI MARIA that the record does not have" in detail


def test_a_server_that_asks_nothing_is_caught(tmp_path: Path) -> None:
    run = run_demo(tmp_path / "files", fault="asks_nothing")

    assert run.exit_code == 1
    assert set(run.failed) == {"phone_a", "phone_b", "family", "fresh", "questions"}
    assert "the score is 5-3, not 3-3" in run.failed["family"]
    assert "nobody asked whether Angel DI MARIA has scored twice" in run.failed["questions"]


def test_a_server_that_skips_a_version_is_caught(tmp_path: Path) -> None:
    run = run_demo(tmp_path / "files", fault="skips_a_version")

    assert run.exit_code == 1
    assert "no goal at 23' by Lionel MESSI" in run.failed["family"]
    assert "no goal at 23' by Lionel MESSI" in run.failed["fresh"]
    assert "acknowledged as created, and gone" in run.failed["effects"]
