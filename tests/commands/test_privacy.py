"""`syncd user export` and `syncd user erase`, against a running server."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from syncd.commands.output import Output
from syncd.commands.privacy import erase, export
from syncd.errors import CommandError
from tests.jobs.forgetful_club import OPERATOR, Club, Person, club


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Club]:
    async with club(tmp_path) as built:
        yield built


@pytest.fixture
async def ann(house: Club) -> Person:
    return await house.join("ann@club.example", "Ann", "phone")


def facts(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told: dict[str, object] = lines[-1]
    return told


async def test_an_export_is_written_for_its_owner_alone(
    house: Club, ann: Person, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "ann.zip"
    assert await export(house.server.url, OPERATOR, ann.id, target, Output(as_json=True), overwrite=False) == 0
    assert facts(capsys)["account"] == ann.id
    assert target.stat().st_mode & 0o077 == 0
    with zipfile.ZipFile(target) as archive:
        assert "ann@club.example" in archive.read("account.jsonl").decode()
    with pytest.raises(CommandError, match="there already"):
        await export(house.server.url, OPERATOR, ann.id, target, Output(as_json=True), overwrite=False)
    assert await export(house.server.url, OPERATOR, ann.id, target, Output(as_json=True), overwrite=True) == 0


async def test_an_erasure_tells_what_would_go_and_asks(
    house: Club, ann: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def no(question: str) -> bool:
        asked.append(question)
        return False

    with pytest.raises(CommandError, match="Nothing was erased"):
        await erase(house.server.url, OPERATOR, ann.id, Output(as_json=False), no)
    assert len(asked) == 1
    assert "1  devices signed in" in capsys.readouterr().err
    assert (await ann.ask("POST", "/sync/v1/pull", {"scopes": {}}))[0] == 200

    assert await erase(house.server.url, OPERATOR, ann.id, Output(as_json=True), lambda _: True) == 0
    assert facts(capsys)["event"] == "erased"
    assert (await ann.ask("POST", "/sync/v1/pull", {"scopes": {}}))[0] == 401
    with pytest.raises(CommandError, match="no account"):
        await erase(house.server.url, OPERATOR, ann.id, Output(as_json=True), lambda _: True)


async def test_an_id_cannot_lead_elsewhere(house: Club) -> None:
    with pytest.raises(CommandError, match="nothing of that id"):
        await erase(house.server.url, OPERATOR, "x/../../y", Output(as_json=True), lambda _: True)


async def test_the_command_line_takes_both(house: Club, ann: Person, tmp_path: Path) -> None:
    target = tmp_path / "copy.zip"
    for words in (("export", ann.id, "-o", str(target)), ("erase", ann.id, "--yes")):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "syncd", "user", *words, "--url", house.server.url, "--json",
            env={**os.environ, "SYNCD_TOKEN": OPERATOR, "PYTHONPATH": str(Path(__file__).parents[2])},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        assert process.returncode == 0, err
        assert json.loads(out)["event"] in ("exported", "erased")
    assert zipfile.is_zipfile(target)
