"""The Dockerfile without an engine: its rules by reading it, its steps by taking them in a folder of their own.

What needs root, the account, is only read. Dependencies come from the environment of the tests, not from a network.
"""

from __future__ import annotations

import asyncio
import re
import signal
from pathlib import Path

import pytest

from syncd.settings import Settings
from tests.docs.dockerfile import environment_of, ignored, read_dockerfile
from tests.docs.fresh import free_port
from tests.docs.image import Image

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")
DOCKERIGNORE = (ROOT / ".dockerignore").read_text(encoding="utf-8")
INSTRUCTIONS = read_dockerfile(TEXT)
LAST = INSTRUCTIONS[-1].stage
FINAL = [each for each in INSTRUCTIONS if each.stage == LAST]
ENVIRONMENT = environment_of(INSTRUCTIONS, LAST)
TOKEN = "a long text that nobody guesses"


def only(name: str) -> list[str]:
    (instruction,) = [each for each in FINAL if each.name == name]
    return instruction.words


class TestRules:
    """What it says."""

    def test_it_builds_in_one_stage_and_keeps_only_the_result_in_another(self) -> None:
        bases = [each.words[0] for each in INSTRUCTIONS if each.name == "FROM"]
        assert bases == ["python:3.11-slim-bookworm"] * 2
        (copy,) = [each for each in FINAL if each.name == "COPY"]
        assert copy.options == ("--from=build",)

    def test_nothing_of_it_is_latest_or_fetched_from_an_address(self) -> None:
        assert "latest" not in "".join(each.text for each in INSTRUCTIONS if each.name == "FROM")
        assert [each for each in INSTRUCTIONS if each.name == "ADD"] == []
        assert "http" not in "".join(each.text for each in INSTRUCTIONS if each.name == "RUN")

    def test_the_server_is_not_root(self) -> None:
        assert only("USER") == ["10001:10001"]
        names = [each.name for each in FINAL]
        assert "RUN" not in names[names.index("USER") :]
        assert "useradd --system --uid 10001" in " ".join(each.text for each in FINAL if each.name == "RUN")

    def test_the_data_file_is_on_the_volume_and_the_volume_is_the_users(self) -> None:
        assert only("VOLUME") == ["/data"]
        assert Path(ENVIRONMENT["SYNCD_DATABASE"]).parent == Path("/data")
        names = [each.name for each in FINAL]
        # What is done to a volume after it is declared is thrown away.
        assert "RUN" not in names[names.index("VOLUME") :]
        assert "install --directory --owner syncd --group syncd --mode 0750 /data" in FINAL[1].text

    def test_the_port_that_it_names_is_the_one_it_listens_on(self) -> None:
        assert only("EXPOSE") == [ENVIRONMENT["SYNCD_PORT"]]
        assert ENVIRONMENT["SYNCD_HOST"] == "0.0.0.0"

    def test_the_signal_that_stops_it_reaches_the_server_and_no_shell(self) -> None:
        assert only("STOPSIGNAL") == ["SIGTERM"]
        assert (only("ENTRYPOINT"), only("CMD")) == (["syncd"], ["serve"])
        assert all(each.text.startswith("[") for each in FINAL if each.name in ("ENTRYPOINT", "CMD"))

    def test_its_health_is_asked_for_with_what_is_in_the_image(self) -> None:
        (check,) = [each for each in FINAL if each.name == "HEALTHCHECK"]
        assert "/health/ready" in check.text
        assert not re.search(r"curl|wget", check.text)
        assert {option.partition("=")[0] for option in check.options} >= {"--interval", "--timeout", "--retries"}

    def test_there_is_no_secret_in_it(self) -> None:
        set_here = " ".join(each.text for each in INSTRUCTIONS if each.name in ("ENV", "ARG", "LABEL"))
        assert not re.search(r"token|secret|password|key", set_here, re.IGNORECASE)

    def test_it_names_every_setting_as_the_server_does(self) -> None:
        known = {f"SYNCD_{name.upper()}" for name in Settings.model_fields}
        assert set(re.findall(r"SYNCD_[A-Z_]+", TEXT)) <= known

    @pytest.mark.parametrize(
        "path",
        [".git/config", ".env", "syncd/.env.local", "syncd.db", "syncd/club.db-wal", ".venv/bin/python", "tests/a.py"],
    )
    def test_the_build_is_not_given(self, path: str) -> None:
        assert ignored(path, DOCKERIGNORE)

    @pytest.mark.parametrize("path", ["syncd/cli.py", "migrations/env.py", "fixtures/football-worldcup/wc2022.jsonl"])
    def test_the_build_is_given(self, path: str) -> None:
        assert not ignored(path, DOCKERIGNORE)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The image after the steps of its build stage."""
    image = Image(tmp_path_factory.mktemp("image"), ENVIRONMENT)
    image.build([each for each in INSTRUCTIONS if each.stage == 0], ROOT, DOCKERIGNORE)
    return image


def healthcheck() -> list[str]:
    (check,) = [each for each in FINAL if each.name == "HEALTHCHECK"]
    return read_dockerfile(f"FROM here\n{check.text}")[-1].words


class TestSteps:
    """What it does."""

    async def test_its_steps_make_a_syncd_that_runs_without_the_source(self, image: Image) -> None:
        where = "import syncd, syncd.demo.fixtures; print(syncd.__file__)"
        code, printed = await image.run("python", "-c", where)
        assert (code, printed.startswith(str(image.root / "opt" / "syncd"))) == (0, True)
        assert (await image.run(*only("ENTRYPOINT"), "--version"))[0] == 0

    async def test_without_a_token_it_does_not_start_and_says_so(self, image: Image) -> None:
        code, printed = await image.run(*only("ENTRYPOINT"), *only("CMD"))
        assert code == 2
        assert "SYNCD_TOKEN" in printed

    async def test_it_becomes_healthy_and_ends_with_0_on_the_signal_that_stops_it(self, image: Image) -> None:
        port = free_port()
        assert (await image.run(*healthcheck(), SYNCD_PORT=port))[0] == 1
        server = await image.start(*only("ENTRYPOINT"), *only("CMD"), SYNCD_PORT=port, SYNCD_TOKEN=TOKEN)
        assert server.stdout is not None
        async with asyncio.timeout(60):
            while b"access" not in await server.stdout.readline():
                assert server.returncode is None
        assert await image.run(*healthcheck(), SYNCD_PORT=port) == (0, "")
        server.send_signal(getattr(signal, only("STOPSIGNAL")[0]))
        async with asyncio.timeout(30):
            await server.communicate()
        assert server.returncode == 0
        assert (image.root / "data" / "syncd.db").is_file()
