"""Each conformance test runs once for each adapter."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from syncd.bus.local import LocalBus
from syncd.bus.protocol import Bus
from syncd.store.accounts import AccountStore
from syncd.store.protocol import Store
from syncd.store.sqlite import SqliteStore
from tests.conformance.stores import DATABASES, Database

BUSES: dict[str, Callable[[], Awaitable[Bus]]] = {}

OpenStore = Callable[[Database], Awaitable[Store]]


async def _local_bus() -> Bus:
    return LocalBus()


BUSES["local"] = _local_bus


@pytest.fixture(params=sorted(DATABASES))
def database_name(request: pytest.FixtureRequest) -> str:
    """The name of the adapter."""
    return str(request.param)


@pytest.fixture
def database(database_name: str, tmp_path: Path) -> Database:
    """A new database."""
    return DATABASES[database_name](tmp_path)


@pytest.fixture
async def open_store() -> AsyncIterator[OpenStore]:
    """Opens a database, and closes it at the end if the test has not."""
    opened: list[Store] = []

    async def open_database(database: Database) -> Store:
        store = await database.open()
        opened.append(store)
        return store

    yield open_database
    for store in opened:
        await store.close()


@pytest.fixture
async def store(database: Database, open_store: OpenStore) -> Store:
    """A new database, opened."""
    return await open_store(database)


@pytest.fixture
async def accounts(store: Store) -> AccountStore:
    """The accounts of a new database, opened."""
    assert isinstance(store, SqliteStore), "another adapter says here where its accounts are"
    return store.accounts


@pytest.fixture(params=sorted(BUSES))
async def bus(request: pytest.FixtureRequest) -> AsyncIterator[Bus]:
    """A bus, connected."""
    bus = await BUSES[request.param]()
    yield bus
    await bus.close()
