"""The command line: quick help, banners for people and programs, sentences instead of tracebacks, exit codes."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from typer.testing import CliRunner

from syncd import __version__
from syncd.cli import cli
from tests.support.server import running_server


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs `syncd` with arguments in an empty folder, without a SYNCD_ variable."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("SYNCD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: CliRunner().invoke(cli, arguments)


def spawn(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The same as a process, for what must not be imported or must end by itself."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SYNCD_")}
    return subprocess.run(
        [sys.executable, "-m", "syncd", *arguments],
        cwd=cwd,
        env={**clean, "PYTHONPATH": str(Path(__file__).parents[1]), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class TestHelp:
    """What `--help` says."""

    @pytest.mark.parametrize("command", ["serve", "migrate"])
    def test_every_command_shows_examples(self, run: Any, command: str) -> None:
        result = run(command, "--help")
        assert result.exit_code == 0
        assert "Examples" in result.output
        assert f"syncd {command}" in result.output

    def test_the_commands_and_the_exit_codes_are_listed(self, run: Any) -> None:
        result = run("--help")
        assert all(command in result.output for command in ("serve", "migrate", "demo"))
        assert "Exit codes" in result.output

    def test_the_version_is_told(self, run: Any) -> None:
        result = run("--version")
        assert (result.exit_code, result.output.strip()) == (0, f"syncd {__version__}")

    def test_help_imports_nothing_heavy(self, tmp_path: Path) -> None:
        code = (
            "import sys; from typer.testing import CliRunner; from syncd.cli import cli; "
            "CliRunner().invoke(cli, ['--help']); "
            "print(sorted({'aiohttp', 'pydantic', 'sqlalchemy', 'alembic', 'structlog', 'uvloop'} & set(sys.modules)))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
        assert done.stdout.strip() == "[]"

    def test_no_command_is_wrong_usage(self, run: Any) -> None:
        assert run().exit_code == 2


class TestServe:
    """`syncd serve`."""

    async def test_with_json_the_banner_is_one_line_for_programs(self, tmp_path: Path) -> None:
        async with running_server(tmp_path / "club.db", app="syncd.apps.grassroots:app") as server:
            banner = server.banner
            assert banner.pop("incarnation").isalnum()
            assert banner == {
                "event": "listening",
                "url": server.url,
                "database": str(tmp_path / "club.db"),
                "pid": server.pid,
                "app": "grassroots",
                "types": ["event", "lineup", "match", "player", "substitution", "team"],
                "access": "loopback only, no token",
                "version": __version__,
            }

    async def test_the_banner_says_if_there_is_a_token_and_nothing_ever_says_which(self, tmp_path: Path) -> None:
        token = "a-long-shared-secret"
        async with running_server(
            tmp_path / "club.db", token=token, environment={"SYNCD_LOG_LEVEL": "debug"}
        ) as server:
            assert server.banner["access"] == "one shared token"
            async with ClientSession(server.url) as http:
                for header in (token, token + "x"):
                    await http.post("/sync/v1/pull", json={"scopes": {}}, headers={"Authorization": f"Bearer {header}"})
            await server.stop()
            assert token not in server.log_text()
            assert token not in json.dumps(server.banner)

    def test_for_people_the_banner_names_url_data_app_and_access(self, tmp_path: Path) -> None:
        with subprocess.Popen(
            [sys.executable, "-m", "syncd", "serve", "--port", "0"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONUNBUFFERED": "1", "COLUMNS": "200"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            assert process.stdout is not None
            lines: dict[str, str] = {}
            while "access" not in lines:
                name, _, value = process.stdout.readline().strip().partition(" ")
                lines[name] = value.strip()
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=10) == 0
        assert lines["url"].startswith("http://127.0.0.1:")
        assert lines["live"] == lines["url"].replace("http", "ws") + "/sync/v1/live"
        assert lines["data"] == str(tmp_path / "syncd.db")
        assert lines["app"] == "open (any type, rule merge)"
        assert lines["access"] == "loopback only, no token"

    def test_another_address_than_loopback_needs_a_token(self, run: Any) -> None:
        result = run("serve", "--host", "0.0.0.0")
        assert result.exit_code == 2
        assert "SYNCD_TOKEN" in result.output
        assert not Path("syncd.db").exists()

    def test_a_token_that_could_be_guessed_is_refused_there(self, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SYNCD_TOKEN", "short")
        result = run("serve", "--host", "0.0.0.0")
        assert result.exit_code == 2
        assert "shorter than" in result.output
        assert "short\n" not in result.output

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["nowhere:app"], "there is no module 'nowhere'"),
            (["syncd.errors:app"], "has no 'app'"),
            (["--port", "70000"], "--port"),
            (["--port", "http"], "port"),
        ],
    )
    def test_wrong_usage_is_a_sentence_and_exit_code_2(self, run: Any, arguments: list[str], says: str) -> None:
        result = run("serve", *arguments)
        assert result.exit_code == 2
        assert says in result.output
        assert "Traceback" not in result.output

    def test_a_wrong_setting_in_the_environment_is_named(self, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SYNCD_HEARTBEAT_S", "often")
        result = run("serve")
        assert result.exit_code == 2
        assert "SYNCD_HEARTBEAT_S" in result.output

    def test_a_port_in_use_is_a_sentence(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            done = spawn("serve", "--port", str(taken.getsockname()[1]), cwd=tmp_path)
        assert done.returncode == 2
        assert "cannot listen on 127.0.0.1 port" in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_database_of_a_newer_syncd_is_refused_in_a_sentence(self, tmp_path: Path) -> None:
        assert spawn("migrate", cwd=tmp_path).returncode == 0
        with sqlite3.connect(tmp_path / "syncd.db") as connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.close()
        done = spawn("serve", "--port", "0", cwd=tmp_path)
        assert done.returncode == 1
        assert "newer syncd" in done.stderr
        assert "Upgrade syncd" in done.stderr
        assert "Traceback" not in done.stderr

    def test_with_json_a_failure_is_one_line_for_programs_too(self, run: Any) -> None:
        result = run("serve", "nowhere:app", "--json")
        failure = json.loads(result.stdout)
        assert (result.exit_code, failure["event"], failure["code"]) == (2, "failed", "app_error")
        assert failure["message"]
        assert failure["hint"]


class TestMigrate:
    """`syncd migrate`."""

    def test_it_makes_the_file_and_then_has_nothing_to_do(self, run: Any) -> None:
        first, second = run("migrate", "--database", "club.db"), run("migrate", "--database", "club.db")
        assert (first.exit_code, second.exit_code) == (0, 0)
        assert "applied" in first.output
        assert "nothing to do" in second.output

    def test_check_changes_nothing_and_exits_with_1_if_a_migration_is_due(self, run: Any, tmp_path: Path) -> None:
        due = run("migrate", "--check", "--database", "club.db")
        assert due.exit_code == 1
        assert "is due" in due.output
        assert not (tmp_path / "club.db").exists()
        run("migrate", "--database", "club.db")
        assert run("migrate", "--check", "--database", "club.db").exit_code == 0

    def test_with_json_it_says_what_it_did(self, run: Any, tmp_path: Path) -> None:
        report = json.loads(run("migrate", "--database", "club.db", "--json").stdout)
        assert report["database"] == str(tmp_path / "club.db")
        assert report["applied"][-1] == report["newest"]
        assert report["due"] is False

    def test_a_file_that_is_no_database_is_a_sentence(self, run: Any, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("not a database, only some notes " * 100)
        result = run("migrate", "--database", "notes.txt")
        assert result.exit_code in (1, 2)
        assert "Traceback" not in result.output
        assert (tmp_path / "notes.txt").read_text().startswith("not a database")

    async def test_a_database_in_use_by_a_server_is_left_alone(self, tmp_path: Path, run: Any) -> None:
        async with running_server(tmp_path / "club.db"):
            result = run("migrate", "--database", "club.db")
            assert result.exit_code == 2
            assert "Traceback" not in result.output
