"""Folders in memory where there are any, and a database migrated once."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.store.sqlite import SqliteStore

IN_MEMORY = Path("/dev/shm")


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder; nothing here is about disks."""
    made = Path(tempfile.mkdtemp(prefix="histories-", dir=IN_MEMORY if IN_MEMORY.is_dir() else None))
    yield made
    shutil.rmtree(made)


@pytest.fixture
async def server_file(folder: Path) -> Path:
    """An empty database of the server, to be copied: its tables are made once."""
    path = folder / "template.db"
    store = await SqliteStore.open(path)
    await store.close()
    return path
