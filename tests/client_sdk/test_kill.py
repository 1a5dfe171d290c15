"""What a put has returned for survives kill -9, at whatever moment it comes: real processes, real files."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

from client_sdk import Client
from tests.client_sdk.conftest import OpenClient
from tests.support.served import Served

_WRITER = textwrap.dedent(
    """
    import asyncio, sys
    from client_sdk import Client

    async def main():
        async with Client(None, replica=sys.argv[1], scopes=["main"]) as client:
            notes = client.collection("note")
            for step in range(100_000):
                async with client.group():
                    await notes.put({"id": f"{sys.argv[2]}-{step}", "step": step})
                    handle = await notes.put({"id": f"{sys.argv[2]}-{step}-twin", "step": step})
                print(handle.n, f"{sys.argv[2]}-{step}", flush=True)

    asyncio.run(main())
    """
)


def _write_until_killed(path: Path, name: str, after: int) -> list[tuple[int, str]]:
    """What the writer was told is kept, before it was killed in the middle of writing on."""
    told: list[tuple[int, str]] = []
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path), name], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    ) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            n, resource_id = line.split()
            told.append((int(n), resource_id))
            if len(told) == after:
                os.kill(writer.pid, signal.SIGKILL)
    return told


async def test_what_was_put_before_a_kill_is_there_after_it_and_reaches_the_server_once(
    tmp_path: Path, server: Served, open_client: OpenClient
) -> None:
    path = tmp_path / "phone.db"
    told: list[tuple[int, str]] = []
    for life in range(3):
        told += _write_until_killed(path, f"life{life}", random.randrange(5, 40))

    async with Client(None, replica=path) as client:
        here = {str(note["id"]) for note in await client.collection("note").all()}
        last = client.status.pending
    assert {resource_id for _, resource_id in told} <= here
    assert {f"{resource_id}-twin" for _, resource_id in told} <= here
    assert len(here) == last, "each put is one change"
    assert last % 2 == 0, "never half a group"

    phone = await open_client("phone", server.url)
    await phone.synced()
    family = await open_client("family", server.url)
    await family.synced()
    assert {str(note["id"]) for note in await family.collection("note").all()} == here


async def test_numbers_go_on_without_a_gap_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "phone.db"
    _write_until_killed(path, "first", 7)
    _write_until_killed(path, "second", 7)
    with sqlite3.connect(path) as database:
        numbers = [n for (n,) in database.execute("SELECT n FROM changes ORDER BY seq")]
        stamps = [body for (body,) in database.execute("SELECT body ->> 'stamp' FROM changes ORDER BY seq")]
    database.close()
    assert numbers == list(range(1, len(numbers) + 1))
    assert stamps == sorted(stamps)
