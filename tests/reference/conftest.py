"""Folders in memory where there are any, a database migrated once, and a word at the end on what was played."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Tell how concurrent the histories were, over all workers."""
    totals: dict[str, Counter[str]] = {"replica_histories": Counter(), "document_histories": Counter()}
    for report in [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]:
        for name, value in report.user_properties:
            if name in totals:
                totals[name].update(value)
    for name, total in totals.items():
        if total["changes"]:
            share = total["concurrent"] / total["changes"]
            terminalreporter.write_line(
                f"{name.replace('_', ' ')}: {total['histories']}, {total['changes']} changes, "
                f"{share:.0%} truly concurrent"
            )
