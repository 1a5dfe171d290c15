"""The demo ends right: for the matches it was promised for, and for others that are odd in some way."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from syncd.demo.fixtures import match_ids
from tests.demo.running import demo_command, processes_of, run_demo, wait_until_gone
from tests.sizes import SIZES

CHOSEN = {
    "wc2022-36": "two goals a minute apart",
    "wc2022-64": "the final: extra time, a shoot-out, goals in the 80th and 81st",
    "wc2022-02": "eight goals, the last at 90+13",
    "wc2022-09": "no goal at all",
    "wc2022-41": "an own goal",
    "wc2022-55": "no goal in extra time either, and a shoot-out",
    "wc2018-03": "one goal, an own goal, at 90+5",
    "wc2018-30": "seven goals, one at 45+1",
    "wc2018-52": "goals in the first and the fourth minute",
    "wc2018-60": "goals in extra time at 101 and 115",
}
MATCHES = [*CHOSEN, *(match for match in match_ids() if match not in CHOSEN)][: SIZES.demo_matches]


@pytest.mark.parametrize("match", MATCHES)
def test_the_merged_match_is_the_published_one_and_nothing_is_lost(match: str, tmp_path: Path) -> None:
    run = run_demo(tmp_path / "files", match=match)

    assert run.failed == {}
    assert (run.exit_code, run.report["ok"]) == (0, True), run.log
    assert {name: copy["score"] for name, copy in run.report["copies"].items()} == dict.fromkeys(
        ("phone_a", "phone_b", "family", "fresh"), run.report["official"]["score"]
    )
    changes = run.report["changes"]
    assert changes["lost"] == 0
    assert changes["acknowledged"] == changes["made"]
    assert changes["made_offline"] > changes["made"] / 2
    # What the demo is there to show did happen.
    assert changes["repeated"] > 0
    assert changes["merged"] > 0
    assert changes["overruled"] > 0
    assert changes["asked"] == changes["answered"] >= changes["doubled"]
    assert (changes["doubled"] > 0) == (run.report["official"]["goals"] > 0)
    assert processes_of(tmp_path) == []


def test_a_person_gets_the_story_the_tables_and_a_verdict(tmp_path: Path) -> None:
    done = subprocess.run(demo_command(tmp_path / "files"), capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "kill -9" in done.stdout
    assert "clock 3 hours ahead" in done.stdout
    assert "80', 81'. Is it the same goal? No, two" in done.stdout
    assert "108', 109'. Is it the same goal? Yes, one" in done.stdout
    assert "merged from two phones" in done.stdout
    assert "nothing acknowledged was lost" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(("options", "screens"), [((), True), (("--plain",), False)])
def test_on_a_terminal_there_are_three_screens_unless_plain_lines_are_wanted(
    options: tuple[str, ...], screens: bool, tmp_path: Path
) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (30, 100))
    environment = {**os.environ, "TERM": "xterm-256color"}
    for name in ("COLUMNS", "LINES"):
        environment.pop(name, None)
    written: list[bytes] = []
    with subprocess.Popen(demo_command(tmp_path / "files", *options), stdout=theirs, env=environment) as demo:
        os.close(theirs)
        # Linux ends a terminal that nobody writes to any more with an error, others with nothing.
        with contextlib.suppress(OSError):
            while data := os.read(ours, 65536):
                written.append(data)
    os.close(ours)
    text = b"".join(written).decode()

    assert demo.returncode == 0, text
    assert ("server killed" in text) is screens
    assert ("phone A, no signal, queue" in text) is not screens
    assert "nothing acknowledged was lost" in text


def test_an_unknown_match_is_named_with_the_ones_there_are(tmp_path: Path) -> None:
    command = demo_command(tmp_path / "files", match="wc2022-65")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 2
    assert "wc2022-65" in done.stderr
    assert "wc2022-64" in done.stderr


def test_files_of_an_earlier_run_are_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "server.db").touch()
    done = subprocess.run(demo_command(tmp_path), capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 2
    assert "not empty" in done.stderr


def test_a_server_that_never_answers_is_given_up_on_and_ended(tmp_path: Path) -> None:
    hanging = f'{sys.executable} -c "import time; time.sleep(600)"'

    run = run_demo(tmp_path / "files", "--deadline", "1", "--server-command", hanging)

    assert run.exit_code == 1
    assert "waited 1.0 s for the server to start" in run.failed["story"]
    assert processes_of(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_no_process_behind(number: signal.Signals, tmp_path: Path) -> None:
    command = demo_command(tmp_path / "files", "--pace", "1000")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "kick-off" in line:
                break
        assert len(processes_of(tmp_path)) >= 4  # the demo itself, the server, two phones
        demo.send_signal(number)
        _, errors = demo.communicate(timeout=30)

    assert demo.returncode == 130
    assert "Traceback" not in errors
    wait_until_gone(tmp_path)


def test_all_matches_interrupted_leave_no_process_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "syncd", "demo", "--all", "--keep", str(tmp_path / "all")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as demo:
        end = time.monotonic() + 30
        while len(processes_of(tmp_path)) < 1 + 2 * 3:  # the demo itself, and two servers with two phones each
            assert demo.poll() is None
            assert time.monotonic() < end
            time.sleep(0.02)
        demo.send_signal(signal.SIGTERM)
        _, errors = demo.communicate(timeout=30)

    assert demo.returncode == 130
    assert "Traceback" not in errors
    wait_until_gone(tmp_path)
