"""Replicas on files of their own, a real server, and a network between them that loses what the test wants lost."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from client_sdk import Client, Timing
from tests.client_sdk.league import league
from tests.client_sdk.members import MATCH, Event, club, event, grant
from tests.support.lossy_network import LossyNetwork, lossy_network
from tests.support.people import People
from tests.support.served import Served, served

OpenClient = Callable[..., Awaitable[Client]]

QUICK = Timing(first_retry_s=0.01, longest_retry_s=0.05, poll_s=30, poll_without_live_s=0.05, timeout_s=5)
"""Retries fast; while deltas flow, nothing is pulled unless there is a reason."""


@pytest.fixture
async def open_client(tmp_path: Path) -> AsyncIterator[OpenClient]:
    """Opens clients on `tmp_path/<name>.db`, and closes them at the end."""
    async with AsyncExitStack() as undo:

        async def open_one(name: str, url: str | None = None, **options: Any) -> Client:
            options = {"scopes": ["main"], "timing": QUICK, "dice": random.Random(1), **options}
            return await undo.enter_async_context(Client(url, replica=tmp_path / f"{name}.db", **options))

        yield open_one


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Served]:
    """A real server with no app."""
    async with served(tmp_path / "server.db") as server:
        yield server


@pytest.fixture
async def league_server(tmp_path: Path) -> AsyncIterator[Served]:
    """A real server with the app of `tests/client_sdk/league.py`."""
    async with served(tmp_path / "server.db", league) as server:
        yield server


@pytest.fixture
async def club_server(tmp_path: Path) -> AsyncIterator[Served]:
    """A real server with the app of `tests/client_sdk/members.py`, whose tokens are names."""
    async with served(tmp_path / "server.db", club, accounts=People()) as server:
        yield server


@pytest.fixture
async def olga(club_server: Served, open_client: OpenClient) -> Client:
    """The owner of a match with a goal in it, of which Sam is the scorer and Vera a viewer."""
    olga = await open_client("olga", club_server.url, app=club, token="olga", scopes=[MATCH])
    await olga.collection(Event).put(event("g1", player="Ann", rating=7))
    for field, said in (("report", "a fine goal"), ("tactics", "by surprise")):
        document = await olga.document(Event, "g1", field=field)
        await document.edit(lambda text, said=said: text.append(said))
        await document.close()
    await olga.synced(10)
    await grant(club_server, "sam", "scorer")
    await grant(club_server, "vera", "viewer")
    return olga


@pytest.fixture
async def network(server: Served) -> AsyncIterator[LossyNetwork]:
    """Between a replica and `server`."""
    async with lossy_network(server.port) as network:
        yield network
