"""kill -9 in the middle of an export or an erasure: it goes on at the next start, and nothing is missing at the end."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.jobs.forgetful_club import CHEAP, OPERATOR, bytes_of_files
from tests.support.people_made import signed_in
from tests.support.server import ServerProcess, running_server

ROOT = Path(__file__).parents[2]
MADE = 3000
"""Enough for it to be under way when the server is killed."""

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    environment = {
        "SYNCD_ACCOUNTS": "true", "SYNCD_RATE_LIMITING": "off", "PYTHONPATH": str(ROOT),
        "SYNCD_SECRET_KEY": "a key that stays the same from start to start, and is long enough",
        **{f"SYNCD_{name.upper()}": str(value) for name, value in CHEAP.items()},
    }  # fmt: skip
    account, token = await signed_in(tmp_path / "club.db", environment["SYNCD_SECRET_KEY"])
    app = "tests.jobs.killed_club:app"
    async with running_server(tmp_path / "club.db", app=app, token=OPERATOR, environment=environment) as process:
        process.account, process.person = account, token  # type: ignore[attr-defined]
        yield process


async def ask(server: ServerProcess, token: str, method: str, path: str, body: object = None) -> Any:
    async with (
        ClientSession(headers={"Authorization": f"Bearer {token}"}) as http,
        http.request(method, server.url + path, json=body) as response,
    ):
        content = await response.read()
        assert response.status == 200, content
        return await response.json() if "json" in response.content_type else content


async def write_much(server: ServerProcess, account: str, token: str) -> None:
    for first in range(1, MADE + 1, 500):
        changes = [
            {
                "n": n, "scope": "match:1", "type": "event", "id": f"goal{n}", "op": "create", "base": 0,
                "fields": {"match_id": "1", "player_id": account, "player_name": f"Annabel {n}", "wish": f"Anna {n}"},
            }
            for n in range(first, first + 500)
        ]  # fmt: skip
        reply = await ask(server, token, "POST", "/sync/v1/push", {"replica": "p", "schema": 1, "changes": changes})
        assert {outcome["outcome"] for outcome in reply["outcomes"]} == {"applied"}


async def killed_in_the_middle(server: ServerProcess, id: str, steps: int = 2) -> None:
    """Kill it when so many steps are done, and start it again."""
    async with asyncio.timeout(60):
        while True:
            job = await ask(server, OPERATOR, "GET", f"/auth/v1/jobs/{id}")
            assert job["state"] in ("queued", "running"), "it was too quick for this test"
            if job["progress"]["done"] >= steps:
                break
            await asyncio.sleep(0.005)
    await server.kill()
    await server.start()


async def finished(server: ServerProcess, id: str) -> Any:
    async with asyncio.timeout(120):
        while True:
            job = await ask(server, OPERATOR, "GET", f"/auth/v1/jobs/{id}")
            if job["state"] not in ("queued", "running"):
                return job
            await asyncio.sleep(0.05)


async def test_an_export_goes_on(server: ServerProcess) -> None:
    account, token = server.account, server.person  # type: ignore[attr-defined]
    await write_much(server, account, token)
    job = await ask(server, token, "POST", "/auth/v1/me/export")
    await killed_in_the_middle(server, job["id"])
    job = await finished(server, job["id"])
    assert job["state"] == "done", job
    content = await ask(server, OPERATOR, "GET", job["file"]["url"])
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert len(archive.read("changes.jsonl").splitlines()) == MADE
        assert len(archive.read("resources.jsonl").splitlines()) == MADE
    folder = server.database.with_name("club.db.exports")
    assert [path.name for path in folder.iterdir()] == [f"{job['id']}.zip"]


@pytest.mark.parametrize("steps", [1, MADE // 2])
async def test_an_erasure_goes_on(server: ServerProcess, steps: int) -> None:
    """Killed while what names her is looked for, and while what she has sent is gone through."""
    account, token = server.account, server.person  # type: ignore[attr-defined]
    await write_much(server, account, token)
    job = await ask(server, OPERATOR, "POST", f"/admin/v1/users/{account}/erase", {"confirm": account})
    await killed_in_the_middle(server, job["id"], steps)
    job = await finished(server, job["id"])
    assert job["state"] == "done", job
    reply = await ask(server, OPERATOR, "POST", "/sync/v1/pull", {"scopes": {"match:1": None}, "limit_bytes": 10**9})
    fields = [state["fields"] for state in reply["scopes"]["match:1"]["resources"]]
    assert len(fields) > 0
    assert all(each["player_name"] is None and each["wish"] == "" for each in fields)
    assert await server.stop() == 0
    left = bytes_of_files(server.database)
    assert b"Anna" not in left
    assert left.count(b"goal3000") > 0, "the fact stays"
