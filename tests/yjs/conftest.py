"""A Node with yjs, a real server, and devices."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from client_sdk import Client
from tests.client_sdk.conftest import QUICK
from tests.client_sdk.writing_desk import SCOPE, writing_desk
from tests.support.served import Served, served
from tests.yjs.node import CannotInstall, YjsPeer, installed_yjs
from tests.yjs.writers import OpenDevice


@pytest.fixture(scope="session")
def yjs_folder() -> Path:
    """Where npm has put yjs. Without it these tests fail: there is nothing else to hold syncd against."""
    try:
        return installed_yjs()
    except CannotInstall as failure:
        pytest.fail(str(failure), pytrace=False)


@pytest.fixture
async def yjs(yjs_folder: Path) -> AsyncIterator[YjsPeer]:
    """A Node process."""
    async with YjsPeer.started(yjs_folder) as peer:
        yield peer


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Served]:
    """A real server with documents of each kind."""
    async with served(tmp_path / "server.db", writing_desk) as server:
        yield server


@pytest.fixture
async def device(desk: Served, tmp_path: Path) -> AsyncIterator[OpenDevice]:
    """Opens a device, by its name."""
    async with AsyncExitStack() as opened:

        async def open_device(name: str) -> Client:
            client = Client(desk.url, replica=tmp_path / f"{name}.db", app=writing_desk, scopes=[SCOPE], timing=QUICK)
            return await opened.enter_async_context(client)

        yield open_device
