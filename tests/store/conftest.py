"""What tests of the SQLite adapter share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from syncd.store.sqlite import SqliteStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is, or will be."""
    return tmp_path / "syncd.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    """An open store that gives up quickly on a locked file."""
    store = await SqliteStore.open(path, busy_timeout_s=0.01)
    yield store
    await store.close()
